"""Overlaps of units with parts: what measures of grounding keep of each image.

A row stands for a unit that is on in an image: how much its support there overlaps with each part,
and how mixed the parts are under it, once for its map and once for the control's. Nothing is k
wide; rows of some images and rows of others, put end to end, are the rows of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.errors import BadInput


@dataclass(frozen=True, eq=False)
class Side:
    """IoU of each unit that is on in an image (m) with each part, and its impurity there."""

    iou: Float[Tensor, "m p"]
    impurity: Float[Tensor, " m"]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """What is kept of some images: which parts each shows, and which of the k units are on (m)."""

    parts: Bool[Tensor, "b p"]
    image: Int[Tensor, " m"]
    unit: Int[Tensor, " m"]
    measured: Side
    control: Side
    size: int


def joined(found: Sequence[Overlaps]) -> Overlaps:
    """All images of several batches, in their order."""
    if not found:
        raise BadInput("Grounding needs at least one image; it got none. Give some images.")
    starts = torch.tensor([0, *(len(one.parts) for one in found)]).cumsum(0).tolist()
    image = [one.image + start for one, start in zip(found, starts, strict=False)]
    parts, unit = (torch.cat([getattr(one, part) for one in found]) for part in ("parts", "unit"))
    measured, control = (
        Side(torch.cat([side.iou for side in sides]), torch.cat([side.impurity for side in sides]))
        for sides in ([one.measured for one in found], [one.control for one in found])
    )
    return Overlaps(parts, torch.cat(image), unit, measured, control, found[0].size)


def part_of(found: Overlaps, rows: Int[Tensor, " r"]) -> Overlaps:
    """Some of the images, renumbered."""
    place = torch.full((len(found.parts),), -1)
    place[rows] = torch.arange(len(rows))
    kept = place[found.image] >= 0
    measured, control = (
        Side(side.iou[kept], side.impurity[kept]) for side in (found.measured, found.control)
    )
    image, unit = place[found.image[kept]], found.unit[kept]
    return Overlaps(found.parts[rows], image, unit, measured, control, found.size)


def nothing(parts: int, size: int) -> Overlaps:
    """No image at all."""
    none = torch.zeros(0, dtype=torch.int64)
    side = Side(torch.zeros(0, parts, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    return Overlaps(torch.zeros(0, parts, dtype=torch.bool), none, none, side, side, size)
