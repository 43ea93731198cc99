"""Is-a against part-of: two units that go together, told apart by where each is on.

In an image, the support S of a unit is the smallest set of positions, the strongest first, that
holds a share `mass` of its weight there. Let S_i be a child's; A its parent's, less every blob
(neighbours by side or corner) that does not touch S_i; R the object region: A with its holes
filled, one position wider. Over the images with the child,

    overlap = mean |S_i ∩ A| / |S_i ∪ A|,      inside = mean |S_i ∩ R| / |S_i|    (1)

    is-a      where overlap ≥ `overlap`: both cover the same thing (a red car, a car)
    part-of   else, where inside ≥ `inside` and surely above chance: it lies within (wheel, car)
    beside    else: they merely go together (a car, a road)

A parent that is off in an image counts 0 for both. Images are the draws: an interval takes one
image that counts 1 and one that counts 0 besides those seen, so that it never closes. The control
is what (1) would be if S_i lay anywhere: |R| / n for inside, and for overlap that of |S_i| |A| / n
positions in common. With several objects in an image, blobs keep the others out of A.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. Edges that mean either; supports by mass. (1) and
the rule are ours.
Agresti, Caffo. Simple and effective confidence intervals for proportions and differences of
proportions result from adding two successes and two failures. The American Statistician 2000.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from legenda.core.codes import Codes
from legenda.corpus.unit_survey import FLOOR
from legenda.errors import BadInput

KINDS = ("is-a", "part-of", "beside")
Z, IMAGES = 1.959964, 8
"""So many images are compared at once: what is n wide exists for these only."""
PLANE = np.zeros((3, 3, 3), bool)
PLANE[1] = True
CROSS = PLANE & ndimage.generate_binary_structure(3, 1)
Supports = Bool[np.ndarray, "r n"]
Numbers = Float[np.ndarray, " e"]
COLUMNS = ("overlap", "inside", "present", "both", "overlap_chance", "inside_chance", "squared_overlap", "squared_inside")  # fmt: skip # noqa: E501


@dataclass(frozen=True, eq=False)
class Geometry:
    """Equation (1) for each pair (e), of a child and a parent; over `images` with the child.

    `present` is the share of these images with the parent anywhere, `both` the share of the
    child's support where the parent is on too; the last two are the control.
    """

    pairs: Int[np.ndarray, "e 2"]
    images: Int[np.ndarray, " e"]
    overlap: Numbers
    overlap_interval: Float[np.ndarray, "e 2"]
    inside: Numbers
    inside_interval: Float[np.ndarray, "e 2"]
    present: Numbers
    both: Numbers
    overlap_chance: Numbers
    inside_chance: Numbers


@dataclass(frozen=True)
class Kinds:
    """The rule above.

    Parameters
    ----------
    overlap: least overlap of an is-a; larger calls fewer pairs so.
    inside: least share of a part inside its whole; larger calls fewer pairs so.
    least: fewest images; a pair seen in fewer has no kind.
    sure: whether the interval must lie wholly on one side of what decides; else it has no kind.
    """

    overlap: float = 0.6
    inside: float = 0.75
    least: int = 5
    sure: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.overlap <= 1 and 0 < self.inside <= 1):
            got = f"{self.overlap} and {self.inside}"
            raise BadInput(f"Kinds needs overlap and inside above 0, at most 1; it got {got}.")

    def __call__(self, found: Geometry) -> tuple[str, ...]:
        same, within = found.overlap >= self.overlap, found.inside >= self.inside
        within &= found.inside_interval[:, 0] > found.inside_chance
        kind = np.where(same, KINDS[0], np.where(within, KINDS[1], KINDS[2]))
        known = found.images >= self.least
        if self.sure:
            within = apart(found.inside_interval, self.inside)
            known &= apart(found.overlap_interval, self.overlap) & (same | within)
        return tuple(np.where(known, kind, "").tolist())


def apart(interval: Float[np.ndarray, "e 2"], bound: float) -> Bool[np.ndarray, " e"]:
    """Whether an interval leaves out a bound."""
    return (interval[:, 0] >= bound) | (interval[:, 1] < bound)


class SupportPairs:
    """How the supports of pairs lie in images: a statistic that merges.

    Parameters
    ----------
    pairs: child and parent of each pair; only these are compared.
    size: how many units there are.
    grid: rows and columns of the positions.
    floor: above it a unit is on; higher makes supports smaller.
    mass: share of a unit's weight in an image that its support holds; 1 takes all positions.
    """

    def __init__(
        self, pairs: Int[np.ndarray, "e 2"], size: int, grid: tuple[int, int],
        floor: float = FLOOR, mass: float = 0.9,
    ):  # fmt: skip
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        if len(pairs) and not 0 <= pairs.min() <= pairs.max() < size:
            raise BadInput(
                f"SupportPairs compares units 0 to {size - 1}; it got pairs of {pairs.min()} to "
                f"{pairs.max()}. Use the dictionary that they were found with."
            )
        if not 0 < mass <= 1 or floor < 0:
            raise BadInput(
                f"SupportPairs needs a mass above 0, at most 1, and a floor of 0 or more; it got "
                f"{mass} and {floor}."
            )
        self.pairs, self.size, self.grid, self.floor, self.mass = pairs, size, grid, floor, mass
        self.units, place = np.unique(pairs, return_inverse=True)
        self.place = place.reshape(-1, 2)
        self.images = np.zeros(len(pairs), np.int64)
        self.sums = np.zeros((len(pairs), len(COLUMNS)))

    def update(self, codes: Codes) -> "SupportPairs":
        """Compare the pairs in more images; in which batches changes nothing."""
        height, width = self.grid
        if codes.size != self.size or codes.index.shape[1] != height * width:
            raise BadInput(
                f"SupportPairs needs codes over {self.size} units on a grid of {height} × {width}; "
                f"it got {codes.size} units and {codes.index.shape[1]} positions."
            )
        weight = codes.weight.detach().cpu().double()
        for part in zip(codes.index.cpu().split(IMAGES), weight.split(IMAGES), strict=True):
            self._few(*(tensor.numpy() for tensor in part))
        return self

    def merge(self, other: "SupportPairs") -> "SupportPairs":
        """The sums over the images of both."""
        same, its = ((x.size, x.grid, x.floor, x.mass) for x in (self, other))
        if same != its or not np.array_equal(self.pairs, other.pairs):
            raise BadInput(
                "SupportPairs merges sums of the same pairs by the same settings; these differ. "
                "Compare the same in both."
            )
        both = SupportPairs(self.pairs, *same)
        both.images, both.sums = self.images + other.images, self.sums + other.sums
        return both

    def result(self) -> Geometry:
        """What was seen so far."""
        n = self.images.astype(np.float64)
        sums: dict[str, Numbers] = dict(zip(COLUMNS, self.sums.T, strict=True))
        means = {name: sums[name] / np.maximum(n, 1) for name in COLUMNS[:6]}
        ends = {
            f"{name}_interval": around(n, sums[name], sums[f"squared_{name}"])
            for name in COLUMNS[:2]
        }
        return Geometry(self.pairs, self.images.copy(), **means, **ends)

    def _few(self, index: Int[np.ndarray, "b n j"], weight: Float[np.ndarray, "b n j"]) -> None:
        """Equation (1) in a few images, pair by pair, added in the order of images."""
        seen, support = self._supports(index, weight)
        image, pair = np.nonzero(seen[:, self.place[:, 0]] >= 0)
        if not len(pair):
            return
        child = support[seen[image, self.place[pair, 0]]]
        parent = support[seen[image, self.place[pair, 1]]]  # -1 is the empty one at the end
        own, region = around_child(child, parent, self.grid)
        size, its, n = child.sum(1), own.sum(1), child.shape[1]
        common, chance = (child & own).sum(1), size * its / n
        overlap = common / (size + its - common)
        inside = (child & region).sum(1) / size
        columns = (
            overlap, inside, parent.any(1), (child & parent).sum(1) / size,
            chance / (size + its - chance), region.sum(1) / n, overlap**2, inside**2,
        )  # fmt: skip
        np.add.at(self.sums, pair, np.stack(columns, 1))
        np.add.at(self.images, pair, 1)

    def _supports(self, index: Int[np.ndarray, "b n j"], weight: Float[np.ndarray, "b n j"]) -> tuple[Int[np.ndarray, "b u"], Supports]:  # fmt: skip # noqa: E501
        """Supports of the units in pairs, and the row of each unit in each image; -1 where off."""
        images, positions = index.shape[:2]
        known = np.full(self.size, -1)
        known[self.units] = np.arange(len(self.units))
        image, position, _ = slot = np.nonzero((weight > self.floor) & (known[index] >= 0))
        key = image * len(self.units) + known[index[slot]]
        keys, row = np.unique(key, return_inverse=True)
        dense = np.zeros((len(keys) + 1, positions))
        dense[row, position] = weight[slot]
        seen = np.full(images * len(self.units), -1)
        seen[keys] = np.arange(len(keys))
        return seen.reshape(images, len(self.units)), supports(dense, self.mass)


def supports(weight: Float[np.ndarray, "r n"], mass: float) -> Supports:
    """The smallest set of the strongest positions that holds a share of the weight; ties all in."""
    falling = -np.sort(-weight, axis=1)
    sums = falling.cumsum(1)
    enough = sums >= mass * sums[:, -1:] - 1e-12 * sums[:, -1:]
    least = np.take_along_axis(falling, enough.argmax(1)[:, None], 1)
    return (weight >= least) & (weight > 0)


def around_child(
    child: Supports, parent: Supports, grid: tuple[int, int]
) -> tuple[Supports, Supports]:
    """The parent's blobs that touch the child (A), and the object region that they make (R)."""
    shape = (-1, *grid)
    near = np.asarray(ndimage.binary_dilation(child.reshape(shape), PLANE), bool)
    blob = np.zeros(near.shape, np.int32)
    ndimage.label(parent.reshape(shape), PLANE, output=blob)
    touched = np.zeros(blob.max(initial=0) + 1, bool)
    touched[blob[near]] = True
    touched[0] = False
    own = touched[blob]
    filled = own | ndimage.binary_fill_holes(own, CROSS)
    region = ndimage.binary_dilation(filled, PLANE)
    return own.reshape(child.shape), region.reshape(child.shape)


def around(n: Numbers, total: Numbers, squares: Numbers) -> Float[np.ndarray, "e 2"]:
    """95 % interval of a mean between 0 and 1, with one image more at each end."""
    m, mean = n + 2, (total + 1) / (n + 2)
    half = Z * np.sqrt(np.maximum((squares + 1) / m - mean**2, 0) / m)
    return np.stack([mean - half, mean + half], 1).clip(0, 1)


def compared(pairs: Int[np.ndarray, "e 2"], codes: Iterable[Codes], size: int, grid: tuple[int, int], mass: float = 0.9) -> Geometry:  # fmt: skip # noqa: E501
    """Compare pairs over all images of a stream of codes."""
    found = SupportPairs(pairs, size, grid, mass=mass)
    for part in codes:
        found.update(part)
    return found.result()
