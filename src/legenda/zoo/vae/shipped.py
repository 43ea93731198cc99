"""`zoo:vae` as it ships."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from legenda.errors import BadInput
from legenda.models.vae import VAE
from legenda.models.vae_hub import open_disentangled

WEIGHTS = Path(__file__).parent / "weights" / "vae.safetensors"


def open_vae(site: Any = None, path: Path = WEIGHTS) -> VAE:
    """Open the shipped model, or one that `legenda zoo train vae` wrote."""
    if site:
        raise BadInput("zoo:vae is opened at its latents; it has no other site. Leave --site out.")
    about = {
        "kind": "β-TCVAE (β = 4, then 12) with 10 latents, pictures of 64 px",
        "sites": "its latents",
        "trained on": "drawn sprites: shape, size, orientation, place, hue, ground",
    }
    return replace(open_disentangled(path, "zoo:vae"), name="vae", about=about)
