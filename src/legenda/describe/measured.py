"""Measured answers: what changes along the rows of a sheet, in words, by measurement alone.

Every frame is measured; attribute a of row r at step s is v_rsa (`measure.picture`; angles are
unwrapped along a row). A row says how steadily an attribute moves, and how far, in spreads σ_a of
that attribute among pictures of the model:

    trend_ra = Spearman's ρ of v_r·a and the step                          (1)
    moved_ra = |trend_ra| (end_ra - start_ra) / σ_a                        (2)

A *look* is one row, or several whose (1) and (2) are averaged. With m_f the most that any attribute
of a family moves (place across, place down, size, form, colour, …), it answers with the attribute
that moves most, if it moves steadily (|trend| ≥ `least_trend`), visibly (|moved| ≥ `least_moved`)
and alone, each family's movement counting as much as it is steady:

    share = m_f² / Σ_f m_f² ≥ `least_share`,   m_f = max_a∈f |trend_a moved_a|    (3)

and says nothing otherwise. n looks give n answers; that they agree is what certainty measures.

Some attributes follow from others: white sprites that grow make the picture brighter. Attribute b
is a *shadow* of a, which stands before it in the table, where among pictures of the model

    |Spearman's ρ(v_a, v_b)| ≥ `shadow`                                    (4)

and is then named only where a cannot be measured.

References
----------
Zhu, Liu, Pan, Angirekula, Zhao. Explaining latent representations of generative models with large
multimodal models. 2024. Answers, their agreement, and silence; what is here in place of the
language model is our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.answer import Answer, Fact
from legenda.core.attribute import ATTRIBUTES, FAMILIES
from legenda.core.sheet import Sheet
from legenda.describe.measured_words import sentence, words_of
from legenda.measure.likeness import likeness
from legenda.measure.picture import measure
from legenda.measure.series import shift, trend, unwrapped
from legenda.measure.spread import spread

NAMES = tuple(ATTRIBUTES)
Values = Float[Tensor, "r s a"]
CHUNK = 512
"""So many rows are looked at at once."""


@dataclass(frozen=True)
class Movement:
    """What each attribute does in each row.

    Parameters
    ----------
    start, end: its value in the first and last frame that has one.
    trend: equation (1).
    moved: equation (2), positive where it grows.
    """

    start: Float[Tensor, "r a"]
    end: Float[Tensor, "r a"]
    trend: Float[Tensor, "r a"]
    moved: Float[Tensor, "r a"]

    def mean(self, rows: Sequence[int]) -> "Movement":
        """Some rows as one; an attribute that half of them lack is lacking."""
        picked = [t[list(rows)] for t in (self.start, self.end, self.trend, self.moved)]
        here = picked[3].isfinite().double().mean(0) > 0.5
        means = [t.nanmean(0, keepdim=True).where(here, torch.nan) for t in picked]
        return Movement(*means)

    def split(self, rows: int) -> "list[Movement]":
        """Sheet by sheet, each of so many rows."""
        parts = [t.split(rows) for t in (self.start, self.end, self.trend, self.moved)]
        return [Movement(*one) for one in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Measured:
    """Answers by measurement, `r s c h w -> n answers`.

    Parameters
    ----------
    spread: of each attribute among pictures of the model, in the order of `ATTRIBUTES`.
    shadows: whether attribute b follows from a, `a b`: equation (4).
    least_trend: how steadily an attribute must move to be named; larger names less.
    least_moved: how far, in spreads; larger names less.
    least_share: of all (squared) movement, how much must be in one family; larger names less.
    per_look: rows of one look; more make answers steadier and fewer.
    """

    spread: Float[Tensor, " a"] = field(repr=False)
    shadows: Bool[Tensor, "a a"] = field(repr=False)
    least_trend: float = 0.8
    least_moved: float = 0.5
    least_share: float = 0.6
    per_look: int = 1

    def __call__(self, sheet: Sheet) -> tuple[Answer, ...]:
        """One answer per look."""
        return self.looks(frames(sheet))

    def looks(self, values: Values) -> tuple[Answer, ...]:
        """The same of frames that are measured already."""
        return self.many(values[None])[0]

    def many(self, values: Float[Tensor, "u r s a"]) -> list[tuple[Answer, ...]]:
        """The same of many sheets at once."""
        rows = values.shape[1]
        starts = range(0, rows - self.per_look + 1, self.per_look)
        parts = [
            self.movement(part.flatten(0, 1)).split(rows)
            for part in values.split(max(1, CHUNK // rows))
        ]
        return [
            tuple(self.answer(one, range(i, i + self.per_look)) for i in starts)
            for part in parts
            for one in part
        ]

    def movement(self, values: Values) -> Movement:
        """Equations (1) and (2), every row by itself."""
        turns = [one.circular for one in ATTRIBUTES.values()]
        straight = values.clone().double()
        for a, turn in enumerate(turns):
            if turn:
                straight[..., a] = unwrapped(values[..., a], turn)
        lines = straight.transpose(1, 2).flatten(0, 1)
        trends, shifts = (f(lines).view(len(values), -1) for f in (trend, shift))
        start, end = first(straight), first(straight.flip(1))
        return Movement(start, end, trends, trends.abs() * shifts / self.spread)  # (1), (2)

    def answer(self, moves: Movement, rows: Sequence[int]) -> Answer:
        """What the mean of some rows says."""
        one = moves.mean(rows)
        strength = one.moved[0].abs().nan_to_num(0.0) * ~self._shadowed(one.moved[0])
        order = strength.argsort(descending=True, stable=True).tolist()
        facts = tuple(self.fact(one, a) for a in order if strength[a] >= 0.5 * self.least_moved)
        best = order[0]
        steady = one.trend[0].abs().nan_to_num(0.0)
        if strength[best] < self.least_moved:
            return Answer(facts=facts, abstained="nothing moves visibly")
        if steady[best] < self.least_trend:
            return Answer(facts=facts, abstained="nothing moves steadily one way")
        rival, share = alone(strength * steady)
        if share < self.least_share:
            both = f"{ATTRIBUTES[NAMES[best]].label} and {ATTRIBUTES[rival].label}"
            return Answer(facts=facts, abstained=f"{both} change at once")
        return self.said(facts, moves, rows)

    def whole(self, values: Values, answer: Answer) -> Answer:
        """An answer again, with the numbers of all rows in place of those of one look."""
        moves = self.movement(values)
        rows = range(len(values))
        one = moves.mean(rows)
        lead = self.fact(one, NAMES.index(answer.attribute))
        order = one.moved[0].abs().nan_to_num(0.0).argsort(descending=True, stable=True).tolist()
        others = [self.fact(one, a) for a in order if NAMES[a] != answer.attribute]
        kept = [fact for fact in others if fact.effect >= 0.5 * self.least_moved]
        if lead.trend * answer.direction <= 0:  # all rows together say otherwise: let it stand
            return answer
        return self.said((lead, *kept), moves, rows)

    def said(self, facts: tuple[Fact, ...], moves: Movement, rows: Sequence[int]) -> Answer:
        """An answer that names the first of the facts."""
        lead = facts[0]
        sign = 1 if lead.trend > 0 else -1
        start, end = words_of(lead)
        column = moves.trend[list(rows), NAMES.index(lead.attribute)]
        agree = int((column * sign >= self.least_trend).sum())
        return Answer(sentence(facts, agree, len(rows)), lead.attribute, start, end, sign, facts)

    def fact(self, one: Movement, a: int) -> Fact:
        """The numbers of an attribute."""
        figures = (one.start[0, a], one.end[0, a], one.trend[0, a], one.moved[0, a].abs())
        return Fact(NAMES[a], *(float(f) for f in figures))

    def _shadowed(self, moved: Float[Tensor, " a"]) -> Bool[Tensor, " a"]:
        """Which attributes follow from one that is measured."""
        return (self.shadows & moved.isfinite()[:, None]).any(0)


def alone(strength: Float[Tensor, " a"]) -> tuple[str, float]:
    """The attribute that moves most outside the family that does, and that family's (3)."""
    most = {
        family: max((float(strength[NAMES.index(n)]), n) for n in names)
        for family, names in FAMILIES.items()
    }
    order = sorted(most.values(), reverse=True)
    total = sum(moved**2 for moved, _ in order)
    return order[1][1], order[0][0] ** 2 / total if total else 0.0  # (3)


def of_pictures(values: Float[Tensor, "p a"], shadow: float = 0.8, **settings: float) -> Measured:
    """The describer for a model some of whose pictures were measured."""
    return Measured(spread(values), shadows(values, shadow), **settings)  # pyright: ignore


def frames(sheet: Sheet) -> Values:
    """Every frame of a sheet, measured."""
    rows, steps = sheet.images.shape[:2]
    return measure(sheet.images.flatten(0, 1)).unflatten(0, (rows, steps))


def shadows(values: Float[Tensor, "p a"], shadow: float = 0.8) -> Bool[Tensor, "a a"]:
    """Equation (4)."""
    return (likeness(values).nan_to_num(0.0) >= shadow).triu(1)


def first(values: Values) -> Float[Tensor, "r a"]:
    """The first value of each row that is there."""
    here = values.isfinite()
    place = here.double().argmax(1, keepdim=True)
    return values.gather(1, place)[:, 0].where(here.any(1), torch.nan)
