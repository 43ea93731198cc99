"""Localisation: does the map lie on the object that the sentence names?

Maps are interpolated to the size of the masks; from there on everything is in their pixels.
Where the peak is shared, each of the tied pixels counts for its share, so that a constant map
scores what a blind throw would. The peak is sought between the centres of the outermost
patches: beyond them interpolation only repeats the border.

References
----------
Zhang, Bargal, Lin, Brandt, Shen, Sclaroff. Top-down neural attention by excitation backprop.
IJCV 2018. The pointing game, which forgives a miss by a few pixels.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import upsample
from legenda.score.inputs import check, judge, needs_grid, on_grid

HELD: dict[str, Any] = {"repr": False, "compare": False}


@dataclass(frozen=True)
class Pointing:
    """Whether the peak lies in the mask, `b c h w -> b`, a share of 1; higher is better.

    Parameters
    ----------
    masks: the pixels of each named object.
    reach: pixels by which a peak may miss; 0 is strict, more forgives more.
    seed: of the random control.
    """

    masks: Bool[Tensor, "b h w"] = field(**HELD)
    reach: float = 0.0
    seed: int = 0
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    @property
    def name(self) -> str:
        """`pointing`, or `pointing-R` where it forgives R pixels."""
        return f"pointing-{self.reach:g}" if self.reach else "pointing"

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The share of each map's peak that lies in its mask."""
        maps = drawn_over(self.name, x, evidence, self.masks)
        down, across = between_centres(maps, needs_grid(self.name, evidence))
        peak = peaks(maps[:, down, across].flatten(1)).float()
        hit = dilated(self.masks, self.reach)[:, down, across].to(maps.device).flatten(1)
        return (peak * hit).sum(1) / peak.sum(1)


@dataclass(frozen=True)
class NamedFirst:
    """Whether the named object comes first of all, `b c h w -> b`, a share; higher is better.

    Parameters
    ----------
    masks: the pixels of every object of a picture; an empty mask is no object.
    named: which of them the sentence names.
    by: an object's strength is the "mean" or the "peak" of the map inside it.
    seed: of the random control.
    """

    masks: Bool[Tensor, "b o h w"] = field(**HELD)
    named: Int[Tensor, " b"] = field(**HELD)
    by: Literal["mean", "peak"] = "mean"
    seed: int = 0
    name: str = field(default="named-first", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """1 where the named object is first, 1/k where k objects share the first place."""
        named_mask = self.masks[torch.arange(len(self.masks)), self.named]
        maps = drawn_over(self.name, x, evidence, named_mask).flatten(1)
        inside = self.masks.flatten(2).to(maps.device)
        each = maps[:, None].expand(inside.shape)
        if self.by == "mean":
            strength = (each * inside).sum(2) / inside.sum(2).clamp(min=1)
        else:
            strength = each.masked_fill(~inside, -torch.inf).amax(2)
        strength = strength.masked_fill(~inside.any(2), -torch.inf)
        top = peaks(strength).float()
        return top.gather(1, self.named.to(maps.device)[:, None])[:, 0] / top.sum(1)


@dataclass(frozen=True)
class EnergyInside:
    """Share of the positive attribution inside the mask, `b c h w -> b`; higher is better.

    A map without any positive attribution counts as constant.

    Parameters
    ----------
    masks: the pixels of each named object.
    seed: of the random control.
    """

    masks: Bool[Tensor, "b h w"] = field(**HELD)
    seed: int = 0
    name: str = field(default="energy-inside", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The share of each map."""
        energy = drawn_over(self.name, x, evidence, self.masks).clamp(min=0).flatten(1)
        energy = torch.where(energy.any(1, keepdim=True), energy, torch.ones_like(energy))
        return (energy * self.masks.flatten(1).to(energy.device)).sum(1) / energy.sum(1)


def drawn_over(
    who: str, x: Tensor, evidence: Attribution, masks: Bool[Tensor, "b h w"]
) -> Float[Tensor, "b h w"]:
    """The maps, interpolated to the size of the masks; masks that do not fit are refused."""
    check(who, x, evidence)
    grid = needs_grid(who, evidence)
    if len(masks) != len(x):
        raise ShapeError(
            f"{who} needs one mask per picture, {len(x)} of them; it got {tuple(masks.shape)}. "
            "Give the masks of these pictures, in their order."
        )
    if not masks.flatten(1).any(1).all():
        empty = (~masks.flatten(1).any(1)).nonzero()[:, 0].tolist()
        raise BadInput(f"{who} needs an object in every picture; masks {empty} are empty.")
    height, width = masks.shape[1:]
    return upsample(on_grid(evidence.scores.detach().float(), evidence), grid, (height, width))


def peaks(values: Float[Tensor, "b n"]) -> Bool[Tensor, "b n"]:
    """Where a row is at its maximum, to within a millionth of it (interpolation rounds)."""
    top = values.amax(1, keepdim=True)
    return values >= top - 1e-6 * top.abs()


def between_centres(maps: Tensor, grid: tuple[int, int]) -> tuple[slice, slice]:
    """The pixels between the centres of the outermost patches: beyond, the map repeats itself."""
    edges = [int((size / cells - 1) / 2) for size, cells in zip(maps.shape[1:], grid, strict=True)]
    height, width = maps.shape[1:]
    return slice(edges[0], height - edges[0]), slice(edges[1], width - edges[1])


def dilated(masks: Bool[Tensor, "b h w"], reach: float) -> Bool[Tensor, "b h w"]:
    """Masks with all pixels at most `reach` pixels away from them."""
    if reach <= 0:
        return masks
    near = [distance_transform_edt(~mask) for mask in masks.cpu().numpy()]
    return torch.from_numpy(np.stack(near) <= reach).to(masks.device)  # pyright: ignore


def ceiling(x: Tensor, masks: Bool[Tensor, "b h w"], grid: tuple[int, int]) -> Attribution:
    """The best that a map of this grid can say: how much of each patch the object covers."""
    cover = adaptive_avg_pool2d(masks.float()[:, None], grid).flatten(1)
    drawn = torch.ones_like(cover, dtype=torch.bool)
    return Attribution(x, cover, drawn, grid, "share of the patch")
