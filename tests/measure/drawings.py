"""Pictures whose measurements are known by hand, drawn finer and averaged down."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SIDE, FINER = 64, 4


def plane(side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Places of fine pixels, in pixels of the picture from its left and top."""
    axis = (torch.arange(side * FINER).double() + 0.5) / FINER
    return axis[None, :], axis[:, None]


def covered(there: Tensor) -> Tensor:
    """How much of each pixel a shape covers."""
    return avg_pool2d(there.double()[None, None], FINER)[0, 0]


def ellipse(x=32.0, y=32.0, a=12.0, b=12.0, turn=0.0, side: int = SIDE) -> Tensor:
    """Half axes a and b, a turned anticlockwise by some degrees."""
    u, v = plane(side)
    angle = torch.tensor(turn).deg2rad()
    along = (u - x) * angle.cos() - (v - y) * angle.sin()
    across = (u - x) * angle.sin() + (v - y) * angle.cos()
    return covered((along / a) ** 2 + (across / b) ** 2 < 1)


def bar(x0, y0, x1, y1, side: int = SIDE) -> Tensor:
    """A rectangle between two corners."""
    u, v = plane(side)
    return covered((u > x0) & (u < x1) & (v > y0) & (v < y1))


def ring(x=32.0, y=32.0, outer=14.0, inner=9.0) -> Tensor:
    return ellipse(x, y, outer, outer) - ellipse(x, y, inner, inner)


def painted(cover: Tensor, paint=(1.0, 1.0, 1.0), ground=(0.0, 0.0, 0.0)) -> Tensor:
    """One picture, 1 3 h w."""
    front, back = (torch.tensor(c).double()[:, None, None] for c in (paint, ground))
    return (cover * front + (1 - cover) * back)[None]


def blurred(images: Tensor, sigma: float = 1.5) -> Tensor:
    """As a decoder would soften them."""
    reach = torch.arange(-6, 7).double()
    bell = torch.exp(-(reach**2) / (2 * sigma**2))
    bell = (bell / bell.sum()).expand(images.shape[1], 1, 1, -1)
    wide = torch.nn.functional.pad(images, (6, 6, 6, 6), mode="replicate")
    conv = torch.nn.functional.conv2d
    return conv(conv(wide, bell, groups=3), bell.mT, groups=3)
