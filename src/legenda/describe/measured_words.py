"""Measurements in a sentence, in which every number can be checked."""

from collections.abc import Sequence

from legenda.core.answer import Fact
from legenda.core.attribute import ATTRIBUTES

HUES = ((15, "red"), (45, "orange"), (75, "yellow"), (165, "green"), (195, "cyan"), (255, "blue"), (290, "violet"), (345, "magenta"), (361, "red"))  # fmt: skip # noqa: E501
"""Up to how many degrees a hue is called so."""
BESIDE = 0.5
"""A second attribute is mentioned where it moves at least so much as the first."""


def sentence(facts: Sequence[Fact], agree: int, rows: int) -> str:
    """What moves, from where to where, in how many rows; and what moves with it.

    Examples
    --------
    >>> sentence([Fact("x", 0.21, 0.8, 1.0, 2.0)], 5, 5)
    'Horizontal position goes from left to right: 0.21 to 0.80 of the width, in 5 of 5 rows.'
    """
    lead = facts[0]
    text = f"{label(lead).capitalize()} {moves(lead)}: {numbers(lead)}"
    text += f", in {agree} of {rows} rows." if rows > 1 else "."
    others = [f for f in facts[1:] if f.effect >= BESIDE * lead.effect and abs(f.trend) >= 0.8]
    if others:
        beside = "; ".join(f"{label(f)} ({numbers(f)})" for f in others[:2])
        text += f" With it changes {beside}."
    return text


def label(fact: Fact) -> str:
    """What an attribute is called in a sentence."""
    return ATTRIBUTES[fact.attribute].label


def moves(fact: Fact) -> str:
    """The verb of a movement, with its ends in words."""
    start, end = words_of(fact)
    if fact.attribute == "orientation":
        return f"is {end} by {abs(fact.end - fact.start):.0f} degrees"
    return f"goes from {start} to {end}"


def numbers(fact: Fact) -> str:
    """Both ends as numbers, with their unit; a number by its size."""
    unit = ATTRIBUTES[fact.attribute].unit
    digits = 0 if unit == "degrees" else 1 if unit in ("pieces", "holes") else 2
    if 0 < max(abs(fact.start), abs(fact.end)) < 0.1:
        digits = 3
    return f"{fact.start:.{digits}f} to {fact.end:.{digits}f} {unit}"


def words_of(fact: Fact) -> tuple[str, str]:
    """Words for the two ends; of hues, their colours where these differ."""
    one = ATTRIBUTES[fact.attribute]
    if fact.attribute == "hue":
        ends = colour(fact.start), colour(fact.end)
        if ends[0] != ends[1]:
            return ends
    return (one.less, one.more) if fact.end > fact.start else (one.more, one.less)


def colour(degrees: float) -> str:
    """What a hue is called.

    Examples
    --------
    >>> colour(370.0), colour(120.0)
    ('red', 'green')
    """
    return next(name for limit, name in HUES if degrees % 360 < limit)
