"""A survey: one pass over a corpus. Here, the moments that standardise a channel.

Statistics are float64, computed per fixed shard and merged in the order of the shards, so
that batches of whole shards never change a byte.

References
----------
Chan, Golub, LeVeque. Algorithms for computing the sample variance. The American
Statistician 1983. Merging means and sums of squares.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.model import Model, Prefix, prefix_of
from legenda.core.target import digest
from legenda.types import Acts, Mask

SHARD = 32
FLOOR = 1e-2
"""The least spread of a channel, as a share of the mean spread: a dead channel tells nothing."""


@dataclass(frozen=True)
class Sums:
    """Count, mean and sum of squared deviations of rows: what merges exactly."""

    count: int
    mean: Float[Tensor, " d"]
    squares: Float[Tensor, " d"]

    @classmethod
    def of(cls, rows: Float[Tensor, "r d"]) -> "Sums":
        rows = rows.double()
        if not len(rows):
            nothing = rows.new_zeros(rows.shape[1])
            return cls(0, nothing, nothing)
        mean = rows.mean(0)
        return cls(len(rows), mean, (rows - mean).pow(2).sum(0))

    def merge(self, other: "Sums") -> "Sums":
        """The sums of both sets of rows together."""
        count = self.count + other.count
        if not other.count or not self.count:
            return self if self.count else other
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        squares = self.squares + other.squares + gap.pow(2) * (self.count * other.count / count)
        return Sums(count, mean, squares)


@dataclass(frozen=True, eq=False, repr=False)
class Moments:
    """Mean and spread of each channel at a site, over the positions of reference inputs.

    Special tokens are kept apart from ordinary positions, and from each other by their rank
    (a sentence's first, such as its begin, then its second, such as its end), since their
    acts differ by orders of magnitude in many models. `source` says what was surveyed.
    """

    mean: Float[Tensor, " d"]
    spread: Float[Tensor, " d"]
    special_mean: Float[Tensor, "k d"]
    special_spread: Float[Tensor, "k d"]
    count: int
    source: str

    def __repr__(self) -> str:
        held = torch.cat([self._by_rank("mean"), self._by_rank("spread")])
        return f"Moments({self.count} positions of {self.source}, {digest(held)})"

    @classmethod
    def from_sums(cls, sums: Sequence[Sums], source: str) -> "Moments":
        """Moments with a floor under the spread: first ordinary positions, then each rank."""
        raw = [(s.squares / max(1, s.count)).sqrt() for s in sums]
        floor = max(FLOOR * float(raw[0].mean()), 1e-6)
        mean = torch.stack([s.mean for s in sums]).float()
        spread = torch.stack(raw).clamp(min=floor).float()
        return cls(mean[0], spread[0], mean[1:], spread[1:], sums[0].count, source)

    @classmethod
    def of(cls, prefix: Prefix, source: str = "the inputs themselves") -> "Moments":
        """Moments of one batch: what is left to do where there is no reference."""
        return cls.from_sums(_sums(prefix), source)

    @classmethod
    def raw(cls, width: int) -> "Moments":
        """Mean 0 and spread 1: acts are taken as they are."""
        zero, one = torch.zeros(width), torch.ones(width)
        return cls(zero, one, zero[None], one[None], 0, "none: raw acts")

    def at(self, acts: Acts, special: Mask) -> tuple[Tensor, Tensor]:
        """Mean and spread for each position (b n d), by whether and which special it is."""
        which = rank(special).clamp(max=len(self.special_mean))
        return self._by_rank("mean").to(acts)[which], self._by_rank("spread").to(acts)[which]

    def _by_rank(self, part: str) -> Float[Tensor, "r d"]:
        return torch.cat([getattr(self, part)[None], getattr(self, f"special_{part}")])


def rank(special: Mask) -> Int[Tensor, "b n"]:
    """0 at ordinary positions, 1 at the first special one of its input, 2 at the second, …"""
    return special.cumsum(1) * special


def survey_moments(model: Model[Any], batches: Iterable[Tensor], source: str) -> Moments:
    """One pass over reference inputs, `b … -> d`; shards of fixed size, merged in order."""
    found: list[Sums] = []
    for x in batches:
        for shard in x.split(SHARD):
            more = _sums(prefix_of(model, shard))
            common = [a.merge(b) for a, b in zip(found, more, strict=False)]
            found = common + found[len(common) :] + more[len(common) :]
    if not found:
        raise ValueError("a survey needs at least one input")
    return Moments.from_sums(found, source)


def _sums(prefix: Prefix) -> list[Sums]:
    """Sums of ordinary positions, then of special ones by rank."""
    which = rank(prefix.special & prefix.valid)
    ordinary = prefix.valid & ~prefix.special
    ranks = range(1, int(which.max()) + 1)
    return [Sums.of(prefix.acts[ordinary]), *(Sums.of(prefix.acts[which == k]) for k in ranks)]
