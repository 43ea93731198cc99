"""What is said of a sheet in a study of units: the answer that speaks for all, or why none does."""

from dataclasses import dataclass, field

from legenda.core.answer import Answer
from legenda.core.evidence import Evidence
from legenda.core.explanation import Description
from legenda.core.sheet import Sheet
from legenda.describe.measured import frames
from legenda.errors import Unsupported
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import Certainty, certainty
from legenda.tasks.atlas_latent_units import name_of
from legenda.tasks.latent_describers import Asks, ByMeasure
from legenda.tasks.latent_settings import CERTAIN, STILL

OTHERS = 4
"""Other answers that are kept beside the first."""


@dataclass(frozen=True)
class Said(Description):
    """A description, and how surely.

    Parameters
    ----------
    certainty: how much the answers agree; larger is surer.
    low, high: its 95 % interval.
    state: of the unit, where nothing is said.
    name: what the unit is called for short; empty for the whole sentence.
    """

    certainty: float | None = None
    low: float | None = None
    high: float | None = None
    state: str = ""
    name: str = ""


@dataclass(frozen=True)
class Answers:
    """Answers about a sheet, weighed, `r s c h w -> m descriptions`.

    Parameters
    ----------
    asks: who answers, once per look.
    threshold: least certainty that is named; larger names less.
    seed: of the interval.
    """

    asks: Asks
    threshold: float = CERTAIN
    seed: int = 0
    alike: AttributeAgreement = field(default_factory=AttributeAgreement)

    def __call__(self, evidence: Evidence) -> tuple[Description, ...]:
        if not isinstance(evidence, Sheet):
            raise Unsupported(
                self.asks.name, "a sheet of pictures", type(evidence).__name__,
                'Take [explain] method = "traversal", or leave [[describe]] out.',
            )  # fmt: skip
        values = frames(evidence)
        answers = self.asks(evidence, values)
        sure = certainty(self.alike(answers), self.seed)
        effect = float(evidence.effect().mean())
        if effect < STILL:
            return (self._silent(f"colours change by {effect:.4f} of white along a row", sure, "inactive"),)  # fmt: skip # noqa: E501
        first = answers[sure.medoid]
        if first.none:
            return (self._silent(first.abstained or "nothing was said", sure),)
        if sure.value < self.threshold:
            why = f"its answers disagree: certainty {sure.value:.2f} is below {self.threshold:.2f}"
            return (self._silent(why, sure),)
        if isinstance(self.asks, ByMeasure):
            first = self.asks.measured.whole(values, first)
        low, high = sure.interval
        named = Said(first.text, self.asks.name, None, sure.value, low, high, name=name_of(first))
        return (named, *(Said(text, self.asks.name) for text in others(answers, first)))

    def _silent(self, why: str, sure: Certainty, state: str = "") -> Said:
        low, high = sure.interval
        return Said("", self.asks.name, why, sure.value, low, high, state)


def others(answers: tuple[Answer, ...], first: Answer) -> list[str]:
    """What else was said, each claim once."""
    claims = {(first.attribute, first.direction)}
    found = []
    for one in answers:
        if not one.none and (one.attribute, one.direction) not in claims:
            claims.add((one.attribute, one.direction))
            found.append(one.text)
    return found[:OTHERS]
