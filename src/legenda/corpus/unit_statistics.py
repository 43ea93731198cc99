"""Unit statistics: how often and how strongly each unit is on, and where most; for all at once.

Over positions t, with z_ti the weight of unit i (0 where it has no slot) and τ the floor,

    active_i = Σ_t 1[z_ti > τ],     total_i = Σ_t z_ti,     squares_i = Σ_t z_ti²     (1)
    h_ib = Σ_t 1[z_ti > τ] 1[e_b ≤ z_ti < e_(b+1)],     e_b = 2^(b/8)                 (2)

and the m positions with the greatest z_ti > τ, each with its whole code; of equal ones the
earlier image goes first, then the earlier position. All of it merges: two parts of a corpus give
what the whole gives. Counts and (2) are exact, and a quantile read from (2) is off by at most
one bin, a factor of 2^(1/8) = 1.09. Sums are float64 and depend, in their last bits, on the order
of merging, which is for whoever merges to fix.

Differs from the official code: theirs keeps k dense codes of width k for each exemplar, 8 GB at
k = 8192; codes stay sparse here. `per_image` is ours.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. Exemplars, m = 30.
Chan, Golub, LeVeque. Algorithms for computing the sample variance. The American Statistician
1983. Sums of parts that merge.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from legenda.core.codes import Codes
from legenda.corpus.sparse_pairs import SparsePairs, slots_of
from legenda.corpus.unit_survey import FLOOR, Exemplars, UnitSurvey
from legenda.errors import BadInput, ShapeError
from legenda.types import Mask

TOP = 30
"""m, as published."""
EDGES = np.concatenate([[0.0], 2.0 ** (np.arange(-14 * 8, 12 * 8 + 1) / 8), [np.inf]])
"""e of equation (2), from 2⁻¹⁴ to 2¹²; what lies outside has a bin below and one above."""


@dataclass(frozen=True, eq=False)
class Strongest:
    """At most m positions of each unit, by unit and then the strongest first; one per line (e).

    `image` and `position` say where; `index` and `weight` are the whole code there (j slots).
    """

    unit: Int[np.ndarray, " e"]
    value: Float[np.ndarray, " e"]
    image: Int[np.ndarray, " e"]
    position: Int[np.ndarray, " e"]
    index: Int[np.ndarray, "e j"]
    weight: Float[np.ndarray, "e j"]

    def __len__(self) -> int:
        return len(self.unit)

    def at(self, lines: Shaped[np.ndarray, " l"]) -> "Strongest":
        """Some of the lines."""
        return Strongest(*(getattr(self, f.name)[lines] for f in fields(self)))

    def first(self, top: int) -> "Strongest":
        """Each unit's m strongest lines; of equals those that come first."""
        order = np.lexsort((-self.value, self.unit))
        return self.at(order[place(self.unit[order]) < top])

    def merge(self, other: "Strongest", top: int) -> "Strongest":
        """The strongest of both; of equals those of `self`."""
        slots = max(self.index.shape[1], other.index.shape[1])
        pairs = zip(vars(self.widened(slots)).values(), vars(other.widened(slots)).values(), strict=True)  # fmt: skip # noqa: E501
        return Strongest(*(np.concatenate(pair) for pair in pairs)).first(top)

    def widened(self, slots: int) -> "Strongest":
        """The same with more slots, which weigh 0."""
        more = ((0, 0), (0, slots - self.index.shape[1]))
        return replace(self, index=np.pad(self.index, more), weight=np.pad(self.weight, more))

    def table(self, size: int, top: int) -> Exemplars:
        """One row for each unit, on or not."""
        slots = int((self.weight != 0).sum(1).max(initial=1))
        at = (self.unit, place(self.unit))
        value, nowhere = np.zeros((size, top), np.float32), np.full((size, top), -1)
        index = np.zeros((size, top, slots), np.int32)
        found = Exemplars(value, nowhere, nowhere.copy(), index, np.zeros(index.shape, np.float32))
        for name in ("value", "image", "position"):
            getattr(found, name)[at] = getattr(self, name)
        found.index[at], found.weight[at] = self.index[:, :slots], self.weight[:, :slots]
        return found


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """What is known of all units (k) after some images.

    Parameters
    ----------
    images: how many there were.
    positions: how many positions they had.
    active, active_images: at how many positions, and in how many images, each unit is on.
    total, squares: sums of its weight and of the square of it.
    largest: its greatest weight.
    histogram: its weights that are on, by the bins of `EDGES`.
    strongest: where it is on most.
    """

    images: int
    positions: int
    active: Int[np.ndarray, " k"]
    active_images: Int[np.ndarray, " k"]
    total: Float[np.ndarray, " k"]
    squares: Float[np.ndarray, " k"]
    largest: Float[np.ndarray, " k"]
    histogram: Int[np.ndarray, "k p"]
    strongest: Strongest
    top: int = TOP

    def __len__(self) -> int:
        return len(self.active)

    @classmethod
    def of(
        cls, codes: Codes, first_image: int = 0, floor: float = FLOOR, top: int = TOP,
        per_image: int | None = None, mask: Mask | None = None,
    ) -> "UnitStatistics":  # fmt: skip
        """Statistics of whole images, numbered from `first_image`.

        Parameters
        ----------
        floor: τ; higher counts fewer positions as on.
        top: m, exemplars of each unit; more show more of its range.
        per_image: most exemplars in one image; fewer show more different images. None: any.
        mask: the positions that count; positions are numbered among these. None: all.
        """
        if top < 1 or (per_image is not None and per_image < 1):
            raise BadInput(
                f"Exemplars number 1 or more; it got top={top} and per_image={per_image}."
            )
        index, weight = compact(*slots_of(codes, floor, mask))
        image, position = where(codes, mask)
        row, slot = np.nonzero(weight)
        unit, z = index[row, slot], weight[row, slot]
        on = z > floor
        sums = _sums(unit, z.astype(np.float64), codes.size, len(index))
        unit, z, row = unit[on], z[on], row[on]
        seen = np.unique(image[row] * codes.size + unit) % codes.size
        order = _strongest(unit, z, image[row], top, per_image)
        row = row[order]
        strongest = Strongest(
            unit[order].astype(np.int32), z[order], image[row] + first_image, position[row],
            index[row].astype(np.int32), weight[row],
        )  # fmt: skip
        return cls(
            len(codes.index), len(index), _count(unit, codes.size), _count(seen, codes.size),
            *sums, _histogram(unit, z, codes.size), strongest, top,
        )  # fmt: skip

    def merge(self, other: "UnitStatistics") -> "UnitStatistics":
        """The statistics of both; `other` are later images. Sums are added in this order."""
        if len(self) != len(other) or self.top != other.top:
            raise ShapeError(
                f"UnitStatistics of {len(self)} units with {self.top} exemplars cannot be merged "
                f"with those of {len(other)} units with {other.top}. Merge what one survey found."
            )
        added = (
            getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)
            if f.name not in ("largest", "strongest", "top")
        )
        images, positions, active, active_images, total, squares, histogram = added
        return UnitStatistics(
            images, positions, active, active_images, total, squares,
            np.maximum(self.largest, other.largest), histogram,
            self.strongest.merge(other.strongest, self.top), self.top,
        )  # fmt: skip

    def result(
        self, pairs: SparsePairs, address: str, grid: tuple[int, int] | None,
        keys: tuple[str, ...], refused: tuple[tuple[str, str], ...] = (),
    ) -> UnitSurvey:  # fmt: skip
        """The survey that these statistics and pairs amount to."""
        return UnitSurvey(
            address, grid, keys, self.positions, self.active, self.active_images, self.total,
            self.squares, np.where(np.isfinite(self.largest), self.largest, 0.0), EDGES,
            self.histogram, self.strongest.table(len(self), self.top),
            pairs.together, pairs.weighted, refused,
        )  # fmt: skip


