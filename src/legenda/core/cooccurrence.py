"""Co-occurrence: which units are found in the same images more often than chance.

With p_mi = 1 where unit i is in image m, and N images,

    C_ij = Σ_m p_mi p_mj,    c_i = C_ii                                   (1)
    lift_ij = C_ij / E_ij,   E_ij = c_i c_j / N                           (2)

Lift is 1 for units that ignore each other, and N / c_i for a unit with itself. Its interval
takes images for independent draws of four cells (both units, one, the other, neither). To
first order log lift then has the variance κ / C, whence C about its mean λE has κ λE:

    κ = 1 - C/c_i - C/c_j + C (2 lift - 1) / N                            (3)
    λ E = C + ½ z²κ ± z √(κ (C + ¼ z²κ)),  the roots of (C - λE)² = z² κ λE  (4)

This is Wilson's way with κ in it: it needs no C above 0, and treats i and j alike. κ is taken
with half an image added to each cell, so that a unit that is always there with another is
not believed to be so for ever. Wilson's interval of P(j | i) over the base share c_j / N is
not taken: it forgets that the base comes from the same images, and misses strong lifts about
every second time (the tests show it).

C is exact. A matrix product of zeros and ones in float32 adds whole numbers; as long as no sum
exceeds 2²⁴, each is represented exactly, so that every addition is exact in any order. Images
go through it `ROWS` at a time, and the products are added in int64.

The strongest of many pairs is strong by selection too. Its control is the strongest pair of
shuffled images, in which every unit is as frequent and none knows of the others.

References
----------
Brin, Motwani, Silverstein. Beyond market baskets: generalizing association rules to
correlations. SIGMOD 1997. (2), there called interest.
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927. The
way of (4), for a share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.interval import Interval
from legenda.errors import BadInput

ROWS = 1 << 10
"""Images per matrix product: far below the 2²⁴ up to which float32 counts exactly."""
Z = 1.959964
Numbers = Float[Tensor, " *p"]


class PairCounts:
    """How often units, and pairs of them, are in an image: a statistic that merges exactly.

    Parameters
    ----------
    size: how many units there are.
    units: the ones to count, by number; None: all. Memory is 8 bytes times their square.
    """

    def __init__(self, size: int, units: Sequence[int] | None = None):
        chosen = sorted(set(range(size) if units is None else units))
        if not chosen or not 0 <= chosen[0] <= chosen[-1] < size:
            got = f"{chosen[0]} to {chosen[-1]}" if chosen else "none"
            raise BadInput(
                f"PairCounts counts some of {size} units, numbered from 0; it got {got}. Choose "
                "one or more of them."
            )
        self.size, self.units = size, torch.tensor(chosen)
        self.images, self.pairs = 0, torch.zeros(len(chosen), len(chosen), dtype=torch.int64)

    def update(self, seen: Bool[Tensor, "b k"] | Int[Tensor, "b n"]) -> "PairCounts":
        """Count more images: which units each has (Bool, one column per unit), or its tokens."""
        for part in seen.split(ROWS):
            held = part if part.dtype == torch.bool else presence(part, self.size)
            if held.shape[1] != self.size:
                raise BadInput(
                    f"PairCounts needs presence of {self.size} units, one column each; it got "
                    f"{held.shape[1]} columns. Use the dictionary that it was made for."
                )
            ones = held[:, self.units.to(held.device)].float()
            self.pairs += (ones.T @ ones).long().to(self.pairs.device)  # (1)
            self.images += len(part)
        return self

    def merge(self, other: "PairCounts") -> "PairCounts":
        """The counts over the images of both."""
        if self.size != other.size or not torch.equal(self.units, other.units):
            raise BadInput(
                f"PairCounts merges counts of the same units; these hold {len(self.units)} of "
                f"{self.size} and {len(other.units)} of {other.size}. Count the same in both."
            )
        both = PairCounts(self.size, self.units.tolist())
        both.images, both.pairs = self.images + other.images, self.pairs + other.pairs
        return both

    def result(self) -> "Pairs":
        """What was counted so far."""
        return Pairs(self.images, self.units, self.pairs.clone())


@dataclass(frozen=True)
class Lift:
    """How much more often than by chance two units are in one image.

    `value` is (2), `interval` its 95 % interval; `together` images of `images` hold both, and
    `counts` hold each.
    """

    first: int
    second: int
    value: float
    interval: Interval
    together: int
    counts: tuple[int, int]
    images: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Counts of units (on the diagonal of `pairs`) and of pairs of them, over images."""

    images: int
    units: Int[Tensor, " k"]
    pairs: Int[Tensor, "k k"]

    @property
    def counts(self) -> Int[Tensor, " k"]:
        """How many images hold each unit."""
        return self.pairs.diagonal()

    def lift(self, first: int, second: int) -> Lift:
        """Lift of two units, by their numbers."""
        row, column = self._place(first), self._place(second)
        for unit, at in ((first, row), (second, column)):
            if not self.counts[at]:
                raise BadInput(
                    f"unit {unit} is in none of {self.images} images, so that it has no lift. "
                    "Survey more images, or choose another unit."
                )
        return self._lifts(torch.tensor([row]), torch.tensor([column]))[0]

    def strongest(self, count: int = 20, least: int = 5) -> tuple[Lift, ...]:
        """Pairs of two units that at least `least` images hold, by the lower end of their lift.

        Lower numbers come first where two pairs tie.
        """
        if count < 1 or least < 1:
            raise BadInput(
                f"the strongest pairs are one or more, each in one image or more; it got "
                f"count={count}, least={least}."
            )
        rows, columns = (self.pairs.triu(1) >= least).nonzero(as_tuple=True)
        low = lifts(self.images, *self._numbers(rows, columns))[1]
        best = low.sort(descending=True, stable=True).indices[:count]
        return self._lifts(rows[best], columns[best])

    def shuffled(self, seed: int = 0) -> "Pairs":
        """The same counts of units, dealt to images by lot: what chance alone would pair.

        This is how counts come out when each unit's presence is permuted over all images;
        it needs their number only. Memory is a byte per image and unit.
        """
        lot = torch.Generator().manual_seed(seed)
        seen = torch.zeros(self.images, len(self.units), dtype=torch.bool)
        for place, many in enumerate(self.counts.tolist()):
            seen[torch.randperm(self.images, generator=lot)[:many], place] = True
        return Pairs(self.images, self.units, PairCounts(len(self.units)).update(seen).pairs)

    def _place(self, unit: int) -> int:
        found = (self.units == unit).nonzero()
        if not len(found):
            raise BadInput(
                f"unit {unit} is not among the {len(self.units)} that were counted. Count it too."
            )
        return int(found[0])

    def _numbers(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        held = self.counts.double()
        return held[rows], held[columns], self.pairs[rows, columns].double()

    def _lifts(self, rows: Tensor, columns: Tensor) -> tuple[Lift, ...]:
        numbers = self._numbers(rows, columns)
        names = (self.units[rows], self.units[columns])
        every = zip(
            *(t.tolist() for t in (*names, *lifts(self.images, *numbers))),
            *(t.long().tolist() for t in numbers),
            strict=True,
        )
        return tuple(
            Lift(i, j, value, (low, high), both, (mine, its), self.images)
            for i, j, value, low, high, mine, its, both in every
        )


@dataclass(frozen=True)
class StrongestPairs:
    """Pairs by the lower end of their lift; `control` is the strongest after a shuffle.

    `control` is None where no pair of the shuffled images has the support that was asked for.
    """

    pairs: tuple[Lift, ...]
    control: Lift | None


def strongest_pairs(pairs: Pairs, count: int = 20, least: int = 5, seed: int = 0) -> StrongestPairs:
    """The strongest pairs, beside the strongest that chance makes of as frequent units."""
    control = pairs.shuffled(seed).strongest(1, least)
    return StrongestPairs(pairs.strongest(count, least), control[0] if control else None)


def presence(tokens: Int[Tensor, "b n"], size: int) -> Bool[Tensor, "b k"]:
    """Which of `size` tokens are anywhere in each image."""
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        wrong = int(tokens.min()) if tokens.min() < 0 else int(tokens.max())
        raise BadInput(f"token {wrong} is not one of {size}, numbered from 0. Use its codebook.")
    empty = torch.zeros(len(tokens), size, dtype=torch.bool, device=tokens.device)
    return empty.scatter_(1, tokens.long(), True)


def lifts(
    images: int, first: Numbers, second: Numbers, both: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Equations (2) to (4): lift and the two ends of its 95 % interval."""
    expected = first * second / images  # (2)
    c, c_i, c_j, n = both + 0.5, first + 1, second + 1, images + 2
    kappa = 1 - c / c_i - c / c_j + c * (2 * n * c / (c_i * c_j) - 1) / n  # (3)
    kappa = kappa.clamp(min=0) * Z**2
    middle, half = both + kappa / 2, (kappa * (both + kappa / 4)).sqrt()  # (4)
    return both / expected, (middle - half).clamp(min=0) / expected, (middle + half) / expected
