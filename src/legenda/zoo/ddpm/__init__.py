"""A small denoising diffusion model of coloured sprites, whose factors are all known."""
