"""Where the object lies, how large it is and how it stands, by moments of its soft mask.

With m the mask, at pixel centres, σ its central second moments (of a pixel itself: 1/12 more) and
λ₁ ≥ λ₂ their principal values:

    x, y = mean of the position under m, from 0 (left, top) to 1           (1)
    size = mean of m over the picture                                      (2)
    orientation = ½ atan2(-2 σ_xy, σ_xx - σ_yy),  of the long axis          (3)
    elongation = √(λ₁ / λ₂),      aspect = √(σ_xx / σ_yy)                  (4)
    slant = -σ_xy / σ_yy:  how far the top leans to the right, by height    (5)
    balance = (middle of its height - y) / its height                      (6)

An angle is anticlockwise from the horizontal, in degrees up to 180. Below `ROUND` in (4) nothing
has one: a square has two, a disc any. What is wide does not lean: `WIDE`. The height of (6) is
where m lies but for `TAIL` of it above and below.

References
----------
Hu. Visual pattern recognition by moment invariants. IRE Transactions on Information Theory 1962.
Principal axes from second moments.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.measure.foreground import Foreground

ROUND, WIDE, TAIL = 1.06, 1.5, 0.02


class Moments(NamedTuple):
    """Equations (1) to (6), each under its name in `core.attribute`."""

    x: Float[Tensor, " b"]
    y: Float[Tensor, " b"]
    size: Float[Tensor, " b"]
    orientation: Float[Tensor, " b"]
    slant: Float[Tensor, " b"]
    aspect: Float[Tensor, " b"]
    elongation: Float[Tensor, " b"]
    balance: Float[Tensor, " b"]


class Second(NamedTuple):
    """Central second moments, in pixels squared, and their principal values."""

    xx: Float[Tensor, " b"]
    yy: Float[Tensor, " b"]
    xy: Float[Tensor, " b"]
    long: Float[Tensor, " b"]
    short: Float[Tensor, " b"]


def moments(seen: Foreground) -> Moments:
    """Equations (1) to (6); NaN without a figure, or where a picture has no such thing."""
    mask, clear = seen.mask, seen.where_clear
    x, y = centre(mask)
    two = second(mask)
    angle = torch.rad2deg(0.5 * torch.atan2(-2 * two.xy, two.xx - two.yy)) % 180  # (3)
    elongation, aspect = (two.long / two.short).sqrt(), (two.xx / two.yy).sqrt()  # (4)
    return Moments(
        x=clear((x + 0.5) / mask.shape[2]),  # (1)
        y=clear((y + 0.5) / mask.shape[1]),
        size=clear(mask.mean((1, 2))),  # (2)
        orientation=clear(angle.where(elongation >= ROUND, torch.nan)),
        slant=clear((-two.xy / two.yy).where(aspect <= WIDE, torch.nan)),  # (5)
        aspect=clear(aspect),
        elongation=clear(elongation),
        balance=clear(balance(mask, y)),
    )


def centre(mask: Float[Tensor, "b h w"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Mean column and mean row; the middle of the picture where the mask is empty."""
    across, down = mask.sum(1), mask.sum(2)
    return mean_place(across), mean_place(down)


def mean_place(profile: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
    """The mean index under a profile."""
    place = torch.arange(profile.shape[1], dtype=profile.dtype) - (profile.shape[1] - 1) / 2
    mean = (profile * place).sum(1) / profile.sum(1).clamp_min(1e-9)
    return mean + (profile.shape[1] - 1) / 2


def second(mask: Float[Tensor, "b h w"]) -> Second:
    """Central second moments about the centre."""
    x, y = centre(mask)
    right = torch.arange(mask.shape[2], dtype=mask.dtype) - x[:, None]
    down = torch.arange(mask.shape[1], dtype=mask.dtype) - y[:, None]
    total = mask.sum((1, 2)).clamp_min(1e-9)
    xx = (mask.sum(1) * right.square()).sum(1) / total + 1 / 12
    yy = (mask.sum(2) * down.square()).sum(1) / total + 1 / 12
    xy = ((mask * right[:, None]).sum(2) * down).sum(1) / total
    half, apart = (xx + yy) / 2, (((xx - yy) / 2).square() + xy.square()).sqrt()
    return Second(xx, yy, xy, half + apart, (half - apart).clamp_min(1 / 12))


def balance(mask: Float[Tensor, "b h w"], y: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Equation (6)."""
    rows = mask.sum(2)
    top, bottom = crossing(rows, TAIL), crossing(rows, 1 - TAIL)
    return ((top + bottom) / 2 - (y + 0.5)) / (bottom - top).clamp_min(1)


def crossing(profile: Float[Tensor, "b p"], share: float) -> Float[Tensor, " b"]:
    """How far along a profile a share of it is reached, in pixels from its edge."""
    upto = profile.cumsum(1) / profile.sum(1, keepdim=True).clamp_min(1e-9)
    at = (upto < share).sum(1, keepdim=True).clamp_max(profile.shape[1] - 1)
    reached = upto.gather(1, at)
    step = (profile / profile.sum(1, keepdim=True).clamp_min(1e-9)).gather(1, at)
    back = ((reached - share) / step.clamp_min(1e-9)).clamp(0, 1)
    return (at + 1 - back)[:, 0]
