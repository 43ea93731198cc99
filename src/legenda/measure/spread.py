"""How much each attribute varies among pictures of a model, and what no one would see.

    spread = max(1.4826 · median of |v - median of v|, floor)              (1)

1.4826 makes it the standard deviation of a normal sample. Of an angle, deviations are taken the
short way round from the circular mean. A value that most pictures share, such as one piece, has
no deviation at all; and a change below the floor cannot be seen at 64 pixels. Floors are
judgements, one each, with their reason beside them.

References
----------
Rousseeuw, Croux. Alternatives to the median absolute deviation. Journal of the American
Statistical Association 1993. The constant in (1).
"""

from math import pi

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput

FLOORS = {
    "x": 0.015,  # one pixel of 64
    "y": 0.015,
    "size": 0.005,  # a pixel around a disc of 14 % of the side
    "orientation": 5.0,  # a pixel at the end of an arm of 12
    "slant": 0.08,  # five degrees
    "aspect": 0.05,  # a pixel in twenty
    "elongation": 0.05,
    "roundness": 0.02,  # a tenth of the way from square to disc
    "convexity": 0.02,  # what the outline of a small disc is wrong by
    "symmetry": 0.04,  # half a pixel on both sides of a disc of 25
    "balance": 0.015,  # half a pixel of a height of 32
    "stroke": 0.008,  # half a pixel of 64
    "count": 0.5,  # between one and two
    "holes": 0.5,
    "brightness": 0.01,  # between two and three of 256 steps
    "contrast": 0.01,
    "hue": 8.0,  # between yellow and a yellow with some green
    "saturation": 0.02,  # five of 256 steps
    "warmth": 0.02,
    "object_brightness": 0.02,
    "background": 0.02,
    "background_warmth": 0.02,
    "light_x": 0.01,  # a shade of one in seventeen from side to side
    "light_y": 0.01,
    "texture": 0.005,  # one of 256 steps, where there are steps
}
"""What cannot be seen to change, in the unit of each attribute."""
LEAST = 8
"""Pictures that have the attribute, at least, or its spread is not known."""


def spread(values: Float[Tensor, "b a"]) -> Float64[Tensor, " a"]:
    """Equation (1) of what `measure` gives; NaN where fewer than `LEAST` pictures have it."""
    if values.shape[1] != len(ATTRIBUTES):
        raise BadInput(
            f"A spread needs a column for each of {len(ATTRIBUTES)} attributes; it got "
            f"{values.shape[1]}. Give what `measure` returns."
        )
    found = []
    for i, (name, one) in enumerate(ATTRIBUTES.items()):
        own = values[:, i].detach().to("cpu", torch.float64)
        own = own[~own.isnan()]
        raw = 1.4826 * middle(off(own, one.circular).abs()) if len(own) >= LEAST else torch.nan
        found.append(max(raw, FLOORS[name]) if raw == raw else torch.nan)  # (1)
    return torch.tensor(found, dtype=torch.float64)


def off(values: Float64[Tensor, " n"], circular: float) -> Float64[Tensor, " n"]:
    """Deviations from the median; of angles the short way from their circular mean."""
    if not circular:
        return values - middle(values)
    turn = values * (2 * pi / circular)
    mean = torch.atan2(turn.sin().mean(), turn.cos().mean()) * (circular / (2 * pi))
    return (values - mean + circular / 2) % circular - circular / 2


def middle(values: Float64[Tensor, " n"]) -> float:
    """The median; of an even number, the mean of the middle two."""
    return float(values.quantile(0.5))
