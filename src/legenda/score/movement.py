"""How far each measured attribute moves along a row of frames, and what moves beside it.

Of attribute a in row r, measured in every frame (`measure.picture`),

    effect_ra = (shift_ra / spread_a) |trend_ra|                          (1)

with shift and trend of `measure.series`: a change of one spread of the attribute among pictures of
the model, all in one direction, is 1; what goes to and fro counts little. Attributes are *tied*
where they are one thing under two names: by definition (`FAMILIES` of `core.attribute`, and
`ALSO`), or since among the model's own pictures

    |Spearman's ρ of a and b| ≥ 0.8                                       (2)

Tied attributes are counted once: beside an attribute and what is tied to it, the strongest of the
others stands for all that are tied to it, then the strongest of what is left, and so on.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES, FAMILIES
from legenda.errors import BadInput
from legenda.measure.likeness import likeness
from legenda.measure.series import shift, trend, unwrapped

NAMES = tuple(ATTRIBUTES)
ALSO = (
    ("size", "stroke"),  # what grows has thicker strokes
    ("object_brightness", "brightness", "contrast"),  # a brighter thing, a brighter picture
    ("warmth", "background_warmth"),
)
"""Names of one thing in several families."""

Values = Float[Tensor, "r s a"]
Effects = Float[Tensor, "r a"]
Tied = Bool[Tensor, "a a"]


class Movement(NamedTuple):
    """Equation (1), above 0 where an attribute grows, and the trend; NaN where not measured."""

    effect: Effects
    trend: Effects


def movement(values: Values, spread: Float[Tensor, " a"]) -> Movement:
    """Equation (1) of every row and attribute; angles are unwound first."""
    if values.shape[2] != len(NAMES) or spread.shape != (len(NAMES),):
        raise BadInput(
            f"movement is of the {len(NAMES)} attributes of core.attribute, in their order; it got "
            f"values of {values.shape[2]} and a spread of {len(spread)}. Give what `measure` gives."
        )
    r, _, a = values.shape
    turns = [one.circular for one in ATTRIBUTES.values()]
    lines = torch.stack([unwrapped(values[..., i], turn) for i, turn in enumerate(turns)], 1)
    flat = lines.flatten(0, 1)
    steady, far = trend(flat).view(r, a), shift(flat).view(r, a)
    return Movement(far / spread.double().cpu() * steady.abs(), steady)  # (1)


def tied(values: Float[Tensor, "p a"] | None = None, least: float = 0.8) -> Tied:
    """Which attributes are one thing: by definition, and by equation (2) if pictures are given."""
    found = torch.eye(len(NAMES), dtype=torch.bool)
    for names in (*FAMILIES.values(), *ALSO):
        rows = torch.tensor([NAMES.index(name) for name in names])
        found[rows[:, None], rows] = True
    if values is None:
        return found
    return found | (likeness(values).nan_to_num(0.0) >= least)  # (2)


class Beside(NamedTuple):
    """|effect| of an attribute and what is tied to it, and of each other thing, falling."""

    own: Float[Tensor, " r"]
    others: Float[Tensor, "r g"]


def beside(effects: Effects, named: int, ties: Tied) -> Beside:
    """Tied attributes counted once, in every row by itself; what is not measured has no effect."""
    size = effects.abs().nan_to_num(0.0)
    own = size[:, ties[named]].amax(1)
    left = size * ~ties[named]
    others = []
    while left.any():
        most, which = left.max(1)
        others.append(most)
        left = left * ~ties[which]
    return Beside(own, torch.stack(others, 1) if others else size[:, :0])


def place_of(attribute: str) -> int:
    """The column of an attribute."""
    if attribute not in NAMES:
        raise BadInput(
            f"{attribute!r} is not measured. Measured are {', '.join(NAMES)}; for what has no "
            "measure ask a model of images and words."
        )
    return NAMES.index(attribute)
