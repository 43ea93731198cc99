"""`zoo:ddpm` as it ships: a denoising diffusion model of coloured sprites."""

from pathlib import Path
from typing import Any

from legenda.errors import BadInput, Missing
from legenda.models.diffusion import SITE, Diffusion
from legenda.models.diffusion_hub import open_diffusion

FOLDER = Path(__file__).parent / "weights"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def open_ddpm(
    site: Any = None, folder: Path = FOLDER, time: float = 1.0, steps: int = 50
) -> Diffusion:
    """Open the shipped model, or one that `legenda zoo train ddpm` wrote.

    `site` is a dotted name inside the U-Net, its middle block by default; `time` is a share of
    all times.
    """
    named = place(site)
    if not (folder / WEIGHTS).exists():
        raise Missing(
            f"zoo:ddpm has no weights at {folder.name}/{WEIGHTS}. "
            "Reinstall legenda, or train them with `legenda zoo train ddpm`."
        )
    about = {
        "kind": "denoising diffusion model, 32 × 32 px, 1000 times",
        "sites": f"{SITE}, and every other module of its U-Net",
        "trained on": "coloured sprites",
    }
    return open_diffusion(
        folder, "zoo:ddpm", name="ddpm", site=named, time=time, steps=steps, about=about
    )


def place(site: Any) -> str:
    """The dotted name that a site means: a string, or what `--site` makes of it."""
    if not site:
        return SITE
    names = {str(name) for name in site.values()} if isinstance(site, dict) else {str(site)}
    if len(names) > 1 or names.pop().isdecimal():
        raise BadInput(
            f"zoo:ddpm is opened at one module of its U-Net, such as {SITE}; it got {site!r}. "
            "Give its dotted name."
        )
    return str(next(iter(site.values()))) if isinstance(site, dict) else str(site)
