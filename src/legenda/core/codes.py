"""Codes: which units are on, and how strongly."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """At every position, j units are on.

    A codebook fills one slot, a top-j autoencoder fills j, neurons fill all k of them.
    One layout serves all three, and nothing is k wide unless it has to be. A unit has at
    most one slot per position; a slot that is only padding weighs 0.
    """

    index: Int[Tensor, "b n j"]
    weight: Float[Tensor, "b n j"]
    size: int

    def of(self, unit: int) -> Float[Tensor, "b n"]:
        """How strongly one unit is on, at each position."""
        return (self.weight * (self.index == unit)).sum(-1)

    def dense(self) -> Float[Tensor, "b n k"]:
        """Return the same codes, k wide."""
        empty = self.weight.new_zeros(*self.index.shape[:2], self.size)
        return empty.scatter_add(2, self.index, self.weight)

    def pooled(self, scores: Float[Tensor, "b n"] | None = None) -> Float[Tensor, "b k"]:
        """Sum over positions, each position weighted by `scores` if given."""
        weight = self.weight if scores is None else self.weight * scores[:, :, None]
        empty = weight.new_zeros(len(weight), self.size)
        return empty.scatter_add(1, self.index.flatten(1), weight.flatten(1))

    def strongest(self) -> Float[Tensor, "b k"]:
        """Return each unit's strongest weight in each image, 0 where it is never on."""
        empty = self.weight.new_zeros(len(self.weight), self.size)
        index, weight = self.index.flatten(1), self.weight.flatten(1)
        return empty.scatter_reduce(1, index, weight, "amax", include_self=False)


CodeEdit = Callable[[Codes], Codes]