def place(ordered: Int[np.ndarray, " e"]) -> Int[np.ndarray, " e"]:
    """How many equal numbers stand before each one, where equals stand together."""
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    return np.arange(len(ordered)) - np.repeat(starts, np.diff(starts, append=len(ordered)))


def compact(
    index: Int[np.ndarray, "r j"], weight: Float[np.ndarray, "r j"]
) -> tuple[Int[np.ndarray, "r i"], Float[np.ndarray, "r i"]]:
    """The same codes without slots that are padding everywhere; what is left of it goes last."""
    held = weight != 0
    if held.all():
        return index, weight
    order = np.argsort(~held, axis=1, kind="stable")[:, : max(1, int(held.sum(1).max(initial=1)))]
    return np.take_along_axis(index, order, 1), np.take_along_axis(weight, order, 1)


def where(codes: Codes, mask: Mask | None) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """The image of each position that counts, and its number among those of the image."""
    seen = torch.ones(codes.index.shape[:2], dtype=torch.bool) if mask is None else mask.cpu()
    image, _ = seen.nonzero(as_tuple=True)
    return image.numpy(), (seen.cumsum(1) - 1)[seen].numpy()


def _count(unit: Int[np.ndarray, " e"], size: int) -> Int[np.ndarray, " k"]:
    return np.bincount(unit, minlength=size).astype(np.int64)


def _sums(
    unit: Int[np.ndarray, " e"], z: Float[np.ndarray, " e"], size: int, positions: int
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Equation (1), and the greatest z: 0 where a unit is nowhere above it but has no slot somewhere."""  # noqa: E501
    total, squares = (np.bincount(unit, y, size).astype(np.float64) for y in (z, z * z))  # (1)
    largest = np.full(size, -np.inf)
    np.maximum.at(largest, unit, z)
    absent = _count(unit, size) < positions
    return total, squares, np.where(absent, np.maximum(largest, 0.0), largest)


def _histogram(
    unit: Int[np.ndarray, " e"], z: Float[np.ndarray, " e"], size: int
) -> Int[np.ndarray, "k p"]:
    """Equation (2)."""
    bins = len(EDGES) - 1
    b = np.searchsorted(EDGES, z.astype(np.float64), side="right") - 1  # (2)
    return np.bincount(unit * bins + b, minlength=size * bins).reshape(size, bins)


def _strongest(
    unit: Int[np.ndarray, " e"], z: Float[np.ndarray, " e"], image: Int[np.ndarray, " e"],
    top: int, per_image: int | None,
) -> Int[np.ndarray, " l"]:  # fmt: skip
    """Which of some weights, in the order of images and positions, are exemplars, and their order."""  # noqa: E501
    order = np.lexsort((-z, unit))
    if per_image is not None:
        group = unit[order] * (int(image.max(initial=0)) + 1) + image[order]
        together = np.argsort(group, kind="stable")
        order = order[np.sort(together[place(group[together]) < per_image])]
    return order[place(unit[order]) < top]
