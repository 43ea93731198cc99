"""Answers: what one look at a sheet says of the unit, or that it says nothing, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A number that a sentence states, so that it can be checked.

    Parameters
    ----------
    attribute: its name in `core.attribute`, or a word.
    start, end: its value in the first and the last frame, mean over the rows that were looked at.
    trend: how steadily it goes one way along a row, -1 to 1 (mean Spearman's ρ over rows).
    effect: |end - start| over the spread of the attribute among pictures of the model.
    """

    attribute: str
    start: float
    end: float
    trend: float
    effect: float


@dataclass(frozen=True)
class Answer:
    """One sentence on what a unit does, from one look.

    Parameters
    ----------
    text: the sentence; empty where there is none.
    attribute: what changes, by its name in `core.attribute` where it has one; empty for none.
    start, end: what it changes from and to, in words.
    direction: +1 where the attribute grows from left to right, -1 where it shrinks, 0 unknown.
    facts: the numbers in the sentence.
    abstained: why nothing was said; empty where something was.
    confidence: what the describer itself says of its certainty, 0 to 1; None for nothing.
    """

    text: str = ""
    attribute: str = ""
    start: str = ""
    end: str = ""
    direction: int = 0
    facts: tuple[Fact, ...] = ()
    abstained: str = ""
    confidence: float | None = None

    @property
    def none(self) -> bool:
        """Whether it says that there is no clear pattern, or could not be had."""
        return not self.attribute
