"""How a value moves along a row of frames: angles unwound, steadiness, and by how much.

    unwrapped: each step becomes the nearest of step + k period            (1)
    trend = Spearman's ρ of value and step: Pearson's r of their ranks     (2)
    shift = median over pairs i < j of (v_j - v_i) / (j - i), times the span    (3)

Ranks of ties are their mean; a row that does not move has trend 0. NaN frames are left out; with
fewer than `LEAST` left (2) and (3) are NaN. (3) is Theil's and Sen's line: up to 29 % of the
frames may be wild. Its span is from the first to the last frame that is not NaN.

References
----------
Spearman. The proof and measurement of association between two things. American Journal of
Psychology 1904. (2).
Sen. Estimates of the regression coefficient based on Kendall's tau. Journal of the American
Statistical Association 1968. (3).
"""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

LEAST = 4
"""Frames that are left, at least."""


def unwrapped(values: Float[Tensor, "r s"], circular: float) -> Float64[Tensor, "r s"]:
    """Equation (1) from the first frame on; `circular` is the period, 0 for none.

    Half a period in one step could go either way; it is taken as falling.
    """
    values = values.detach().to("cpu", torch.float64)
    there = ~values.isnan()
    if not circular or not there.any():
        return values
    place = torch.arange(values.shape[1]).expand_as(values)
    first = there.int().argmax(1, keepdim=True)
    before = place.where(there, first).cummax(1).values.maximum(first)
    filled = values.gather(1, before)
    step = (filled.diff(dim=1) + circular / 2) % circular - circular / 2  # (1)
    moved = torch.cat([filled[:, :1], step], 1).cumsum(1)
    return moved.where(there, torch.nan)


def trend(values: Float[Tensor, "r s"]) -> Float64[Tensor, " r"]:
    """Equation (2), -1 to 1."""
    values = values.detach().to("cpu", torch.float64)
    there = ~values.isnan()
    steps = torch.arange(values.shape[1], dtype=torch.float64).expand_as(values)
    a, b = (_centred(_ranks(v, there), there) for v in (values, steps))
    size = (a.square().sum(1) * b.square().sum(1)).sqrt()
    rho = (a * b).sum(1) / size.where(size > 0, 1)  # (2)
    return rho.clamp(-1, 1).where(there.sum(1) >= LEAST, torch.nan)


def shift(values: Float[Tensor, "r s"]) -> Float64[Tensor, " r"]:
    """Equation (3): the last less the first frame, by a robust line."""
    values = values.detach().to("cpu", torch.float64)
    there = ~values.isnan()
    i, j = torch.triu_indices(values.shape[1], values.shape[1], 1)
    slope = (values[:, j] - values[:, i]) / (j - i)
    place = torch.arange(values.shape[1]).expand_as(values)
    span = place.where(there, -1).amax(1) - place.where(there, values.shape[1]).amin(1)
    enough = there.sum(1) >= LEAST
    if not enough.any():
        return torch.full((len(values),), torch.nan, dtype=torch.float64)
    return (slope.nanquantile(0.5, dim=1) * span).where(enough, torch.nan)  # (3)


def _ranks(values: Float[Tensor, "r s"], there: Bool[Tensor, "r s"]) -> Float[Tensor, "r s"]:
    """Mean rank of each value among those that are there, from ½."""
    other = values[:, None]
    less = (other < values[:, :, None]) & there[:, None]
    same = (other == values[:, :, None]) & there[:, None]
    return less.sum(2).double() + same.sum(2).double() / 2


def _centred(values: Float[Tensor, "r s"], there: Bool[Tensor, "r s"]) -> Float[Tensor, "r s"]:
    kept = values * there
    mean = kept.sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1)
    return (kept - mean) * there
