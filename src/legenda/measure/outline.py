"""The outline of the object: how round, convex and symmetric it is, its pieces and its holes.

The hull is taken from the points where the soft mask m crosses one half along rows and columns,
between pixels, by its support h in evenly turned directions δ apart; from it length and area are

    h(θ) = max of x cos θ + y sin θ over the points                        (1)
    l_i = (h_(i-1) + h_(i+1) - 2 h_i cos δ) / sin δ                        (2)
    P = Σ l_i,      A = ½ Σ h_i l_i                                        (3)

    roundness = 4 π A / P²   after the axes of m are made equal            (4)
    convexity = Σ m / A                                                    (5)
    symmetry = Σ min(m, m') / Σ max(m, m'),  m' its mirror image            (6)

(4) is 1 for every ellipse and π/4 for every rectangle and rhomb: to be long is not to be angular.
(6) mirrors left to right about the mean column, after a small blur, so that half a pixel does not
matter. Pieces (touching by side or corner) and holes (by side) are counted where m > ½; what is
smaller than `PIECE` of the object, or a few pixels, is a speck.

References
----------
Santaló. Integral geometry and geometric probability. Addison-Wesley 1976. Length and area of a
convex set from its support function.
"""

from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from legenda.measure.foreground import SPECK, Foreground
from legenda.measure.moments import centre, second
from legenda.measure.texture import blurred

TURNS = 180
PIECE = 0.03
PLANE = np.zeros((3, 3, 3), bool)
PLANE[1] = True
CROSS = PLANE & ndimage.generate_binary_structure(3, 1)


class Outline(NamedTuple):
    """Equations (4) to (6) and the counts, each under its name in `core.attribute`."""

    roundness: Float[Tensor, " b"]
    convexity: Float[Tensor, " b"]
    symmetry: Float[Tensor, " b"]
    count: Float[Tensor, " b"]
    holes: Float[Tensor, " b"]


def outline(seen: Foreground) -> Outline:
    """All of them; NaN without a figure."""
    mask, clear = seen.mask, seen.where_clear
    points = crossings(mask)
    length, area = hull(evened(points, mask))
    solid = mask.sum((1, 2)) / hull(points)[1].clamp_min(1e-9)  # (5)
    count, holes = pieces(mask > 0.5)
    return Outline(
        roundness=clear(4 * pi * area / length.square().clamp_min(1e-9)),  # (4)
        convexity=clear(solid.clamp_max(1)),
        symmetry=clear(symmetry(blurred(mask))),
        count=clear(count),
        holes=clear(holes),
    )


def crossings(mask: Float[Tensor, "b h w"]) -> Float[Tensor, "b p xy"]:
    """First and last point of each row and column where m crosses ½, x and y from the centre.

    A row or column that never does gives the centre itself, which changes no hull about it.
    """
    x, y = centre(mask)
    ends = [_ends(side) for side in (mask, mask.mT)]
    places = []
    for (near, far, there), across in zip(ends, (True, False), strict=True):
        line = torch.arange(near.shape[1], dtype=mask.dtype).expand_as(near)
        for end in (near, far):
            both = (end, line) if across else (line, end)
            off = torch.stack([both[0] - x[:, None], both[1] - y[:, None]], 2)
            places.append(off * there[:, :, None])
    return torch.cat(places, 1)


def _ends(
    mask: Float[Tensor, "b h w"],
) -> tuple[Float[Tensor, "b h"], Float[Tensor, "b h"], Bool[Tensor, "b h"]]:
    """Of each row: where m first and last crosses ½, and whether it does at all."""
    on = mask >= 0.5
    whole = torch.nn.functional.pad(mask, (1, 1))
    first = on.byte().argmax(2, keepdim=True)
    last = on.shape[2] - 1 - on.flip(2).byte().argmax(2, keepdim=True)
    found = []
    for at, out in ((first, -1), (last, 1)):
        inner, outer = whole.gather(2, at + 1), whole.gather(2, at + 1 + out)
        found.append((at + out * (inner - 0.5) / (inner - outer).clamp_min(1e-9))[:, :, 0])
    return found[0], found[1], on.any(2)


def evened(
    points: Float[Tensor, "b p xy"], mask: Float[Tensor, "b h w"]
) -> Float[Tensor, "b p xy"]:
    """The points after the inverse root of the mask's second moments."""
    two = second(mask)
    root = (two.xx * two.yy - two.xy.square()).clamp_min(1 / 144).sqrt()
    scale = 1 / (root * (two.xx + two.yy + 2 * root).sqrt())
    x, y = points.unbind(2)
    s, t, u = (v[:, None] for v in (two.yy + root, two.xx + root, -two.xy))
    return torch.stack([s * x + u * y, u * x + t * y], 2) * scale[:, None, None]


def hull(points: Float[Tensor, "b p xy"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Equations (1) to (3): length and area of the hull of each row."""
    step = 2 * pi / TURNS
    angle = torch.arange(TURNS // 2, dtype=points.dtype) * step
    along = torch.stack([angle.cos(), angle.sin()], 1) @ points.mT
    support = torch.cat([along.amax(2), -along.amin(2)], 1)  # (1)
    beside = support.roll(1, 1) + support.roll(-1, 1)
    edges = ((beside - 2 * support * cos(step)) / sin(step)).clamp_min(0)  # (2)
    return edges.sum(1), (support * edges).sum(1) / 2  # (3)


def symmetry(mask: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Equation (6)."""
    wide = mask.shape[2]
    place = 2 * centre(mask)[0][:, None] - torch.arange(wide, dtype=mask.dtype)
    low = place.floor()
    part = (place - low)[:, None]
    sides = []
    for at in (low, low + 1):
        inside = ((at >= 0) & (at < wide)).to(mask)[:, None]
        columns = at.clamp(0, wide - 1).long()[:, None].expand_as(mask)
        sides.append(mask.gather(2, columns) * inside)
    mirror = sides[0] * (1 - part) + sides[1] * part
    both = torch.minimum(mask, mirror).sum((1, 2))
    return both / torch.maximum(mask, mirror).sum((1, 2)).clamp_min(1e-9)


def pieces(solid: Bool[Tensor, "b h w"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """How many pieces and how many holes each object has, specks left out."""
    object_size = solid.sum((1, 2)).double().clamp_min(1)
    floor = (PIECE * object_size).clamp_min(SPECK)
    count = _counted(solid.numpy(), PLANE, floor)
    around = np.pad(~solid.numpy(), ((0, 0), (1, 1), (1, 1)), constant_values=True)
    # the ground outside is one part of what is not solid, and no hole
    return count, _counted(around, CROSS, torch.full_like(floor, SPECK)) - 1


def _counted(
    there: Bool[np.ndarray, "b h w"], structure: np.ndarray, floor: Float[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Connected parts of each picture that are no smaller than its floor."""
    labels, count = ndimage.label(there, structure)  # pyright: ignore[reportGeneralTypeIssues]
    size = torch.from_numpy(np.bincount(labels.ravel(), minlength=count + 1)[1:])
    owner = torch.tensor([box[0].start for box in ndimage.find_objects(labels)]).long()
    kept = (size >= floor[owner]).double()
    return torch.zeros(len(there), dtype=torch.float64).index_add(0, owner, kept)
