"""Conformal naming: which units are surer than nothing, with a bounded share of false names.

Against n certainties z of null sheets (`null_sheets`) the p value of a unit's certainty c is the
rank that it would have among them,

    p = (1 + #{z ≥ c}) / (n + 1)                                          (1)

valid at every n: of a unit that is like a null sheet, p ≤ α with a chance of at most α. Nulls of
several kinds give the largest of their p values, since a unit may be like any of them. Over all
units, (1) is corrected by Benjamini and Hochberg, and those with q ≤ α are named: on average at
most α of the named are like null sheets. That holds for many units against the same nulls.

No p lies below 1 / (n + 1): to name as few as u of m units takes n ≥ m / (α u) - 1 nulls.

References
----------
Bates, Candès, Lei, Romano, Sesia. Testing for outliers with conformal p-values. Annals of
Statistics 2023. (1) under Benjamini and Hochberg.
Vovk, Gammerman, Shafer. Algorithmic learning in a random world. Springer 2005. (1).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.effect import benjamini_hochberg
from legenda.errors import BadInput
from legenda.score.null_sheets import Nulls

ROUNDING = 1e-9
"""Of products of ranks: 0.05 · 3 / 3 may come out above 0.05."""


@dataclass(frozen=True, eq=False)
class ConformalNames:
    """Which units are named.

    Parameters
    ----------
    p: equation (1); smaller is surer.
    q: p corrected for the number of units.
    named: where q is at most `alpha`.
    alpha: the share of false names that is allowed, on average.
    nulls: how many there are of each kind.
    """

    p: Float[Tensor, " u"] = field(repr=False)
    q: Float[Tensor, " u"] = field(repr=False)
    named: Bool[Tensor, " u"] = field(repr=False)
    alpha: float
    nulls: dict[str, int]


@dataclass(frozen=True)
class Conformal:
    """Units that are surer than null sheets, `u -> u`.

    Parameters
    ----------
    alpha: the share of false names among the named, on average; larger names more.
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise BadInput(f"Conformal needs an alpha between 0 and 1; it got {self.alpha}.")

    def __call__(self, sureness: Float[Tensor, " u"], nulls: Nulls) -> ConformalNames:
        if not nulls:
            raise BadInput("Conformal needs certainties of null sheets; it got none of any kind.")
        each = [p_values(sureness, z) for z in nulls.values()]
        p = torch.stack(each).amax(0)
        q = benjamini_hochberg(p)
        return ConformalNames(
            p, q, q <= self.alpha * (1 + ROUNDING), self.alpha,
            {kind: len(z) for kind, z in nulls.items()},
        )  # fmt: skip


def p_values(sureness: Float[Tensor, " u"], nulls: Float[Tensor, " z"]) -> Float[Tensor, " u"]:
    """Equation (1)."""
    if not len(nulls) or nulls.isnan().any() or sureness.isnan().any():
        raise BadInput(
            "conformal p values need null certainties, and numbers; they got "
            f"{len(nulls)} nulls, {int(nulls.isnan().sum())} of them and "
            f"{int(sureness.isnan().sum())} of {len(sureness)} units NaN. Leave those out."
        )
    rising = nulls.double().sort().values
    reach = len(rising) - torch.searchsorted(rising, sureness.double().contiguous())
    return (1 + reach).double() / (len(rising) + 1)
