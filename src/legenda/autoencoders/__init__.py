"""Autoencoders that learn latent variables: one objective, one paper, one file."""
