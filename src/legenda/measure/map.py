"""Where a row of frames changes, as an eye would see it.

Colours go into OKLab, where equal distances look about equally far apart: L is lightness, a and b
carry the colour. At two scales, as they are (1) and in blocks of `BLOCK` pixels (2), for what
moves by a pixel and what moves as a whole, a frame lies from the mean of its row by

    ΔE = √(ΔL² + Δa² + Δb²)                                                (1)
    change = root of the mean over frames of ΔE², mean over scales and rows    (2)

Two frames give half their difference. Black to white is ΔE = 1. The mean of (2) over a picture is
the effect size: how much the unit changes what one sees.

References
----------
Ottosson. A perceptual color space for image processing. 2020. OKLab and its matrices.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from legenda.errors import BadInput

CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OPPONENTS = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
BLOCK = 4


def perceptual_change(images: Float[Tensor, "r s c h w"]) -> Float64[Tensor, "h w"]:
    """Equation (2)."""
    return _by_row(images).mean(0)


def perceptual_effect(images: Float[Tensor, "r s c h w"]) -> Float64[Tensor, " r"]:
    """The mean of (2) over the picture, of each row: 0 for a row that does not change."""
    return _by_row(images).mean((1, 2))


def oklab(images: Float[Tensor, "*b c h w"]) -> Float64[Tensor, "*b c h w"]:
    """Colours from 0 to 1 (sRGB) as lightness L, 0 to 1, and the opponents a and b."""
    colours = images.detach().to("cpu", torch.float64).movedim(-3, -1).clamp(0, 1)
    linear = torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    cones, opponents = (torch.tensor(m, dtype=torch.float64) for m in (CONES, OPPONENTS))
    return ((linear @ cones.T) ** (1 / 3) @ opponents.T).movedim(-1, -3)


def _by_row(images: Float[Tensor, "r s c h w"]) -> Float64[Tensor, "r h w"]:
    r, s, c, h, w = images.shape
    if c != 3 or s < 2 or not r:
        raise BadInput(
            "A change map needs rows of two or more frames with 3 channels; it got "
            f"{tuple(images.shape)}. Give the images of a sheet."
        )
    return torch.stack([_row(oklab(row)) for row in images])


def _row(frames: Float64[Tensor, "s c h w"]) -> Float64[Tensor, "h w"]:
    """Equation (2) of one row."""
    off = frames - frames.mean(0)
    coarse = functional.avg_pool2d(off, BLOCK, ceil_mode=True, count_include_pad=False)
    fine = _distance(off)
    rough = functional.interpolate(_distance(coarse)[None, None], size=fine.shape, mode="bilinear")
    return (fine + rough[0, 0]) / 2


def _distance(off: Float64[Tensor, "s c h w"]) -> Float64[Tensor, "h w"]:
    """Equation (1), root mean square over frames."""
    return off.square().sum(1).mean(0).sqrt()
