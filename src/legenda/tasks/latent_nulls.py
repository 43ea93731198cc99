"""Sheets without a pattern: what a describer says where there is nothing to say.

The frames of a unit in another order in every row (shuffled), or one frame throughout (constant).
How much answers about them agree is what certainty is worth nothing at: half of these sheets set
the least certainty that is named, the others tell how often that still names something.

By default that is a quantile of theirs. Conformal names compare p values of the m units with α;
of u units that are named the last has a p of at most α u / m, and so has the quantile at

    α* = α max(u, 1) / m                                                  (1)

which names the same units, and says what it would have named of the other sheets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, nextafter
from typing import Any

import torch

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet, constant, reordered, shuffled
from legenda.errors import BadInput
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import Certainty, certainty
from legenda.score.conformal import Conformal
from legenda.score.null_sheets import least, null_threshold
from legenda.tasks.latent_describers import answered, until_stable
from legenda.tasks.latent_settings import CERTAIN, GIVEN, LatentSettings

KINDS = ("shuffled", "constant")
ORDERS = {"shuffled": shuffled, "constant": constant}
MEASURED = 240
"""So many sheets without a pattern are measured: they cost nothing but a permutation."""
FEW = 50
"""Resamples of an interval that no one reads."""
MOST = 2000
"""More are not made, however small `alpha` is."""
BEYOND = nextafter(1.0, inf)
"""A certainty that no answers have."""
Asked = tuple[str, tuple[Answer, ...], Certainty]
"""The kind of a control, what was said of it, and how surely."""


@dataclass(frozen=True)
class Nulls:
    """What the controls say.

    Parameters
    ----------
    threshold: least certainty that is named.
    count: sheets that set it.
    silent: of other such sheets, on how many nothing was named; and how many there were.
    q: conformal p values, corrected for the number of units; of each unit, where they name.
    """

    threshold: float
    count: int
    silent: tuple[int, int]
    q: dict[int, float] = field(default_factory=dict)

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
        for kind, answers in null_answers(told, asks, how, alike)
    ]
    setting, judging = found[::2], found[1::2]
    made = conformal(told, setting, how) if how.conformal else by_quantile(setting, how)
    silent = sum(not made.names(answers, sure) for _, answers, sure in judging)
    return replace(made, silent=(silent, len(judging)))


def by_quantile(setting: Sequence[Asked], how: LatentSettings) -> Nulls:
    """A threshold that is given, or that controls of each kind set."""
    if how.naming == GIVEN:
        return Nulls(how.threshold or 0.0, 0, (0, 0))
    limits = [CERTAIN]
    for kind, own in by_kind(setting).items():
        few = len(own) < least(how.alpha)
        limits.append(nextafter(float(own.max()), inf) if few else null_threshold(own, how.alpha, kind))  # fmt: skip # noqa: E501
    return Nulls(max(limits), len(setting), (0, 0))


def conformal(told: Mapping[int, Any], setting: Sequence[Asked], how: LatentSettings) -> Nulls:
    """Equation (1); units that say nothing, or less surely than `CERTAIN`, have a p of 1."""
    nulls = by_kind(setting)
    if not told or not nulls:
        return Nulls(CERTAIN, len(setting), (0, 0))
    floor = Nulls(CERTAIN, 0, (0, 0))
    sure = [t.sure.value if floor.names(t.answers, t.sure) else -inf for t in told.values()]
    found = Conformal(how.alpha)(torch.tensor(sure, dtype=torch.float64), nulls)
    level = how.alpha * max(1, int(found.named.sum())) / len(told)  # (1)
    limits = [
        null_threshold(own, level, kind) if len(own) >= least(level) else BEYOND
        for kind, own in nulls.items()
    ]
    q = dict(zip(told, found.q.tolist(), strict=True))
    return Nulls(max(CERTAIN, *limits), len(setting), (0, 0), q)


def by_kind(setting: Sequence[Asked]) -> dict[str, torch.Tensor]:
    """The certainties of each kind of control that there is."""
    each = {kind: [sure.value for k, _, sure in setting if k == kind] for kind in KINDS}
    return {kind: torch.tensor(own).double() for kind, own in each.items() if own}


def null_answers(
    told: Mapping[int, Any], asks: Any, how: LatentSettings, alike: Any = None
) -> list[tuple[str, tuple[Answer, ...]]]:
    """What is said of controls: of every four, three are shuffled and one is constant."""
    units, measured = list(told.values()), getattr(asks, "measured", None)
    alike = alike or AttributeAgreement()
    alpha = how.alpha / max(1, len(units)) if how.conformal else how.alpha
    count = enough(alpha) if measured else how.nulls
    drawn = list(by_lot(len(units), count, how.seed))
    mixed = [reordered(units[u].values, ORDERS[kind](units[u].values, seed)) for kind, u, seed in drawn]  # fmt: skip # noqa: E501
    if measured is not None:
        answers = measured.many(torch.stack(mixed)) if mixed else []
        if how.adaptive:
            answers = [until_stable(a.__getitem__, len(a), alike, how) for a in answers]
    else:
        answers = [
            answered(asks, null_sheet(units[u].whole, kind, seed), values, alike, how)[0]
            for (kind, u, seed), values in zip(drawn, mixed, strict=True)
        ]
    return [(kind, own) for (kind, _, _), own in zip(drawn, answers, strict=True)]


def null_sheets(sheets: Sequence[Sheet], how: LatentSettings) -> list[Sheet]:
    """The controls that a describer which does not measure is asked about, once units are known."""
    drawn = by_lot(len(sheets), how.nulls, how.seed)
    return [null_sheet(sheets[unit], kind, seed) for kind, unit, seed in drawn]


def by_lot(units: int, count: int, seed: int) -> Iterator[tuple[str, int, int]]:
    """The kind of each control, the number of its unit, and its seed."""
    for i in range(count if units else 0):
        still = (i // 2) % 4 == 3  # in pairs, since one half of them sets and the other judges
        yield KINDS[still], i // 2 % units, seed * 100_003 + i


def null_sheet(sheet: Sheet, kind: str, seed: int) -> Sheet:
    """One control."""
    return sheet.constant(seed) if kind == "constant" else sheet.shuffled(seed)


def enough(alpha: float) -> int:
    """So many that an eighth of them, the constant ones of one half, can set a threshold."""
    return min(max(MEASURED, 8 * least(alpha)), MOST)


def affordable(who: str, how: LatentSettings) -> None:
    """Refuse conformal names where, with so few controls, none could ever be given."""
    need = 8 * least(how.alpha)
    if how.conformal and how.nulls < need:
        raise BadInput(
            f"conformal names at alpha {how.alpha:g} need {need} sheets without a pattern or more; "
            f"{who} is asked about {how.nulls}. Ask about more (nulls), take a larger alpha, "
            "or leave conformal out."
        )
