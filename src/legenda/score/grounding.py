"""Grounding: do units lie on parts of things, the same ones each time, and on one at a time?

With S_iu the support of unit u's map in image i and M_ip the widened mask of part p there
(`support.py`), and IoU_iup = |S ∩ M| / |S ∪ M|, 0 where either is absent,

    locality    = mean_p mean_{i: p in i} max_u IoU_iup                    (1)
    consistency = mean_p max_u mean_{i: u or p in i} IoU_iup               (2)
    impurity    = mean_u mean_{i: u in i} -Σ_l q_l ln q_l                   (3)
    q_l ∝ Σ_{x in S ∩ l} m_x,   l a widened part, or what no part covers   (4)

(1) may choose another unit in each image, (2) keeps to one. (3) is in nats, over units that are on
in `least` images or more, of images that show a part. (1) and (2) choose the best of all units, and
so do better the more there are; their control chooses as well: the same maps, each with its
positions drawn by lot, or moved as a whole. `map_iou` chooses the unit of (2) for each part on one
half of the images and measures on the other, so that it owes nothing to the choice.

Images are resampled (`by_image.py`), with the units of (2) as they were chosen. What is kept of an
image merges (`part_overlaps.py`).

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1) to (4).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import upsample
from legenda.score.by_image import mean_of_means, scored
from legenda.score.part_overlaps import Overlaps, Side, joined, nothing, part_of
from legenda.score.support import (
    SHARE,
    OnMaps,
    dilated,
    on_cells,
    on_maps,
    scattered,
    shifted,
    support,
)

Grid = tuple[int, int]
UNITS = 64
"""Maps of so many units are interpolated at once."""


@dataclass(frozen=True, eq=False)
class Grounded:
    """Equations (1) to (3). `units` are those that (2) chose, -1 for a part that no image shows."""

    locality: Score
    consistency: Score
    impurity: Score
    units: Int[Tensor, " p"]
    each: Float[Tensor, " p"]


@dataclass(frozen=True)
class Grounding:
    """Locality, consistency and impurity of codes against masks, `b n j, b p h w -> 3`.

    Parameters
    ----------
    at: masks are pooled to the "grid" of the codes, or maps are interpolated to the "masks".
    strongest: units per image that count, by their peak; None: all that are on.
    share: of its mass that a support keeps; larger is wider.
    widened: masks by one pixel, as published; a small part is then much larger than its unit.
    least: images in which a unit must be on for (3); larger leaves rare units out.
    control: positions "scattered" by lot, or maps "shifted" as a whole, which is closer.
    seed: of the control and the intervals.
    """

    at: Literal["grid", "masks"] = "grid"
    strongest: int | None = None
    share: float = SHARE
    widened: bool = True
    least: int = 5
    control: Literal["scattered", "shifted"] = "scattered"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strongest is not None and self.strongest < 1:
            raise BadInput(
                f"Grounding counts one unit per image or more; it got strongest={self.strongest}. "
                "None counts all."
            )
        if self.at not in ("grid", "masks") or self.control not in ("scattered", "shifted"):
            raise BadInput(
                "Grounding compares at the 'grid' or the 'masks', beside maps that are 'scattered' "
                f"or 'shifted'; it got {self.at!r} and {self.control!r}. Choose one of each."
            )

    def __call__(self, codes: Codes, masks: Bool[Tensor, "b p h w"], grid: Grid) -> Grounded:
        return self.scores(self.tally(codes, masks, grid))

    def tally(self, codes: Codes, masks: Bool[Tensor, "b p h w"], grid: Grid) -> Overlaps:
        """What is kept of one batch of images."""
        checked(codes, masks, grid)
        found = [self.image(codes, i, masks[i].cpu(), grid) for i in range(len(masks))]
        return joined(found) if found else nothing(masks.shape[1], codes.size)

    def scores(self, found: Overlaps) -> Grounded:
        """Equations (1) to (3) of all images that were tallied."""
        sides = (found.measured, found.control)
        choices = [chosen(found, side) for side in sides]
        near, near_control = (nearest(found, side) for side in sides)
        kept, kept_control = (
            kept_to(found, side, units) for side, (units, _) in zip(sides, choices, strict=True)
        )
        pure, pure_control = (self.purity(found, side) for side in sides)
        return Grounded(
            scored("locality", near, near_control, self.seed, unit="IoU"),
            scored("consistency", kept, kept_control, self.seed, unit="IoU"),
            scored("impurity", pure, pure_control, self.seed, higher=False, unit="nats"),
            *choices[0],
        )

    def image(self, codes: Codes, i: int, masks: Bool[Tensor, "p h w"], grid: Grid) -> Overlaps:
        """One image: its maps and the control's, against its parts."""
        maps = on_maps(codes, i, self.strongest)
        lots = scattered(maps, self.seed) if self.control == "scattered" else shifted(maps, grid, self.seed)  # fmt: skip # noqa: E501
        small = on_cells(masks, grid) if self.at == "grid" else masks
        seen = small.flatten(1).any(1)
        wide = dilated(small) if self.widened else small
        where = torch.zeros(len(maps.units), dtype=torch.int64)
        measured, control = (self.side(one, wide, grid) for one in (maps, lots))
        return Overlaps(seen[None], where, maps.units, measured, control, codes.size)

    def side(self, found: OnMaps, parts: Bool[Tensor, "p h w"], grid: Grid) -> Side:
        """IoU with each part, and equations (3) and (4), of each unit; some at once."""
        size = (parts.shape[1], parts.shape[2])
        masks = parts.flatten(1)
        labels = torch.cat([masks, ~masks.any(0, keepdim=True)]).double()
        iou, impurity = [], []
        for some in found.maps.split(UNITS):
            maps = some if size == grid else upsample(some, grid, size).flatten(1)
            held = support(maps, self.share)
            both = (held.float() @ masks.float().T).double()  # whole numbers below 2²⁴: exact
            either = held.sum(1)[:, None] + masks.sum(1) - both
            mass = (maps * held) @ labels.T
            iou.append(both / either.clamp(min=1))
            impurity.append(torch.special.entr(mass / mass.sum(1, keepdim=True)).sum(1))
        return Side(torch.cat(iou), torch.cat(impurity))

    def purity(self, found: Overlaps, side: Side) -> Float[Tensor, " b"]:
        """Equation (3) as one number per image."""
        counts = found.parts.any(1)[found.image]
        values, image, unit = side.impurity[counts], found.image[counts], found.unit[counts]
        return mean_of_means(values, image, unit, len(found.parts), self.least)


