"""How `zoo:vae` is trained: a β-TCVAE on coloured sprites of 64 px."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save_file

from legenda.autoencoders.beta_tcvae import BetaTCVAE
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.likelihood import Gaussian
from legenda.autoencoders.source import Held
from legenda.errors import BadInput
from legenda.models.burgess import Burgess
from legenda.models.vae_hub import layout_of
from legenda.zoo.sprites.world import COLOUR, drawn

SIDE, LATENTS, BETA, RATE = 64, 10, 4.0, 1e-3
NOISE = Gaussian(0.35)
"""Of each colour. With a tenth, codes say all they can, and draws of the prior show nothing."""
PICTURES, DRAWN = 40_000, 11
"""How many pictures are learned from, and the seed by which they are drawn."""
Report = Callable[[int, dict[str, float]], None]


def train(
    folder: Path,
    *,
    images: int = 600_000,
    batch: int = 64,
    seed: int = 0,
    report: Report | None = None,
    **others: int | None,
) -> Path:
    """Train it anew in a folder; goes on where it stopped. About 15 minutes of one core."""
    if others:
        name = next(iter(others)).replace("_", "-")
        raise BadInput(f"zoo train vae takes no --{name}: its pictures are quickly drawn. Leave it out.")  # fmt: skip # noqa: E501
    source = Held(drawn(COLOUR, PICTURES, DRAWN, SIDE).pictures)
    network, plan = Burgess(SIDE, COLOUR.channels, LATENTS), plan_of(images // batch, RATE)
    objective = BetaTCVAE(BETA, likelihood=NOISE)
    fit(network, objective, source, plan, seed, folder, 1_000, report, batch=batch)
    save_file(layout_of(network), folder / "vae.safetensors")
    return folder / "vae.safetensors"
