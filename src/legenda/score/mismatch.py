"""The flag that a picture and a sentence do not match.

A map for a pair that does not match is confident all the same; so it is flagged. How alike is
alike depends on the picture and on the sentence: some agree a little with everything. So the
cosine c of a pair is held against those of its picture with reference sentences, and those
of its sentence with reference pictures,

    flag = -½ ( (c - m_t) / s_t + (c - m_i) / s_i )                       (1)

with mean m and spread s of either set. Its unit is one spread, and a *larger* flag means
"these two do not match". 0 is what a random pair has.

Other flags come from the bottleneck itself: the cosine after it, what the information that it
let through adds to nothing, or the share of information that it kept; all with their sign
turned, so that larger means the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import auroc, auroc_interval
from legenda.errors import BadInput, ShapeError

Sign = Literal["bottlenecked", "gain", "kept", "clean"]


def flag(clean: Float[Tensor, " b"], to_texts: Tensor, to_images: Tensor) -> Float[Tensor, " b"]:
    """Equation (1), in spreads; larger means that the pair does not match.

    Parameters
    ----------
    clean: the cosine of each pair.
    to_texts: cosines of each pair's picture to reference sentences (b r).
    to_images: cosines of each pair's sentence to reference pictures (b r).
    """
    return -(standing(clean, to_texts) + standing(clean, to_images)) / 2


def standing(value: Float[Tensor, " b"], among: Tensor) -> Float[Tensor, " b"]:
    """By how many spreads a value lies above the mean of others."""
    if among.ndim != 2 or len(among) != len(value) or among.shape[1] < 2:
        raise ShapeError(
            f"a flag needs at least two reference cosines for each of {len(value)} pairs, "
            f"({len(value)}, r); it got {tuple(among.shape)}. Embed more references."
        )
    return (value - among.mean(1)) / among.std(1).clamp(min=1e-6)


def flag_by(figures: Mapping[str, Tensor], sign: Sign = "gain") -> Float[Tensor, " b"]:
    """A flag from the figures of `InformationBottleneck`; larger means a mismatch.

    `bottlenecked` is the cosine after the bottleneck, `gain` that less the cosine of nothing
    (`blocked`), `kept` the share of information, `clean` the cosine itself.
    """
    needed = {"gain": ("bottlenecked", "blocked")}.get(sign, (sign,))
    missing = [name for name in needed if name not in figures]
    if missing:
        raise BadInput(
            f"the flag {sign!r} needs the figures {', '.join(needed)}; there are "
            f"{', '.join(figures) or 'none'}. Explain by InformationBottleneck."
        )
    if sign == "gain":
        return figures["blocked"] - figures["bottlenecked"]
    return -figures[sign]


@dataclass(frozen=True)
class MismatchAUROC:
    """Chance that a swapped pair is flagged above a matched one, from 0 to 1; higher is better.

    It is called with flags, not with explanations: `MismatchAUROC()(matched, swapped)`.

    Parameters
    ----------
    seed: of the bootstrap (both sides resampled) and of the control, which flags by lot.
    draws: bootstrap samples.
    """

    seed: int = 0
    draws: int = 500
    name: str = field(default="mismatch", init=False, repr=False)
    unit: str = field(default="AUROC", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, matched: Float[Tensor, " p"], swapped: Float[Tensor, " q"]) -> Score:
        if not len(matched) or not len(swapped):
            raise BadInput(
                "mismatch needs flags of matched and of swapped pairs; it got "
                f"{len(matched)} and {len(swapped)}. Give some of each."
            )
        lot = torch.Generator().manual_seed(self.seed)
        blind = [torch.rand(len(side), generator=lot) for side in (matched, swapped)]
        return Score(
            self.name,
            auroc(swapped, matched),
            auroc_interval(swapped, matched, self.seed, self.draws),
            len(matched) + len(swapped),
            self.higher_is_better,
            auroc(blind[1], blind[0]),
            auroc_interval(blind[1], blind[0], self.seed, self.draws),
            self.unit,
        )
