"""How fine the detail of a picture is.

With Y the luma, |∇Y| its slope at a pixel and H what a small blur takes away from it,

    texture = Σ |∇Y| |H| / Σ |∇Y|                                          (1)

the mean of |H| over the steps of the picture, so that neither a longer outline nor a larger flat
part changes it: sharp steps and strong grain give much, soft ones little, a flat picture 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.measure.light import luma

FLAT = 1e-3
"""A mean slope that no one sees, in white per pixel: below it (1) falls to 0 smoothly."""


def texture(images: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Equation (1)."""
    grey = luma(images)
    fine = (grey - blurred(grey)).abs()
    wide = torch.nn.functional.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
    down = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
    slope = (across.square() + down.square()).sqrt()
    return (slope * fine).mean((1, 2)) / slope.mean((1, 2)).clamp_min(FLAT)  # (1)


def blurred(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """A bell of weights 1 4 6 4 1 down and across; the edge goes on as it is."""
    wide = torch.nn.functional.pad(maps[:, None], (2, 2, 2, 2), mode="replicate")[:, 0]
    rows = _five(*(wide[:, i : i + maps.shape[1]] for i in range(5)))
    return _five(*(rows[:, :, i : i + maps.shape[2]] for i in range(5)))


def _five(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    return (a + e + 4 * (b + d) + 6 * c) / 16