@dataclass(frozen=True, eq=False)
class MapIoU:
    """IoU of the unit chosen for each part on other images: the mean, and each part's (NaN: unseen)."""  # noqa: E501

    score: Score
    units: Int[Tensor, " p"]
    each: Float[Tensor, " p"]


def map_iou(found: Overlaps, seed: int = 0) -> MapIoU:
    """Equation (2), its units chosen on one half of the images and measured on the other."""
    order = torch.randperm(len(found.parts), generator=torch.Generator().manual_seed(seed))
    half = len(order) // 2
    first, second = (part_of(found, rows.sort().values) for rows in (order[:half], order[half:]))
    values = []
    for name in ("measured", "control"):
        units = chosen(first, getattr(first, name))[0]
        values.append((units, kept_to(second, getattr(second, name), units)))
    (units, kept), (_, control) = values
    return MapIoU(scored("map-iou", kept, control, seed, unit="IoU"), units, each_of(second, units))


def nearest(found: Overlaps, side: Side) -> Float[Tensor, " b"]:
    """Equation (1) as one number per image."""
    best = torch.zeros(found.parts.shape, dtype=torch.float64)
    best.scatter_reduce_(0, found.image[:, None].expand(side.iou.shape), side.iou, "amax")
    image, part = found.parts.nonzero().T
    return mean_of_means(best[image, part], image, part, len(best))


def table(found: Overlaps, side: Side) -> Float[Tensor, "k p"]:
    """Mean IoU of each unit and part over images where either occurs; 0 where none does."""
    total = torch.zeros(found.size, found.parts.shape[1], dtype=torch.float64)
    both = total.clone().index_add_(0, found.unit, found.parts[found.image].double())
    total.index_add_(0, found.unit, side.iou)
    either = found.unit.bincount(minlength=found.size)[:, None] + found.parts.sum(0) - both
    return total / either.clamp(min=1)


def chosen(found: Overlaps, side: Side) -> tuple[Int[Tensor, " p"], Float[Tensor, " p"]]:
    """The unit of equation (2) for each part, and its mean IoU; -1 and NaN where it is unseen."""
    best, units = table(found, side).max(0)
    seen = found.parts.any(0)
    return units.where(seen, -1), best.where(seen, torch.nan)


def kept_to(found: Overlaps, side: Side, units: Int[Tensor, " p"]) -> Float[Tensor, " b"]:
    """Mean IoU with one given unit for each part, as one number per image."""
    image, part, values = occurrences(found, side, units)
    return mean_of_means(values, image, part, len(found.parts))


def each_of(found: Overlaps, units: Int[Tensor, " p"]) -> Float[Tensor, " p"]:
    """Mean IoU with one given unit for each part; NaN where neither occurs."""
    _, part, values = occurrences(found, found.measured, units)
    count = part.bincount(minlength=len(units))
    return part.bincount(values, minlength=len(units)) / count.where(count > 0, torch.nan)


def occurrences(
    found: Overlaps, side: Side, units: Int[Tensor, " p"]
) -> tuple[Int[Tensor, " o"], Int[Tensor, " o"], Float[Tensor, " o"]]:
    """Each image and part where the part or its unit occurs, and their IoU."""
    mine = found.unit[:, None] == units
    at, part = mine.nonzero().T
    values = torch.zeros(found.parts.shape, dtype=torch.float64)
    values[found.image[at], part] = side.iou[at, part]
    occur = found.parts & (units >= 0)
    occur[found.image[at], part] = True
    image, which = occur.nonzero().T
    return image, which, values[image, which]


def checked(codes: Codes, masks: Bool[Tensor, "b p h w"], grid: Grid) -> None:
    """Refuse masks and codes that are not of the same images and grid."""
    b, n = codes.index.shape[:2]
    if len(masks) != b or n != grid[0] * grid[1] or not masks.shape[1]:
        raise ShapeError(
            f"Grounding needs codes of {grid[0]} x {grid[1]} positions and masks (b p h w) of the "
            f"same images; it got {b} images of {n} positions and masks of {tuple(masks.shape)}. "
            "Leave out special tokens, and give the masks in the order of the images."
        )
