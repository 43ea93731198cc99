"""One number per image: how measures of a whole dictionary get their intervals.

Positions of one image are alike, so that images are resampled, never positions. An estimate θ that
is not itself a mean over the b images is to first order the mean of one number per image,

    θ_i = θ + b w_i,   w_i the slope of θ by the weight of image i, Σ w_i = 0      (1)

and the bootstrap is taken over these. For a ratio of sums, θ = Σ_i A_i / Σ_i B_i, and for a mean
over G groups of means over the n_g images that are in them, θ = mean_g Σ_i v_ig / n_g,

    w_i = (A_i - θ B_i) / Σ B                                             (2)
    w_i = 1 / G · Σ_{g: i in g} (v_ig - θ_g) / n_g                        (3)

References
----------
Efron, Tibshirani. An introduction to the bootstrap. Chapman & Hall 1993. (1), by influence.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import Interval, bootstrap, wilson


def ratio(above: Shaped[Tensor, " b"], below: Shaped[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Equation (2): numbers per image whose mean is the ratio of the sums; NaN of 0 / 0."""
    above, below = above.double(), below.double()
    whole = above.sum() / below.sum()
    return whole + len(above) * (above - whole * below) / below.sum()


def mean_of_means(
    values: Float[Tensor, " o"], image: Int[Tensor, " o"], group: Int[Tensor, " o"],
    images: int, least: int = 1,
) -> Float[Tensor, " b"]:  # fmt: skip
    """Equation (3) over groups that hold `least` images or more; NaN where there is none."""
    size = int(group.max()) + 1 if len(group) else 0
    count = group.bincount(minlength=size)
    theta = group.bincount(values.double(), minlength=size) / count.clamp(min=1)
    held = count >= max(1, least)
    if not held.any():
        return torch.full((images,), torch.nan, dtype=torch.float64)
    kept = held[group]
    moved = (values - theta[group]) / count[group]
    pull = image[kept].bincount(moved[kept], minlength=images)
    return theta[held].mean() + images / int(held.sum()) * pull


def scored(
    name: str, values: Float[Tensor, " b"], control: Float[Tensor, " b"] | None = None,
    seed: int = 0, *, higher: bool = True, unit: str = "",
) -> Score:  # fmt: skip
    """A score from one number per image, beside its control's; images are resampled."""
    beside = (None, None) if control is None else (mean(control), ends(control, seed))
    return Score(name, mean(values), ends(values, seed), len(values), higher, *beside, unit)


def share_of(
    name: str, found: int, of: int, control: int, control_of: int, *, higher: bool = True
) -> Score:
    """A share with Wilson's interval, beside its control's; NaN of nothing at all."""
    shares = [a / b if b else float("nan") for a, b in ((found, of), (control, control_of))]
    around = wilson(found, of), wilson(control, control_of)
    return Score(name, shares[0], around[0], of, higher, shares[1], around[1], "share")


def mean(values: Float[Tensor, " b"]) -> float:
    """The estimate itself."""
    return float(values.double().mean())


def ends(values: Float[Tensor, " b"], seed: int) -> Interval:
    """The bootstrap's interval; NaN where the estimate is."""
    nan = float("nan")
    return bootstrap(values, seed) if bool(values.isfinite().all()) else (nan, nan)
