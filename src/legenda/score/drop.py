"""Confidence drop and increase.

If only what the map marks is left, does the model still agree? With o the target of the whole
input and s that of the explained part of it,

    drop     = mean max(0, o - s) · 100                                   (1)
    increase = mean [s > o] · 100                                         (2)

A picture is multiplied by its map m, stretched to [0, 1], on normalised pixels, so that what is
left out becomes the mean colour, or (`fill="blur"`) its own blur:

    x' = m x + (1 - m) fill                                               (3)

A sentence keeps the words whose score is above the median; the others are blanked.

Differs from the official code of M2IB: each picture has a map of its own (theirs spread the
first row of one map down the picture), words are blanked by a mask token or a neutral
embedding (theirs: by id 0, which is a word) and special tokens stay. (1) is in points of the
target, not relative to o. A constant map keeps everything: no drop and no increase. Where
ties leave no word above the median, those at it are kept.

References
----------
Chattopadhay, Sarkar, Howlader, Balasubramanian. Grad-CAM++. WACV 2018. Drop and increase.
Wang, Rudner, Wilson. Visual explanations of image-text representations via multi-modal
information bottleneck attribution. NeurIPS 2023. (1) and (2) of a cosine, for both towers.
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
from legenda.errors import BadInput, ShapeError
from legenda.intervene import pixels
from legenda.score.inputs import check, clean, judge, span
from legenda.score.removal import Removal

Fill = Literal["mean", "blur"]


@dataclass(frozen=True)
class ConfidenceDrop:
    """Equation (1), `b c h w -> b` or `b n -> b`, in points of the target (x 100); lower is better.

    Parameters
    ----------
    soft: multiply by the map itself (as published); else keep the half above its median.
    fill: "mean" colour (as published) or "blur" where the map is low.
    sigma: width of the blur as a share of the picture's height; larger leaves less.
    blank: token that stands for words left out; None puts the sentence's mean act at the site.
    seed: of the random control.
    batch: inputs per forward pass; changes speed, never the result.
    """

    soft: bool = True
    fill: Fill = "mean"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64
    name: str = field(default="drop", init=False, repr=False)
    unit: str = field(default="points", init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The drop of each pair."""
        before, after = before_and_after(self, units, x, target, evidence)
        return 100 * (before - after).clamp(min=0)  # (1)


@dataclass(frozen=True)
class ConfidenceIncrease:
    """Equation (2), `b c h w -> b` or `b n -> b`, in percent of pairs; higher is better.

    Parameters
    ----------
    soft, fill, sigma, blank, seed, batch: as of `ConfidenceDrop`.
    """

    soft: bool = True
    fill: Fill = "mean"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64
    name: str = field(default="increase", init=False, repr=False)
    unit: str = field(default="percent", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """100 for each pair that agrees more when only its explained part is left, else 0."""
        before, after = before_and_after(self, units, x, target, evidence)
        return 100 * (after > before).to(before.dtype)  # (2)


def checked(how: ConfidenceDrop | ConfidenceIncrease) -> None:
    """Refuse a fill that is not known."""
    if how.fill not in ("mean", "blur"):
        raise BadInput(f"{how.name} fills with 'mean' or 'blur'; it got {how.fill!r}. Choose one.")


def before_and_after(
    how: ConfidenceDrop | ConfidenceIncrease,
    units: Units,
    x: Tensor,
    target: Target,
    evidence: Attribution,
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """The target of each whole input, and of its explained part."""
    check(how.name, x, evidence)
    before = clean(units, x, target, how.batch)
    if x.ndim == 4:
        kept = explained(x, evidence.heatmap(), how.soft, how.fill, how.sigma)
        return before, clean(units, kept, target, how.batch)
    gone = evidence.drawn & ~above_median(evidence.scores, evidence.drawn)
    removal = Removal(units, x, target, evidence, blank=how.blank, batch=how.batch)
    return before, removal(gone[None])[0]


def explained(
    x: Float[Tensor, "b c h w"], maps: Tensor, soft: bool, fill: Fill, sigma: float
) -> Float[Tensor, "b c h w"]:
    """Equation (3)."""
    if maps.shape != (len(x), *x.shape[2:]):
        raise ShapeError(
            f"drop needs one map per picture, {(len(x), *x.shape[2:])}; it got "
            f"{tuple(maps.shape)}. One map is never spread over a batch."
        )
    everywhere = torch.ones_like(maps, dtype=torch.bool)
    weight = span(maps) if soft else above_median(maps.flatten(1), everywhere.flatten(1))
    weight = weight.reshape(maps.shape).to(x.dtype)[:, None]
    if fill == "mean":
        return weight * x
    return weight * x + (1 - weight) * pixels.blur(x, everywhere, sigma * x.shape[2])


def above_median(scores: Float[Tensor, "b n"], drawn: Bool[Tensor, "b n"]) -> Bool[Tensor, "b n"]:
    """Drawn positions above the median of their row; where there are none, those at it."""
    middle = scores.masked_fill(~drawn, torch.nan).nanquantile(0.5, dim=1, keepdim=True)
    above, at = (scores > middle) & drawn, (scores >= middle) & drawn
    return torch.where(above.any(1, keepdim=True), above, at)
