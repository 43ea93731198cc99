"""How bright a picture is, how much that varies, and from which side its object is lit.

With Y the luma of a pixel and w where the object's colours are looked for (`Foreground.weight`),

    brightness = mean of Y,      contrast = its standard deviation         (1)
    light = (mean of place under w (Y + c) - mean of place under w) / (√12 σ)    (2)

(2) is how far the object's brightness lies from its own middle, in shares of its width or height:
where the object is, and how bright the ground, moves neither. c keeps black things from having a
side.

References
----------
ITU-R Recommendation BT.709. The weights of luma.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.measure.foreground import Foreground

LUMA = (0.2126, 0.7152, 0.0722)
DARK = 0.1
"""c."""


class Light(NamedTuple):
    """Equations (1) and (2), each under its name in `core.attribute`."""

    brightness: Float[Tensor, " b"]
    contrast: Float[Tensor, " b"]
    light_x: Float[Tensor, " b"]
    light_y: Float[Tensor, " b"]


def luma(images: Float[Tensor, "b c *p"]) -> Float[Tensor, "b *p"]:
    """Y: how bright colours look, 0 to 1."""
    red, green, blue = images.unbind(1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def light(images: Float[Tensor, "b c h w"], seen: Foreground) -> Light:
    """Equations (1) and (2)."""
    grey = luma(images)
    return Light(
        brightness=grey.mean((1, 2)),
        contrast=grey.flatten(1).std(1, correction=0),
        light_x=side((seen.weight * grey).sum(1), seen.weight.sum(1)),
        light_y=side((seen.weight * grey).sum(2), seen.weight.sum(2)),
    )


def side(lit: Float[Tensor, "b p"], there: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
    """Equation (2) along one axis, of the sums of w Y and of w across it; 0 for no width."""
    place = torch.arange(lit.shape[1], dtype=lit.dtype)
    middle = (there * place).sum(1) / there.sum(1).clamp_min(1e-9)
    off = place - middle[:, None]
    spread = ((there * off.square()).sum(1) / there.sum(1).clamp_min(1e-9)).sqrt()
    shift = (lit * off).sum(1) / (lit + DARK * there).sum(1).clamp_min(1e-9)
    return shift / (12**0.5 * spread).clamp_min(1)
