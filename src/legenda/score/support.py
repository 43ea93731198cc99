"""Support: where on an image a unit is, once the thin rest of its map is cut away.

Of a map m ≥ 0 with the values in falling order m_(1) ≥ m_(2) ≥ …, the support is

    S = {p : m_p ≥ m_(q), m_p > 0},   q the least with Σ_{i ≤ q} m_(i) ≥ share · Σ_i m_i    (1)

so that pixels that tie with the last one kept are kept too. Masks of parts are widened by one
pixel on all sides, corners included, because a patch at the edge of a part sees both sides:

    M'_p = max of M over the 3 × 3 pixels about p                         (2)

An image has maps only for the units that are on in it: nothing here is k wide.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1) with 90 %, and (2).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from legenda.core.codes import Codes
from legenda.core.target import digest
from legenda.errors import BadInput, ShapeError
from legenda.score.inputs import STREAMS

SHARE = 0.9
"""The mass of a map that its support holds, as published."""


class OnMaps(NamedTuple):
    """The units that are on in one image, in rising order (u), and the map of each (u n)."""

    units: Int[Tensor, " u"]
    maps: Float[Tensor, "u n"]


def support(maps: Float[Tensor, "*b n"], share: float = SHARE) -> Bool[Tensor, "*b n"]:
    """Equation (1) for each map; a larger share keeps more. A map of zeros has no support."""
    if not 0 < share <= 1:
        raise BadInput(f"support keeps a share of a map's mass above 0 and up to 1; it got {share}. Try 0.9.")  # fmt: skip # noqa: E501
    if maps.numel() and not bool((maps >= 0).all()):
        raise BadInput(
            f"support needs maps of 0 or more; {int((~(maps >= 0)).sum())} of {maps.numel()} "
            "values are below, or NaN. Give the positive part of each map."
        )
    values = maps.double()
    falling = torch.from_numpy(np.sort(values.cpu().numpy(), axis=-1)).flip(-1).to(values.device)
    mass = falling.cumsum(-1)
    before = (mass < share * mass[..., -1:]).sum(-1, keepdim=True)
    return (values >= falling.gather(-1, before)) & (values > 0)  # (1)


def dilated(masks: Bool[Tensor, "*b h w"]) -> Bool[Tensor, "*b h w"]:
    """Equation (2) for each mask."""
    flat = masks.float().reshape(-1, 1, *masks.shape[-2:])
    return (max_pool2d(flat, 3, stride=1, padding=1) > 0).reshape(masks.shape)


def on_cells(
    masks: Bool[Tensor, "*b h w"], grid: tuple[int, int], cover: float = 0.5
) -> Bool[Tensor, "*b i j"]:
    """The cells of a grid of which a mask covers a share or more; a larger share keeps fewer."""
    if masks.shape[-2:] == grid:
        return masks
    if masks.shape[-2] < grid[0] or masks.shape[-1] < grid[1]:
        raise ShapeError(
            f"masks for a grid of {grid[0]} x {grid[1]} need at least as many pixels; they have "
            f"{masks.shape[-2]} x {masks.shape[-1]}. Give masks at a higher resolution."
        )
    flat = masks.double().reshape(-1, 1, *masks.shape[-2:])
    share = adaptive_avg_pool2d(flat, grid)
    return (share >= cover - 1e-9).reshape(*masks.shape[:-2], *grid)


def on_maps(codes: Codes, image: int, strongest: int | None = None) -> OnMaps:
    """The maps of the units that are on (above 0) in one image, or of its `strongest` few."""
    weight = codes.weight[image].detach().cpu().double()
    lit = weight > 0
    units, row = codes.index[image].cpu()[lit].unique(return_inverse=True)
    place = lit.nonzero()[:, 0]
    maps = torch.zeros(len(units), len(weight), dtype=torch.float64)
    maps.index_put_((row, place), weight[lit], accumulate=True)
    if strongest is not None and len(units) > strongest:
        order = maps.amax(1).argsort(descending=True, stable=True)
        kept = order[:strongest].sort().values
        units, maps = units[kept], maps[kept]
    return OnMaps(units, maps)


def scattered(found: OnMaps, seed: int) -> OnMaps:
    """The control: the same values, each map's at positions drawn by lot.

    Lots come from the seed and the maps alone, so that an image does not depend on its batch.
    """
    order = torch.rand(found.maps.shape, generator=lot(found, seed)).argsort(1)
    return OnMaps(found.units, found.maps.gather(1, order))


def shifted(found: OnMaps, grid: tuple[int, int], seed: int) -> OnMaps:
    """A closer control: each map is moved as a whole, round the edges, and keeps its shape."""
    many, (h, w) = len(found.units), grid
    by = torch.randint(h * w, (many, 1), generator=lot(found, seed))
    down, across = torch.arange(h * w) // w, torch.arange(h * w) % w
    source = (down + by // w) % h * w + (across + by % w) % w
    return OnMaps(found.units, found.maps.gather(1, source))


def lot(found: OnMaps, seed: int) -> torch.Generator:
    """A generator for one image."""
    content = digest(torch.cat([found.units[:, None].double(), found.maps], 1))
    return torch.Generator().manual_seed((int(content, 16) + STREAMS * (seed + 1)) % 2**63)
