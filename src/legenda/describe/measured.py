"""Measured answers: what changes along the rows of a sheet, in words, by measurement alone.

Every frame is measured; attribute a of row r at step s is v_rsa (`measure.picture`; angles are
unwrapped along a row). A row says how steadily an attribute moves, and how far, in spreads σ_a of
that attribute among pictures of the model:

    trend_ra = Spearman's ρ of v_r·a and the step                          (1)
    moved_ra = |trend_ra| (end_ra - start_ra) / σ_a                        (2)

A *look* is one row, or several whose (1) and (2) are averaged. With m_g the most that any attribute
of a family moves (place across, place down, size, form, colour, …), it answers with the attribute
that moves most, if it moves steadily (|trend| ≥ `least_trend`), visibly (|moved| ≥ `least_moved`)
and alone, with f its own family and each family's movement counting as much as it is steady:

    share = m_f² / Σ_g m_g² ≥ `least_share`,   m_g = max_a∈g |trend_a moved_a|    (3)

and says nothing otherwise. n looks give n answers; that they agree is what certainty measures.

Some attributes follow from others (`measured_rules`): white sprites that grow make the picture
brighter. Attribute b is a *shadow* of a, which stands before it in the table, where among pictures
of the model

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
from math import pi

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.answer import Answer, Fact
from legenda.core.attribute import ATTRIBUTES
from legenda.core.sheet import Sheet
from legenda.describe.measured_rules import alone, follows, plainest
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

    def means(self, looks: Int[Tensor, "l p"]) -> "Movement":
        """The rows of each look as one; an attribute that half of them lack is lacking.

        Angles are brought near each other by whole turns, so that 350 and 10 degrees mean 0.
        """
        start, end, trends, moved = (t[looks] for t in (self.start, self.end, self.trend, self.moved))  # fmt: skip # noqa: E501
        near = turns_to_middle(start)
        here = moved.isfinite().double().mean(1) > 0.5
        means = [t.nanmean(1) for t in (start + near, end + near, trends, moved)]
        return Movement(*(t.where(here, torch.nan) for t in means))

    def figures(self) -> list[list[list[float]]]:
        """The numbers of a `Fact`, by row and attribute."""
        return torch.stack([self.start, self.end, self.trend, self.moved.abs()], 2).tolist()


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
        rows, per = values.shape[1], self.per_look
        count = rows // per
        looks = torch.arange(count * per).view(count, per)
        found = []
        for part in values.split(max(1, CHUNK // rows)):
            of_each = looks + rows * torch.arange(len(part))[:, None, None]
            said = self.answers(self.movement(part.flatten(0, 1)), of_each.flatten(0, 1))
            found += [tuple(said[i * count : (i + 1) * count]) for i in range(len(part))]
        return found

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

    def answers(self, moves: Movement, looks: Int[Tensor, "l p"]) -> list[Answer]:
        """What the mean of the rows of each look says."""
        means = moves.means(looks)
        strength, steady = self.strength(means), means.trend.abs().nan_to_num(0.0)
        order = strength.argsort(dim=1, descending=True, stable=True)
        leads = plainest(order[:, 0], strength, steady, self.least_trend).tolist()
        rivals, shares = alone(strength * steady, order[:, 0])  # (3)
        figures, strong = means.figures(), strength.tolist()
        found = []
        for i, (look, columns) in enumerate(zip(looks.tolist(), order.tolist(), strict=True)):
            best = leads[i]
            kept = [a for a in columns if a != best and strong[i][a] >= 0.5 * self.least_moved]
            led = [best] if strong[i][best] >= 0.5 * self.least_moved else []
            facts = tuple(Fact(NAMES[a], *figures[i][a]) for a in (*led, *kept))
            beside = (columns[0], int(rivals[i]))
            why = self.silence(best, beside, strong[i], figures[i][best], float(shares[i]))
            found.append(Answer(facts=facts, abstained=why) if why else self.said(facts, moves, look))  # fmt: skip # noqa: E501
        return found

    def silence(
        self, best: int, beside: tuple[int, int], strength: Sequence[float],
        figures: Sequence[float], share: float,
    ) -> str:  # fmt: skip
        """Why the plain word of what moves most is not named; empty where it is.

        `beside` are what moves most, and what moves most of other families.
        """
        most, rival = beside
        start, end, steady, _ = figures
        if strength[most] == 0 or strength[most] < self.least_moved:
            return "nothing moves visibly"
        if strength[best] < self.least_moved:
            one, other = (ATTRIBUTES[NAMES[a]].label for a in (most, best))
            return f"{one} moves, but {other}, the plain word for it, does not visibly"
        if abs(steady) < self.least_trend or (end - start) * steady <= 0:
            return "nothing moves steadily one way"
        if share < self.least_share:
            one, other = (ATTRIBUTES[NAMES[a]].label for a in (best, rival))
            return f"{one} and {other} change at once"
        return ""

    def whole(self, values: Values, answer: Answer) -> Answer:
        """An answer again, with the numbers of all rows in place of those of one look.

        Where all rows together say otherwise, or lack the attribute, it stands as it was.
        """
        moves, rows = self.movement(values), list(range(len(values)))
        one, best = moves.means(torch.tensor([rows])), NAMES.index(answer.attribute)
        figures, strength = one.figures()[0], self.strength(one)[0]
        start, end, steady, _ = figures[best]
        if not (steady * answer.direction > 0 and (end - start) * answer.direction > 0):
            return answer
        order = strength.argsort(descending=True, stable=True).tolist()
        others = [a for a in order if a != best and strength[a] >= 0.5 * self.least_moved]
        facts = tuple(Fact(NAMES[a], *figures[a]) for a in (best, *others))
        return self.said(facts, moves, rows)

    def said(self, facts: tuple[Fact, ...], moves: Movement, rows: Sequence[int]) -> Answer:
        """An answer that names the first of the facts."""
        lead, (start, end) = facts[0], words_of(facts[0])
        sign = 1 if lead.trend > 0 else -1
        column = moves.trend[list(rows), NAMES.index(lead.attribute)]
        agree = int((column * sign >= self.least_trend).sum())
        return Answer(sentence(facts, agree, len(rows)), lead.attribute, start, end, sign, facts)

    def strength(self, means: Movement) -> Float[Tensor, "l a"]:
        """|moved|; 0 of what is not there, and of what follows from another that is."""
        left_out = follows(means.moved, self.shadows, self.least_moved)
        return means.moved.abs().nan_to_num(0.0) * ~left_out


def turns_to_middle(start: Float[Tensor, "l p a"]) -> Float[Tensor, "l p a"]:
    """Whole turns that bring each angle nearest to the circular mean of its look; else 0."""
    whole = torch.tensor([one.circular or torch.inf for one in ATTRIBUTES.values()]).double()
    turn = start * (2 * pi / whole)
    middle = torch.atan2(turn.sin().nanmean(1), turn.cos().nanmean(1)) * (whole / (2 * pi))
    turns = ((middle % whole)[:, None] - start) / whole
    return (turns.round() * whole).where(whole.isfinite() & turns.isfinite(), 0.0)


def of_pictures(
    values: Float[Tensor, "p a"], shadow: float = 0.8, **settings: float | int
) -> Measured:
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
