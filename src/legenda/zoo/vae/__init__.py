"""`zoo:vae`: a β-TCVAE on coloured sprites, whose every factor is known."""
