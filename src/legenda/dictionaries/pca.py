"""Principal components: the orthogonal directions along which activations vary the most.

    C = mean of (x - b)(x - b)ᵀ,    b = mean of x                         (1)
    C u_i = λ_i u_i,    λ_1 ≥ λ_2 ≥ …                                     (2)
    z_i = (x - b) · u_i                                signed             (3)
    z_i⁺ = max(0, z_i),    z_i⁻ = max(0, -z_i)         split              (4)

The split form says the same with weights that are never negative, as maps of concepts need them:
of the two units u_i and -u_i one at most is on. No directions explain more with as few.

References
----------
Pearson. On lines and planes of closest fit to systems of points in space. Philosophical Magazine
1901.
Hotelling. Analysis of a complex of statistical variables into principal components. Journal of
Educational Psychology 1933. (1) to (3).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.dictionaries.autoencoder import ROWS, Rows, checked_rows
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.errors import BadInput


@dataclass(frozen=True)
class PCA:
    """The control that any learned dictionary should tell more than, `r d -> k d`.

    Parameters
    ----------
    units: how many units; more explain more.
    signed: one unit for each axis, whose weight may be negative; else two units for each, one
        after the other, that are never negative.
    """

    units: int
    signed: bool = True

    def __post_init__(self):
        if self.units < 1 or (not self.signed and self.units % 2):
            raise BadInput(
                f"PCA needs a unit or more, and an even number of them where each axis is two "
                f"units; it got units={self.units}. Change it."
            )

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """Directions in the order of what they explain; nothing is drawn by lot."""
        rows = checked_rows(rows, self.units)
        axes = self.units if self.signed else self.units // 2
        if axes > rows.shape[1]:
            raise BadInput(
                f"PCA finds at most {rows.shape[1]} axes in activations of width {rows.shape[1]}; "
                f"it was asked for {axes}. Ask for fewer units."
            )
        bias, covariance = moments(rows)
        found = torch.linalg.eigh(covariance).eigenvectors.T.flip(0)[:axes]  # (2)
        peak = found.gather(1, found.abs().argmax(1, keepdim=True))
        found = found * peak.sign()
        if not self.signed:
            found = torch.stack([found, -found], 1).flatten(0, 1)  # (4)
        rule = Projection(signed=self.signed)
        return LinearDictionary(found.to(rows), bias.to(rows), rule, "pca", self)


def moments(rows: Rows) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Equation (1) in float64, a few rows at a time."""
    bias = torch.stack([part.double().sum(0) for part in rows.split(ROWS)]).sum(0) / len(rows)
    total = torch.zeros(len(bias), len(bias), dtype=torch.float64, device=rows.device)
    for part in rows.split(ROWS):
        centred = part.double() - bias
        total.addmm_(centred.T, centred)
    return bias, total / len(rows)
