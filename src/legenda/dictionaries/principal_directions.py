"""Principal directions of latents: along which pictures differ most, and whether more than by luck.

With λ_1 ≥ λ_2 ≥ … the eigenvalues of the covariance of d channels,

    share_k = λ_k / Σ_i λ_i                                               (1)

is compared with what the k-th would have if nothing were shared between channels:

    stick_k = (1 / d) Σ_{i=k..d} 1 / i                                    (2)
    dealt_k = the 95 % quantile of (1) when each channel is dealt anew    (3)

(2) breaks a stick at random. (3) keeps every channel's own spread, and asks only whether channels
go together: latents that are independent have no principal direction but themselves. A direction
is *supported* where it and all before it exceed the control.

References
----------
Hotelling. Analysis of a complex of statistical variables into principal components. Journal of
Educational Psychology 1933. (1).
Frontier. Étude de la décroissance des valeurs propres dans une analyse en composantes principales:
comparaison avec le modèle du bâton brisé. Journal of Experimental Marine Biology and Ecology
1976. (2).
Horn. A rationale and test for the number of factors in factor analysis. Psychometrika 1965;
Buja, Eyuboglu. Remarks on parallel analysis. Multivariate Behavioral Research 1992. (3).
"""

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.interval import Interval
from legenda.dictionaries.directions import Directions, pooled
from legenda.errors import BadInput
from legenda.types import Acts


@dataclass(frozen=True)
class PrincipalFound:
    """Directions in falling order of what they explain.

    Parameters
    ----------
    directions: named pc1, pc2, …
    shares: equation (1) of each.
    intervals: of each share, over pictures.
    control: equation (2) or (3) of each.
    supported: how many exceed their control, before the first that does not.
    n: pictures.
    """

    directions: Directions
    shares: tuple[float, ...]
    intervals: tuple[Interval, ...]
    control: tuple[float, ...]
    supported: int
    n: int


@dataclass(frozen=True)
class PrincipalDirections:
    """Equation (1), `b n d -> k d`.

    Parameters
    ----------
    most: directions that are kept at most; None keeps all there are.
    null: the control: "dealt", equation (3), or "stick", equation (2).
    draws: deals of (3), and resamples of the intervals; more are steadier.
    seed: of both.
    """

    most: int | None = None
    null: Literal["dealt", "stick"] = "dealt"
    draws: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        few = self.most is not None and self.most < 1
        if self.null not in ("dealt", "stick") or self.draws < 2 or few:
            raise BadInput(
                f"PrincipalDirections keep one direction or more, by the null 'dealt' or 'stick' "
                f"and two draws or more; they got most={self.most}, {self.null!r} and "
                f"draws={self.draws}."
            )

    def __call__(self, acts: Acts) -> PrincipalFound:
        rows = pooled(acts)
        if len(rows) < 3 or not (rows != rows[:1]).any():
            raise BadInput(
                f"PrincipalDirections need three pictures or more that differ; they got "
                f"{len(rows)}. Give more."
            )
        values, axes = spectrum(rows)
        own = values > 1e-12 * values[0]
        k = min(self.most or len(values), int(own.sum()))
        shares, null = values / values.sum(), self.control(rows)
        above = (shares > null)[:k]
        names = [f"pc{i + 1}" for i in range(k)]
        made = {"learner": type(self).__name__, **asdict(self), "pictures": len(rows)}
        return PrincipalFound(
            Directions(
                axes[:k].float(), names, rows.mean(0).float(), values[:k].sqrt().float(), made
            ),
            tuple(shares[:k].tolist()),
            self.intervals(rows, k),
            tuple(null[:k].tolist()),
            int(above.long().cumprod(0).sum()),
            len(rows),
        )

    def control(self, rows: Float[Tensor, "b d"]) -> Float[Tensor, " d"]:
        """Equation (2) or (3)."""
        d = rows.shape[1]
        if self.null == "stick":
            return (1 / torch.arange(1, d + 1, dtype=torch.float64)).flip(0).cumsum(0).flip(0) / d
        lot = torch.Generator().manual_seed(self.seed)
        found = []
        for _ in range(self.draws):
            order = torch.rand(rows.shape, generator=lot).argsort(0)
            values = spectrum(rows.gather(0, order))[0]
            found.append(values / values.sum())
        return torch.stack(found).quantile(0.95, dim=0)  # (3)

    def intervals(self, rows: Float[Tensor, "b d"], k: int) -> tuple[Interval, ...]:
        """The middle 95 % of each share over resampled pictures."""
        lot = torch.Generator().manual_seed(self.seed + 1)
        found = []
        for _ in range(self.draws):
            values = spectrum(rows[torch.randint(len(rows), (len(rows),), generator=lot)])[0]
            found.append(values[:k] / values.sum())
        level = torch.tensor([0.025, 0.975], dtype=torch.float64)
        low, high = torch.stack(found).nan_to_num().quantile(level, dim=0).tolist()
        return tuple(zip(low, high, strict=True))


def spectrum(rows: Float[Tensor, "b d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Eigenvalues of the covariance, falling, and their axes; each axis has its peak above 0."""
    values, axes = torch.linalg.eigh(torch.cov(rows.T, correction=0).reshape(rows.shape[1], -1))
    axes = axes.T.flip(0)
    peak = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return values.flip(0).clamp(min=0), axes * peak.sign()
