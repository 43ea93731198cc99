"""Nested top-k (Matryoshka SAE): one order of units per row that is good at every length.

With Top_k keeping the k largest readings of a row, and k_1 < k_2 < … < k_n,

    z^i = Top_{k_i}(ReLU(a)),    x̂^i = Σ_j z^i_j d_j + b                  (1)
    L   = Σ_i α_i ‖x - x̂^i‖² / Σ_i α_i                                    (2)
    α_i = 1 (uniform),    or n - i + 1 (reverse)                          (3)

As the sets are nested, x̂^i adds to x̂^(i-1) only the units from k_(i-1) to k_i: all lengths cost
what the longest one does. Once learned, codes have k_n units; any shorter code is a prefix of it.

Differs from the paper: (2) is divided by Σ α and the variance of the rows that it began from, so
that its size does not depend on the lengths nor on the unit of the activations.

References
----------
Zaigrajew, Baniecki, Biecek. Interpreting CLIP with hierarchical sparse autoencoders. ICML 2025.
All equations.
Kusupati, Bhatt, Rege, Wallingford, Sinha, Ramanujan, Howard-Snyder, Chen, Kakade, Jain, Farhadi.
Matryoshka representation learning. NeurIPS 2022. One code that serves at many lengths.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    tangent,
    unit_length,
)
from legenda.dictionaries.scale import measure, scale, told, unexplained, written
from legenda.dictionaries.selection import strongest
from legenda.errors import BadInput


@dataclass(frozen=True)
class NestedK:
    """The k strongest units of each row, for several k at once, `r d -> k d`.

    Parameters
    ----------
    units: k; more split what they find more finely.
    ks: how many units are on, rising; more lengths make more prefixes useful.
    weights: whether all lengths weigh the same ("uniform"), or shorter ones more ("reverse").
    """

    units: int
    ks: tuple[int, ...] = (8, 16, 32)
    weights: Literal["uniform", "reverse"] = "uniform"

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise((0, *self.ks)))
        if not self.ks or not rising or self.ks[-1] > self.units:
            raise BadInput(
                f"NestedK needs lengths that rise from 1 to {self.units} at most, which is how "
                f"many units it has; it got ks={self.ks}. Change ks, or units."
            )
        if self.weights not in ("uniform", "reverse"):
            raise BadInput(
                f"NestedK weighs its lengths uniform or reverse; it got {self.weights!r}. "
                "Choose one of these."
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """α of equation (3), to sum to 1."""
        n = len(self.ks)
        alpha = [1 if self.weights == "uniform" else n - i for i in range(n)]
        return tuple(a / sum(alpha) for a in alpha)

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        return measure(begun(rows, self.units, seed, self), rows)

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2)."""
        weight, index = module.readings(rows).topk(self.ks[-1], dim=1)
        weight = weight.relu()  # (1)
        rest, loss, figures = rows - module.bias, rows.new_zeros(()), dict[str, float]()
        for start, stop, share in zip((0, *self.ks), self.ks, self.shares, strict=False):
            rest = rest - written(module.decoder, (index[:, start:stop], weight[:, start:stop]))
            loss = loss + share * rest.square().sum()  # (2)
            figures[f"fvu@{stop}"] = unexplained(rows, rest)
        figures |= told(module, rows, rest, (index, weight))
        return loss / (len(rows) * scale(module) ** 2), figures

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (1) for k_n, the strongest first: its first k_i slots are the i-th code."""
        return strongest(rows - module.bias, module.encoder, module.offset, self.ks[-1]).slots()

    shape, settle = staticmethod(tangent), staticmethod(unit_length)
