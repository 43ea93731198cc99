"""Sparse pairs: which units are on together, counted exactly and never as a k × k array.

With z_ti the weight of unit i at position t and τ the floor,

    C_ij = Σ_t 1[z_ti > τ] 1[z_tj > τ],      D_ij = Σ_t z_ti 1[z_tj > τ]       (1)

A position at which j units are on tells of j² pairs, so that T positions cost T j² additions, as
the sparse products C = BᵀB and D = ZᵀB, where a dense product would cost T k². Only pairs that
were ever seen are held.

Differs from the official code: theirs multiplies dense matrices, k² numbers each, in float32.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1).
Gustavson. Two fast algorithms for sparse matrices: multiplication and permuted transposition.
ACM Transactions on Mathematical Software 1978. The product, and its rows in order.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from legenda.core.codes import Codes
from legenda.corpus.unit_survey import FLOOR
from legenda.errors import BadInput, ShapeError
from legenda.types import Mask

CROWDED = 8
"""Where positions hold k/8 slots or more, nearly all pairs meet: the products are dense."""

Slots = tuple[Int[np.ndarray, "r j"], Float[np.ndarray, "r j"]]


@dataclass(frozen=True, eq=False)
class SparsePairs:
    """Equation (1) for all pairs of units that were ever on together.

    Parameters
    ----------
    together: C, a scipy CSR array (k k) of int64, rows and columns in rising order.
    weighted: D, likewise, of float64.
    """

    together: Any
    weighted: Any

    @classmethod
    def none(cls, size: int) -> "SparsePairs":
        """No position seen yet."""
        empty = np.empty((0, 1), np.int64), np.empty((0, 1))
        return cls(*_products(*empty, size, 0.0))

    @classmethod
    def of(cls, codes: Codes, floor: float = FLOOR, mask: Mask | None = None) -> "SparsePairs":
        """The pairs of some positions: of all, or of those in `mask`."""
        index, weight = slots_of(codes, floor, mask)
        if CROWDED * index.shape[1] >= codes.size:
            return cls(*_dense_products(index, weight, codes.size, floor))
        return cls(*_products(index, weight, codes.size, floor))

    def merge(self, other: "SparsePairs") -> "SparsePairs":
        """The pairs of both sets of positions; D is added in this order."""
        if self.together.shape != other.together.shape:
            raise ShapeError(
                f"SparsePairs of {len(self)} units cannot be merged with pairs of {len(other)} "
                "units. Merge what one dictionary has counted."
            )
        return SparsePairs(
            self.together + other.together, self.weighted + other.weighted
        )  # fmt: skip

    def __len__(self) -> int:
        return self.together.shape[0]


def slots_of(codes: Codes, floor: float, mask: Mask | None = None) -> Slots:
    """The slots of the positions that count; refuses what cannot be counted."""
    if not 0 <= floor < float("inf"):
        raise BadInput(
            f"A unit is on above a floor of 0 or more; it got floor={floor}. The published floor "
            f"is {FLOOR}."
        )
    index, weight = codes.index.detach(), codes.weight.detach()
    if mask is None:
        index, weight = index.flatten(0, 1), weight.flatten(0, 1)
    else:
        index, weight = index[mask], weight[mask]
    found = index.cpu().numpy(), weight.cpu().float().numpy()
    if not np.isfinite(found[1]).all():
        bad = int((~np.isfinite(found[1])).any(1).sum())
        raise BadInput(
            f"Codes are counted where they are finite; {bad} of {len(found[1])} positions hold NaN "
            "or infinity. Check the model and its input."
        )
    return found


def _products(
    index: Int[np.ndarray, "r j"], weight: Float[np.ndarray, "r j"], size: int, floor: float
) -> tuple[Any, Any]:
    """Equation (1), sparse: Z holds what is not 0, B what is on."""
    some, on = weight != 0, weight > floor
    z = _rows(index, weight.astype(np.float64), some, size)
    b = _rows(index, np.ones(weight.shape, np.int64), on, size)
    bt = b.T.tocsr()
    # transposed, a product has the columns of each row in order: cheaper than sorting them
    return (bt @ b).T.tocsr(), (bt.astype(np.float64) @ z).T.tocsr()  # (1)


def _rows(
    index: Int[np.ndarray, "r j"], value: Float[np.ndarray, "r j"] | Int[np.ndarray, "r j"],
    held: Bool[np.ndarray, "r j"], size: int,
) -> Any:  # fmt: skip
    """Some slots of each position as a sparse array (r k)."""
    starts = np.zeros(len(index) + 1, np.int32)
    np.cumsum(held.sum(1), out=starts[1:])
    return csr_array((value[held], index[held].astype(np.int32), starts), (len(index), size))


def _dense_products(
    index: Int[np.ndarray, "r j"], weight: Float[np.ndarray, "r j"], size: int, floor: float
) -> tuple[Any, Any]:
    """Equation (1) where the codes themselves are nearly k wide; counts are exact up to 2⁵³."""
    z = np.zeros((len(index), size))
    np.add.at(z, (np.arange(len(index))[:, None], index), weight.astype(np.float64))
    b = (z > floor).astype(np.float64)
    return csr_array((b.T @ b).astype(np.int64)), csr_array(z.T @ b)  # (1)
