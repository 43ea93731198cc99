"""Explain, then verify: who reads the answer should find the sheet that it is about.

A judge is given an answer and several sheets, that of its unit among those of others, and takes the
one that bears it out best. Sheets should be fresh: of rows that the answer has not seen.

    right = mean over answers of  [the own sheet scores highest] / how many do     (1)

The chance is one in as many as there are sheets; its interval is the middle 95 % of luck, which is
binomial. *Easy* others are those whose own answer claims something else, as far as there are
enough; *hard* ones first those that claim the same attribute, whichever way it goes: an answer
that tells its unit from these says more than which attribute it is. An answer that names nothing
is not asked, and `asked` of all says how many were.

References
----------
Bills, Cammarata, Mossing, et al. Language models can explain neurons in language models. 2023. An
explanation is worth what can be foretold from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import torch

from legenda.core.answer import Answer
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.core.sheet import Sheet
from legenda.errors import BadInput
from legenda.score.measured_score import ClaimScore


@dataclass(frozen=True)
class Choice:
    """One answer, and what was made of it.

    Parameters
    ----------
    place: whose answer it is.
    options: places of the sheets, its own first.
    scores: of each option.
    right: 1 where its own scores highest, a share where several do, else 0.
    """

    place: int
    options: tuple[int, ...]
    scores: tuple[float, ...]
    right: float


@dataclass(frozen=True)
class SheetsChosen:
    """Equation (1) over the answers that name something; `asked` is their share of all."""

    right: Score
    asked: Score
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class SheetChoice:
    """Equation (1).

    Parameters
    ----------
    options: sheets to choose among; more are harder, and leave less to luck.
    hard: whether the others are chosen to be alike.
    seed: of the others.
    """

    options: int = 4
    hard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.options < 2:
            raise BadInput(
                f"SheetChoice needs two sheets or more to choose among; it got "
                f"options={self.options}."
            )

    def __call__(
        self, answers: Sequence[Answer], sheets: Sequence[Sheet], score: ClaimScore
    ) -> SheetsChosen:
        """`answers[i]` tells of the unit that `sheets[i]` shows."""
        if len(answers) != len(sheets) or len(sheets) < self.options:
            raise BadInput(
                f"SheetChoice needs an answer for each sheet, and {self.options} sheets or more; "
                f"it got {len(answers)} answers and {len(sheets)} sheets."
            )
        choices = tuple(
            self.choice(place, answers, sheets, score)
            for place, answer in enumerate(answers)
            if not answer.none
        )
        n = len(choices)
        return SheetsChosen(
            self.judged([choice.right for choice in choices]),
            Score("asked", n / len(answers), wilson(n, len(answers)), len(answers), unit="share"),
            choices,
        )

    def choice(
        self, place: int, answers: Sequence[Answer], sheets: Sequence[Sheet], score: ClaimScore
    ) -> Choice:
        """One answer, its own sheet and the others."""
        options = (place, *self.others(place, answers))
        scores = tuple(float(score(answers[place], sheets[i])) for i in options)
        best = max(scores)
        right = (scores[0] == best) / scores.count(best)  # (1)
        return Choice(place, options, scores, right)

    def others(self, place: int, answers: Sequence[Answer]) -> list[int]:
        """The sheets beside its own, drawn for this answer alone."""
        lot = torch.Generator().manual_seed((self.seed << 20) + place)
        order = torch.randperm(len(answers), generator=lot).tolist()
        own = answers[place]

        def rank(i: int) -> bool:
            other = answers[i]
            if self.hard:
                return other.attribute != own.attribute
            return (other.attribute, other.direction) == (own.attribute, own.direction)

        return sorted((i for i in order if i != place), key=rank)[: self.options - 1]

    def judged(self, right: Sequence[float]) -> Score:
        """Their mean; Wilson's interval reaches from ties lost to ties won."""
        n, total = len(right), sum(right)
        low, high = wilson(floor(total + 1e-9), n)[0], wilson(ceil(total - 1e-9), n)[1]
        value = total / n if n else float("nan")
        luck = 1 / self.options
        return Score("right", value, (low, high), n, True, luck, by_luck(n, luck), "share")


def by_luck(n: int, chance: float) -> tuple[float, float]:
    """The middle 95 % of the share that luck gets right."""
    from scipy.stats import binom

    if not n:
        return (0.0, 1.0)
    low, high = binom.ppf([0.025, 0.975], n, chance) / n
    return float(low), float(high)
