"""Comparing methods on the same inputs, and rows for tables.

Two intervals that overlap may still hide a sure difference, since hard pairs are hard for both
methods. So the difference is taken pair by pair, and its mean bootstrapped:

    d_i = a_i - b_i, its sign turned where lower is better                (1)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import Interval, bootstrap
from legenda.errors import BadInput, ShapeError


@dataclass(frozen=True)
class Difference:
    """By how much the first method is better than the second: the mean of equation (1)."""

    first: str
    second: str
    value: float
    interval: Interval
    n: int
    won: float

    @property
    def better(self) -> str | None:
        """The better method; None where the interval holds 0."""
        if self.interval[0] <= 0 <= self.interval[1]:
            return None
        return self.first if self.value > 0 else self.second


def difference(
    first: str,
    ours: Float[Tensor, " b"],
    second: str,
    theirs: Float[Tensor, " b"],
    *,
    higher_is_better: bool = True,
    seed: int = 0,
) -> Difference:
    """Compare two methods by their values on the same pairs; `won` counts ties half."""
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ShapeError(
            f"{first} and {second} must be compared on the same pairs; they have "
            f"{tuple(ours.shape)} and {tuple(theirs.shape)} values. Score both on the same inputs."
        )
    gap = (ours.double() - theirs.double()) * (1 if higher_is_better else -1)  # (1)
    won = float(((gap > 0).double() + 0.5 * (gap == 0).double()).mean())
    return Difference(first, second, float(gap.mean()), bootstrap(gap, seed), len(gap), won)


def differences(
    values: Mapping[str, Float[Tensor, " b"]], *, higher_is_better: bool = True, seed: int = 0
) -> list[Difference]:
    """Every pair of methods, in the order given."""
    return [
        difference(a, values[a], b, values[b], higher_is_better=higher_is_better, seed=seed)
        for a, b in combinations(values, 2)
    ]


def best(scores: Mapping[str, Score]) -> str:
    """The method with the best value of one measure; the first of equal ones."""
    if not scores or len({(s.name, s.higher_is_better) for s in scores.values()}) != 1:
        raise BadInput("best compares scores of one measure; it got none, or several measures.")
    sign = 1 if next(iter(scores.values())).higher_is_better else -1
    return max(scores, key=lambda method: sign * scores[method].value)


def row(method: str, score: Score, goal: float | None = None) -> dict[str, Any]:
    """One line of a table: a value, its goal and whether it is met, its interval, its control."""
    met = None
    if goal is not None:
        met = score.value >= goal if score.higher_is_better else score.value <= goal
    return {
        "name": f"{method} {score.name}",
        "value": score.value,
        "unit": score.unit,
        "goal": goal,
        "ok": met,
        "n": score.n,
        "interval": list(score.interval),
        "control": score.control,
        "control_interval": list(score.control_interval) if score.control_interval else None,
        "beats_control": score.beats_control,
        "higher_is_better": score.higher_is_better,
    }


def rows(scores: Mapping[str, Mapping[str, Score]]) -> list[dict[str, Any]]:
    """Lines for `{method: {measure: score}}`, method by method."""
    return [row(method, score) for method, of in scores.items() for score in of.values()]
