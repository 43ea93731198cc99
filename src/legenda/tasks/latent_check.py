"""Whether what was named is so, on rows that named nothing.

Three checks beyond agreement: the named attribute moves along fresh rows, and little else does; the
right sheet is found among four from the sentence alone; and the true claim is taken while its
minimally false twins are turned down. All three by measurement, beside their controls.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.sheet import Sheet
from legenda.describe.measured import Measured, Values
from legenda.score.attribute_check import AttributeCheck
from legenda.score.measured_score import MeasuredScore
from legenda.score.movement import likeness, tied
from legenda.score.pair_rule import PairRule
from legenda.score.sheet_choice import SheetChoice
from legenda.tasks.latent_story import Checked

OPTIONS = 4


class Check:
    """The three checks of one model.

    Parameters
    ----------
    measured: how attributes vary among pictures of the model.
    pool: these measurements, from which it is known what moves together.
    fresh: measured frames of rows that named nothing, by unit.
    seed: of shuffles, sheets to choose among, and intervals.
    """

    def __init__(
        self, measured: Measured, pool: Float[Tensor, "p a"], fresh: dict[int, Values], seed: int
    ):
        self.spread, self.fresh, self.seed = measured.spread, fresh, seed
        self.rows = {u: [as_sheet(row[None]) for row in rows] for u, rows in fresh.items()}
        self.alike, self.ties = likeness(pool), tied(pool)
        self.score = MeasuredScore(self.spread, self.ties, read_off)

    def __call__(self, unit: int, answer: Answer) -> Checked | None:
        """What comes of one answer; None where it names what is not measured."""
        if answer.attribute not in ATTRIBUTES or not answer.direction:
            return None
        found = AttributeCheck(seed=self.seed)(answer, self.fresh[unit], self.spread, self.ties)
        picked, picks = self.chosen(unit, answer)
        pairs = self.paired(unit, answer)
        moved, aside = found.moved, found.aside
        return Checked(
            moved.value, moved.interval, moved.control or 0.0, aside.value, aside.interval,
            picked, picks, pairs, found.holds,
        )  # fmt: skip

    def chosen(self, unit: int, answer: Answer) -> tuple[int, int]:
        """How often the answer finds its own row among four, those of other units beside it."""
        others = [u for u in self.fresh if u != unit]
        count = len(self.fresh[unit]) if len(others) >= OPTIONS - 1 else 0
        right = 0
        for row in range(count):
            sheets = [self.rows[u][row] for u in (unit, *others)]
            asked = [answer, *[Answer()] * len(others)]
            found = SheetChoice(OPTIONS, seed=self.seed + row)(asked, sheets, self.score)
            right += found.choices[0].right >= 1
        return right, count

    def paired(self, unit: int, answer: Answer) -> int:
        """On how many rows the claim is taken and both of its twins are turned down."""
        sheets, rule = self.rows[unit], PairRule(seed=self.seed)
        found = rule([answer] * len(sheets), sheets, self.score, self.alike, self.ties)
        return sum(own and not (other or third) for _, (own, other, third) in found.verdicts)


def as_sheet(values: Values) -> Sheet:
    """Measurements in place of the frames that they are of: they need not be taken twice."""
    return Sheet(values[..., None, None], torch.zeros(values.shape[1]))


def read_off(frames: Float[Tensor, "r s c h w"]) -> Values:
    """The measurements of such frames."""
    return frames[..., 0, 0]
