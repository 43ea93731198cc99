"""Colours of the object and of its ground.

With w where the object's colours are looked for, (R, G, B) a pixel and (r, g, b) the ground:

    hue = angle of Σ w ((2R - G - B) / 2, √3 (G - B) / 2)                  (1)
    saturation = Σ w (max - min of R, G, B)                                (2)
    warmth = Σ w (R - B),      object_brightness = Σ w Y                   (3)
    background = Y of the ground,      background_warmth = r - b           (4)

(1) is the circular mean of hue, each pixel counting by how colourful it is; it is NaN where the
colours are grey or cancel. The ground is the border, so that a photograph has one too.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.measure.foreground import Foreground
from legenda.measure.light import luma

GREY = 0.04
"""Colours whose mean is nearer to grey have no hue."""


class Colour(NamedTuple):
    """Equations (1) to (4), each under its name in `core.attribute`."""

    hue: Float[Tensor, " b"]
    saturation: Float[Tensor, " b"]
    warmth: Float[Tensor, " b"]
    object_brightness: Float[Tensor, " b"]
    background: Float[Tensor, " b"]
    background_warmth: Float[Tensor, " b"]


def colour(images: Float[Tensor, "b c h w"], seen: Foreground) -> Colour:
    """Equations (1) to (4)."""
    red, green, blue = (images * seen.weight[:, None]).sum((2, 3)).unbind(1)
    vivid = images.amax(1) - images.amin(1)
    return Colour(
        hue=hue(red, green, blue),
        saturation=(vivid * seen.weight).sum((1, 2)),  # (2)
        warmth=red - blue,  # (3)
        object_brightness=luma(torch.stack([red, green, blue], 1)),
        background=luma(seen.ground),  # (4)
        background_warmth=seen.ground[:, 0] - seen.ground[:, 2],
    )


def hue(
    red: Float[Tensor, " b"], green: Float[Tensor, " b"], blue: Float[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Equation (1) in degrees from 0 to 360: red 0, green 120, blue 240."""
    first, then = (2 * red - green - blue) / 2, 3**0.5 / 2 * (green - blue)  # (1)
    angle = torch.rad2deg(torch.atan2(then, first)) % 360
    return angle.where(torch.hypot(first, then) >= GREY, torch.nan)
