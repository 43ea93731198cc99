"""Overlap of the map, cut at a threshold, with the object that the sentence names.

A map m becomes a region by a cut, and the region is compared with the object's mask M,

    R   = m' ≥ threshold,   m' = m stretched to [0, 1]                    (1)
    R   = m > its own quantile at the threshold                           (2)
    IoU = |R ∩ M| / |R ∪ M|                                               (3)

The mean of (3) over pictures is called mIoU. `IoU` cuts at a fixed threshold. `BestIoU` tries
many, and **uses the truth to choose the best**: it says how good the maps could be, were the
threshold known, and must only be compared with itself.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.score.inputs import judge, span
from legenda.score.localisation import HELD, drawn_over


@dataclass(frozen=True)
class IoU:
    """Equation (3) at a fixed threshold, `b c h w -> b`, a share of 1; higher is better.

    Parameters
    ----------
    masks: the pixels of each named object.
    threshold: where the map is cut, between 0 and 1; higher keeps less.
    of: cut the stretched map, (1), or at its own "quantile", (2).
    seed: of the random control.
    """

    masks: Bool[Tensor, "b h w"] = field(**HELD)
    threshold: float = 0.5
    of: Literal["max", "quantile"] = "max"
    seed: int = 0
    name: str = field(default="iou", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BadInput(
                f"IoU cuts maps at a threshold between 0 and 1; it got {self.threshold}. Try 0.5."
            )

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The overlap of each picture."""
        maps = drawn_over(self.name, x, evidence, self.masks).flatten(1)
        if self.of == "max":
            region = span(maps) >= self.threshold  # (1)
        else:
            region = maps > maps.quantile(self.threshold, dim=1, keepdim=True)  # (2)
        return overlap(region, self.masks.flatten(1).to(maps.device))


@dataclass(frozen=True)
class BestIoU:
    """Equation (3) at the best threshold of (1), `b c h w -> b`, a share; higher is better.

    The choice of the threshold uses the truth.

    Parameters
    ----------
    masks: the pixels of each named object.
    thresholds: how many are tried, evenly between 0 and 1; more fit the truth closer.
    per: one threshold for the whole "set", or one for each "image", which flatters more.
    seed: of the random control, whose threshold is chosen by the truth as well.
    """

    masks: Bool[Tensor, "b h w"] = field(**HELD)
    thresholds: int = 19
    per: Literal["set", "image"] = "set"
    seed: int = 0
    name: str = field(default="best-iou", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The overlap of each picture, at the threshold that is best for the set or for it."""
        table = self.table(x, evidence)
        if self.per == "image":
            return table.amax(1)
        return table[:, table.mean(0).argmax()]

    def table(self, x: Tensor, evidence: Attribution) -> Float[Tensor, "b s"]:
        """The overlap at every threshold: what to put end to end where a set is in shards."""
        maps = span(drawn_over(self.name, x, evidence, self.masks).flatten(1))
        masks = self.masks.flatten(1).to(maps.device)
        cuts = torch.linspace(0, 1, self.thresholds + 2)[1:-1].tolist()
        return torch.stack([overlap(maps >= cut, masks) for cut in cuts], 1)


def overlap(region: Bool[Tensor, "b n"], masks: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Equation (3); 0 where there is nothing at all."""
    return (region & masks).sum(1) / (region | masks).sum(1).clamp(min=1)
