"""A survey: one pass over a corpus. Here, the moments that standardise a channel.

Statistics are float64, computed per fixed shard and merged in the order of the shards, so
that batch size and workers never change a byte.

References
----------
Chan, Golub, LeVeque. Algorithms for computing the sample variance. The American
Statistician 1983. Merging means and sums of squares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
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

    Ordinary positions and special tokens (class, begin, end) are kept apart, since their
    acts differ by orders of magnitude in many models. `source` says what was surveyed.
    """

    mean: Float[Tensor, " d"]
    spread: Float[Tensor, " d"]
    special_mean: Float[Tensor, " d"]
    special_spread: Float[Tensor, " d"]
    count: int
    source: str

    def __repr__(self) -> str:
        held = torch.stack([self.mean, self.spread, self.special_mean, self.special_spread])
        return f"Moments({self.count} positions of {self.source}, {digest(held)})"

    @classmethod
    def from_sums(cls, ordinary: Sums, special: Sums, source: str) -> "Moments":
        """Moments with a floor under the spread."""

        def spread(sums: Sums) -> Tensor:
            raw = (sums.squares / max(1, sums.count)).sqrt()
            return raw.clamp(min=max(FLOOR * float(raw.mean()), 1e-6)).float()

        return cls(
            ordinary.mean.float(),
            spread(ordinary),
            special.mean.float(),
            spread(special),
            ordinary.count,
            source,
        )

    @classmethod
    def of(cls, prefix: Prefix, source: str = "the inputs themselves") -> "Moments":
        """Moments of one batch: what is left to do where there is no reference."""
        return cls.from_sums(*_sums(prefix), source)

    @classmethod
    def raw(cls, width: int) -> "Moments":
        """Mean 0 and spread 1: acts are taken as they are."""
        zero, one = torch.zeros(width), torch.ones(width)
        return cls(zero, one, zero, one, 0, "none: raw acts")

    def at(self, acts: Acts, special: Mask) -> tuple[Tensor, Tensor]:
        """Mean and spread for each position (b n d), by whether it is special."""
        where = special[..., None]
        mean = torch.where(where, self.special_mean.to(acts), self.mean.to(acts))
        spread = torch.where(where, self.special_spread.to(acts), self.spread.to(acts))
        return mean, spread


def survey_moments(model: Model[Any], batches: Iterable[Tensor], source: str) -> Moments:
    """One pass over reference inputs, `b … -> d`; shards of fixed size, merged in order."""
    ordinary, special = None, None
    for x in batches:
        for shard in x.split(SHARD):
            found = _sums(prefix_of(model, shard))
            ordinary = found[0] if ordinary is None else ordinary.merge(found[0])
            special = found[1] if special is None else special.merge(found[1])
    if ordinary is None or special is None:
        raise ValueError("a survey needs at least one input")
    return Moments.from_sums(ordinary, special, source)


def _sums(prefix: Prefix) -> tuple[Sums, Sums]:
    ordinary = prefix.valid & ~prefix.special
    return Sums.of(prefix.acts[ordinary]), Sums.of(prefix.acts[prefix.valid & prefix.special])
