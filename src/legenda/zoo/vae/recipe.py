"""How `zoo:vae` is trained: a β-TCVAE on coloured sprites of 64 px, in two stages.

The first finds what varies; the second, at a higher price of total correlation, turns latents
until each has a factor of its own where it can.
"""

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

SIDE, LATENTS, RATE = 64, 10, 1e-3
BETAS = (4.0, 12.0)
"""Price of total correlation in each stage."""
SECOND = 0.4
"""The second stage sees so many pictures, for each of the first."""
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
    """Train it anew in a folder, in two stages; goes on where it stopped."""
    if others:
        name = next(iter(others)).replace("_", "-")
        raise BadInput(f"zoo train vae takes no --{name}: its pictures are quickly drawn. Leave it out.")  # fmt: skip # noqa: E501
    source = Held(drawn(COLOUR, PICTURES, DRAWN, SIDE).pictures)
    network = Burgess(SIDE, COLOUR.channels, LATENTS)
    for stage, (beta, share) in enumerate(zip(BETAS, (1.0, SECOND), strict=True)):
        objective = BetaTCVAE(beta, likelihood=NOISE)
        plan = plan_of(max(1, int(images * share) // batch), RATE)
        place = folder if stage == 0 else folder / "second"
        fit(network, objective, source, plan, seed + stage, place, 1_000, report, batch=batch, fresh=stage == 0)  # fmt: skip # noqa: E501
    save_file(layout_of(network), folder / "vae.safetensors")
    return folder / "vae.safetensors"
