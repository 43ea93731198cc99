"""The pair rule: accept the true claim, and reject its minimally false twin.

A judge that agrees with everything is right about every true claim. So each claim comes with twins
that are one word from it: the same attribute the other way (*reversed*), and another attribute the
same way (*exchanged*), the one that goes with it most among the model's pictures without being tied
to it. A claim is accepted where its score on the sheet is above a threshold t,

    passed = share of units with  score(claim) > t  and  score(twin) ≤ t          (1)

All three are put into one form of words, so that nothing but the claim tells them apart. The
control asks the same of sheets with shuffled frames, on which nothing should be accepted. A twin
may be true as well, where a unit moves two things: the claim was then not the whole.

References
----------
Thrush, Jiang, Bartolo, Singh, Williams, Kiela, Ross. Winoground: probing vision and language models
for visio-linguistic compositionality. CVPR 2022. Credit only for both of a pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.core.sheet import Sheet
from legenda.errors import BadInput
from legenda.score.measured_score import ClaimScore
from legenda.score.movement import NAMES, Tied, place_of, tied


@dataclass(frozen=True)
class PairsJudged:
    """Equation (1) for each twin and for both; `accepted` is what true claims alone would get.

    Parameters
    ----------
    accepted: share of true claims that are accepted.
    reversed, exchanged: equation (1) with that twin.
    both: share of units where all three go right.
    verdicts: of each unit that names something: its place, and whether the claim, the reversed and
        the exchanged twin were accepted.
    """

    accepted: Score
    reversed: Score
    exchanged: Score
    both: Score
    verdicts: tuple[tuple[int, tuple[bool, bool, bool]], ...]


@dataclass(frozen=True)
class PairRule:
    """Equation (1).

    Parameters
    ----------
    threshold: t; larger accepts less.
    seed: of the shuffled frames.
    """

    threshold: float = 0.25
    seed: int = 0

    def __call__(
        self,
        answers: Sequence[Answer],
        sheets: Sequence[Sheet],
        score: ClaimScore,
        likeness: Float[Tensor, "a a"] | None = None,
        ties: Tied | None = None,
    ) -> PairsJudged:
        """`answers[i]` tells of `sheets[i]`; `likeness` and `ties` are those of `movement`.

        An answer that names nothing, what is not measured, or no direction has no twin: it is left
        out.
        """
        if len(answers) != len(sheets):
            raise BadInput(
                f"PairRule needs an answer for each sheet; it got {len(answers)} answers and "
                f"{len(sheets)} sheets."
            )
        ties = tied() if ties is None else ties
        verdicts, chance = [], []
        for place, (answer, sheet) in enumerate(zip(answers, sheets, strict=True)):
            if answer.attribute in NAMES and answer.direction:
                claims = triple(answer, likeness, ties)
                verdicts.append((place, self.verdict(claims, sheet, score)))
                chance.append(self.verdict(claims, sheet.shuffled(self.seed + place), score))
        found = [verdict for _, verdict in verdicts]
        return PairsJudged(
            rate("accepted", [v[0] for v in found], [v[0] for v in chance]),
            rate("reversed", [v[0] > v[1] for v in found], [v[0] > v[1] for v in chance]),
            rate("exchanged", [v[0] > v[2] for v in found], [v[0] > v[2] for v in chance]),
            rate("both", [v[0] > max(v[1:]) for v in found], [v[0] > max(v[1:]) for v in chance]),
            tuple(verdicts),
        )

    def verdict(
        self, claims: tuple[Answer, Answer, Answer], sheet: Sheet, score: ClaimScore
    ) -> tuple[bool, bool, bool]:
        """Which of the three claims are accepted."""
        one, other, third = (float(score(claim, sheet)) > self.threshold for claim in claims)
        return one, other, third


def triple(
    answer: Answer, likeness: Float[Tensor, "a a"] | None, ties: Tied
) -> tuple[Answer, Answer, Answer]:
    """The claim, its reversed twin and its exchanged twin, in one form of words."""
    named, way = place_of(answer.attribute), answer.direction
    other = NAMES[nearest(named, likeness, ties)]
    return claim(answer.attribute, way), claim(answer.attribute, -way), claim(other, way)


def claim(attribute: str, direction: int) -> Answer:
    """A claim in one form of words.

    Examples
    --------
    >>> claim("size", -1).text
    'From left to right, size goes from large to small.'
    """
    one = ATTRIBUTES[attribute]
    start, end = (one.less, one.more) if direction > 0 else (one.more, one.less)
    text = f"From left to right, {one.label} goes from {start} to {end}."
    return Answer(text, attribute, start, end, direction)


def nearest(named: int, likeness: Float[Tensor, "a a"] | None, ties: Tied) -> int:
    """The attribute most like another without being tied to it.

    Without pictures to tell, the next in the table: it is ordered by what belongs together.
    """
    free = ~ties[named]
    if not free.any():
        raise BadInput(
            f"PairRule exchanges {NAMES[named]} for an attribute that is not tied to it; all are. "
            "Tie fewer."
        )
    after = (torch.arange(len(NAMES)) - named) % len(NAMES)
    by_table = 1e-6 * (1 - after.double() / len(NAMES))
    alike = torch.zeros_like(by_table) if likeness is None else likeness[named].nan_to_num(0.0)
    return int((alike + by_table).where(free, -1.0).argmax())


def rate(name: str, found: Sequence[bool], chance: Sequence[bool]) -> Score:
    """A share with Wilson's interval, beside that of shuffled sheets."""
    n, many, lucky = len(found), sum(found), sum(chance)
    return Score(
        name, many / n if n else float("nan"), wilson(many, n), n, True,
        lucky / n if n else float("nan"), wilson(lucky, n), "share",
    )  # fmt: skip
