"""Sheets without a pattern: what a describer says where there is nothing to say.

The frames of a unit in another order in every row (shuffled), or one frame throughout (constant).
How much answers about them agree is what certainty is worth nothing at: half of these sheets set
the least certainty that is named, the others tell how often that still names something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import Any

import torch

from legenda.core.answer import Answer
from legenda.core.sheet import constant, reordered, shuffled
from legenda.score.certainty import Certainty, certainty
from legenda.score.null_sheets import least, null_threshold
from legenda.tasks.latent_settings import CERTAIN, LatentSettings

KINDS = ("shuffled", "constant")
MEASURED = 240
"""So many sheets without a pattern are measured: they cost nothing but a permutation."""
FEW = 50
"""Resamples of an interval that no one reads."""
MOST = 2000
"""More are not made, however small `alpha` is."""


@dataclass(frozen=True)
class Nulls:
    """What the controls say.

    Parameters
    ----------
    threshold: least certainty that is named.
    count: sheets that set it.
    silent: of other such sheets, on how many nothing was named; and how many there were.
    """

    threshold: float
    count: int
    silent: tuple[int, int]

    def names(self, answers: Sequence[Answer], sure: Certainty) -> bool:
        """Whether answers so sure are taken for an explanation."""
        return sure.value >= self.threshold and not answers[sure.medoid].none


def calibrated(told: Mapping[int, Any], asks: Any, alike: Any, how: LatentSettings) -> Nulls:
    """The least certainty that is named, by half of the controls; the other half judges it.

    Each kind of control sets a threshold of its own, and the highest holds. Where there are too few
    of a kind for `alpha`, a unit must be surer than every one of them.
    """
    found = [
        (kind, answers, certainty(alike(answers), how.seed, FEW))  # its interval is not looked at
        for kind, answers in null_answers(told, asks, how)
    ]
    setting, judging = found[::2], found[1::2]
    limits = [how.threshold if how.threshold is not None else CERTAIN]
    for kind in KINDS if how.threshold is None else ():
        own = [sure.value for k, _, sure in setting if k == kind]
        if len(own) >= least(how.alpha):
            limits.append(null_threshold(torch.tensor(own).double(), how.alpha, kind))
        elif own:
            limits.append(nextafter(max(own), inf))
    made = Nulls(max(limits), 0 if how.threshold is not None else len(setting), (0, 0))
    silent = sum(not made.names(answers, sure) for _, answers, sure in judging)
    return replace(made, silent=(silent, len(judging)))


def null_answers(
    told: Mapping[int, Any], asks: Any, how: LatentSettings
) -> list[tuple[str, tuple[Answer, ...]]]:
    """What is said of controls: of every four, three are shuffled and one is constant."""
    units, measured = list(told.values()), getattr(asks, "measured", None)
    kinds, sheets, mixed = [], [], []
    for i in range((enough(how.alpha) if measured else how.nulls) if units else 0):
        one, seed = units[i // 2 % len(units)], how.seed * 100_003 + i
        still = (i // 2) % 4 == 3  # in pairs, since one half of them sets and the other judges
        order = (constant if still else shuffled)(one.values, seed)
        kinds.append(KINDS[still])
        mixed.append(reordered(one.values, order))
        if measured is None:
            sheets.append(one.whole.constant(seed) if still else one.whole.shuffled(seed))
    if measured is not None:
        answers = measured.many(torch.stack(mixed)) if mixed else []
    else:
        answers = [asks(sheet, values) for sheet, values in zip(sheets, mixed, strict=True)]
    return list(zip(kinds, answers, strict=True))


def enough(alpha: float) -> int:
    """So many that an eighth of them, the constant ones of one half, can set a threshold."""
    return min(max(MEASURED, 8 * least(alpha)), MOST)
