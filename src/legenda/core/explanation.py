"""The record that is kept: what was explained, by what, with what result."""

from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Protocol, TypeVar, runtime_checkable

from legenda.core.evidence import Evidence
from legenda.core.target import Target
from legenda.core.units import Units

X = TypeVar("X", contravariant=True)
T = TypeVar("T", bound=Target, contravariant=True)


@dataclass(frozen=True)
class Description:
    """One sentence about a target, and who wrote it; `abstained` holds the reason for silence."""

    text: str
    by: str
    abstained: str | None = None


@dataclass(frozen=True)
class Score:
    """One number about explanations, and how to read it.

    `interval` is the 95 % interval of `value` over the `n` things it was measured on;
    `control` is the same number for a random explanation, measured on the same things.
    """

    name: str
    value: float
    interval: tuple[float, float]
    n: int
    higher_is_better: bool = True
    control: float | None = None
    control_interval: tuple[float, float] | None = None
    unit: str = ""

    @property
    def beats_control(self) -> bool | None:
        """Whether it is better than the control, intervals apart; None where one is unknown."""
        if self.control_interval is None or any(map(isnan, self.interval)):
            return None
        if self.higher_is_better:
            return self.interval[0] > self.control_interval[1]
        return self.interval[1] < self.control_interval[0]


@dataclass(frozen=True)
class Explanation:
    """Evidence about a target, described and scored."""

    target: str
    by: str
    evidence: Evidence
    descriptions: tuple[Description, ...] = ()
    scores: tuple[Score, ...] = ()

    def but(self, **changes: Any) -> "Explanation":
        """A copy with some fields changed."""
        return replace(self, **changes)


@runtime_checkable
class Explainer(Protocol[X, T]):
    """Gathers evidence about a target in x: a batch of images, or a surveyed corpus."""

    def __call__(self, units: Units, x: X, target: T) -> Evidence: ...


@runtime_checkable
class Describer(Protocol):
    """Puts evidence into words; several sentences if it is asked more than once."""

    def __call__(self, evidence: Evidence) -> tuple[Description, ...]: ...


@runtime_checkable
class Scorer(Protocol[X]):
    """Judges an explanation on x, which should not be what it was made from."""

    def __call__(self, units: Units, x: X, target: Target, explanation: Explanation) -> Score: ...
