"""Edits of latents: some are set or shifted, and what that does to the picture is measured.

The clean run is the picture decoded from its own latents; an edit of strength α moves

    z(α) = z + α (z' - z),   α from 0 to 1                                 (1)

where z' has the latents that were asked for. At α = 0 the picture is the clean run, bit for bit.
What changed is told in spreads of each attribute among pictures of the model, beside a control:
moves of the same length ‖z' - z‖ in directions by lot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES
from legenda.core.latent import Latent
from legenda.errors import BadInput
from legenda.measure.picture import measure
from legenda.measure.spread import spread
from legenda.types import Acts, Images

Pictures = Float[Tensor, "p 3 y z"]
CONTROLS, DOSES, POOL = 16, 7, 256


@dataclass(frozen=True)
class LatentStep:
    """One latent, moved.

    Parameters
    ----------
    unit: its number.
    value: what it is set to, or what is added.
    add: whether it is added.
    """

    unit: int
    value: float
    add: bool = False

    def __str__(self) -> str:
        return f"{'steer' if self.add else 'set'} {self.unit}={self.value:+g}"


@dataclass(frozen=True)
class Changed:
    """What an edit does to one attribute.

    Parameters
    ----------
    attribute: its name.
    before, after: its value.
    spreads: after less before, in spreads of the attribute among pictures of the model.
    control: the same of moves by lot, mean of the sizes.
    above: how many of the controls move it less.
    """

    attribute: str
    before: float
    after: float
    spreads: float
    control: float
    above: int


@dataclass(frozen=True)
class LatentEdited:
    """A picture before and after, the doses between, and what changed, most first."""

    edit: str
    original: Images = field(repr=False)
    doses: Float[Tensor, "s c h w"] = field(repr=False)
    strengths: tuple[float, ...]
    latents: Float[Tensor, "2 d"] = field(repr=False)
    changes: tuple[Changed, ...]
    controls: int


@torch.no_grad()
def moved(
    model: Latent,
    x: Images,
    steps: Sequence[LatentStep],
    seed: int = 0,
    pool: Pictures | None = None,
) -> LatentEdited:
    """Edit one picture; `pool` are colours of the model's pictures, else draws of its prior."""
    checked(model, steps)
    if len(x) != 1:
        raise BadInput(f"an edit of latents is of one picture; it got {len(x)}. Give them in turn.")
    before = model.acts(x)
    after = followed(before, steps)
    strengths = torch.linspace(0, 1, DOSES)
    path = before + strengths.to(before)[:, None, None] * (after - before)  # (1)
    path[-1] = after[0]
    clean = shown(model, before)  # alone, since sums may differ in the last bit with what is beside
    doses = torch.cat([clean, shown(model, path[1:])])
    lot = torch.Generator().manual_seed(seed)
    if pool is None:
        pool = shown(model, torch.randn(POOL, *before.shape[1:], generator=lot).to(before))
    others = by_lot(before, after, lot)
    changes = compared(doses, shown(model, others), spread(measure(pool)))
    edit = ", then ".join(map(str, steps))
    both = torch.stack([before[0].mean(0), after[0].mean(0)])
    return LatentEdited(
        edit, model.visible(x), doses, tuple(strengths.tolist()), both, changes, CONTROLS
    )


def checked(model: Latent, steps: Sequence[LatentStep]) -> None:
    """Refuse latents that are not there, and values that are no numbers."""
    if not steps:
        raise BadInput("an edit of latents needs --set UNIT=VALUE or --steer UNIT=VALUE; got none.")
    for step in steps:
        if not 0 <= step.unit < model.width:
            raise BadInput(
                f"latent {step.unit} is not in {model.name}, which has {model.width}. "
                f"Choose one from 0 to {model.width - 1}."
            )
        if not isfinite(step.value):
            raise BadInput(f"a latent is set to a finite number; got {step.value}. Give a number.")


def followed(acts: Acts, steps: Sequence[LatentStep]) -> Acts:
    """Latents after the steps, in order; where nothing moves they are returned as they were."""
    after = acts.clone()
    for step in steps:
        column = after[..., step.unit]
        after[..., step.unit] = column + step.value if step.add else step.value
    return after


def by_lot(before: Acts, after: Acts, lot: torch.Generator) -> Float[Tensor, "o n d"]:
    """As far as the edit, in directions by lot."""
    noise = torch.randn(CONTROLS, *before.shape[1:], generator=lot).to(before)
    length = (after - before).norm()
    return before + length * noise / noise.flatten(1).norm(dim=1)[:, None, None]


def shown(model: Latent, acts: Acts, batch: int = 64) -> Images:
    """Decoded, as colours from 0 to 1."""
    return torch.cat([model.visible(model.decode(part)) for part in acts.split(batch)])


def compared(doses: Images, others: Pictures, spreads: Float[Tensor, " a"]) -> tuple[Changed, ...]:
    """What changed from the first dose to the last, most first, beside moves by lot."""
    values = measure(torch.cat([doses[[0, -1]], others]))
    circular = values.new_tensor([one.circular for one in ATTRIBUTES.values()])
    gaps = values[1:] - values[0]
    turned = gaps - circular * (gaps / circular.clamp(min=1)).round()
    gaps = torch.where(circular > 0, turned, gaps) / spreads
    found = []
    for a, name in enumerate(ATTRIBUTES):
        mine, lots = float(gaps[0, a]), gaps[1:, a].abs()
        if not isfinite(mine):
            continue
        control = float(lots.nanmean())
        above = int((lots < abs(mine)).sum())
        found.append(Changed(name, float(values[0, a]), float(values[1, a]), mine, control, above))
    return tuple(sorted(found, key=lambda c: -abs(c.spreads)))
