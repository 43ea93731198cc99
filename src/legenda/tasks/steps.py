"""Steps of an edit: tokens that are set or taken away, and acts that are steered.

At the positions of a region, with c_u the entry of unit u,

    set u=1      t'_n = u                                                     (1)
    set u=0      t'_n = argmin_k ‖c_k - c_u‖ over c_k ≠ c_u, where t_n = u    (2)
    steer u=v    a'_n = a_n + v (c_u - c̄),   c̄ = (1/K) Σ_k c_k                (3)

(1) and (2) are tokens again, (3) is not. Of each step there is a random one, by lot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import NamedTuple

import torch

from legenda.core.codebook import Codebook
from legenda.errors import BadInput
from legenda.types import Acts, Mask, Tokens


class Written(NamedTuple):
    """A picture as tokens (b n), and as acts (b n d), which may be shifted off them."""

    tokens: Tokens
    acts: Acts


@dataclass(frozen=True)
class Put:
    """Equations (1) and (2): a token everywhere, or nowhere.

    Parameters
    ----------
    unit: the number of the token.
    value: 1 puts it at every position, 0 takes it away where it is.
    """

    unit: int
    value: float | int

    def __post_init__(self) -> None:
        if self.value not in (0, 1):
            raise BadInput(
                f"a token is there or it is not: a unit is set to 1 or to 0; it got {self}. "
                f"For a matter of degree, steer {self.unit}."
            )

    def __str__(self) -> str:
        return f"set {self.unit}={self.value:g}"

    def __call__(self, book: Codebook, was: Written, here: Mask) -> Written:
        where = here if self.value else here & (was.tokens == self.unit)
        if not where.any():
            return was
        unit = self.unit if self.value else nearest_other(book, self.unit)
        tokens = was.tokens.masked_fill(where, unit)  # (1), (2)
        return Written(tokens, torch.where(where[..., None], book.atoms[unit], was.acts))

    def by_lot(self, lot: torch.Generator, size: int) -> "Put":
        """The same with a token by lot; what is taken away stays what it is."""
        return replace(self, unit=another(self.unit, lot, size)) if self.value else self


@dataclass(frozen=True)
class Steer:
    """Equation (3): acts, moved along an entry.

    Parameters
    ----------
    unit: the number of the entry.
    by: how far; below 0 is away from it, and 0 leaves every bit as it was.
    """

    unit: int
    by: float | int

    def __post_init__(self) -> None:
        if not isfinite(self.by):
            raise BadInput(f"steering needs a finite strength, such as +1; it got {self}.")

    def __str__(self) -> str:
        return f"steer {self.unit}={self.by:+g}"

    def __call__(self, book: Codebook, was: Written, here: Mask) -> Written:
        if not self.by:
            return was
        mean = book.atoms.double().mean(0).to(book.atoms)
        shift = self.by * (book.atoms[self.unit] - mean)
        return was._replace(acts=torch.where(here[..., None], was.acts + shift, was.acts))  # (3)

    def by_lot(self, lot: torch.Generator, size: int) -> "Steer":
        """As strong, along an entry by lot."""
        return replace(self, unit=another(self.unit, lot, size))


Step = Put | Steer


def followed(book: Codebook, steps: Sequence[Step], was: Written, here: Mask) -> Written:
    """A picture after all steps, in their order."""
    for step in steps:
        was = step(book, was, here)
    return was


def checked(book: Codebook, steps: Sequence[Step], was: Written, here: Mask) -> Written:
    """The same, if each step has something to do."""
    for step in steps:
        now = step(book, was, here)
        if now is was and isinstance(step, Put):
            there, often = was.tokens[here].unique(return_counts=True)
            most = there[often.argsort(descending=True, stable=True)[:3]].tolist()
            raise BadInput(
                f"unit {step.unit} is at no position of the region, so there is nothing to take "
                f"away. Most often there: {', '.join(map(str, most))}."
            )
        was = now
    return was


def checked_units(book: Codebook, model: str, steps: Sequence[Step]) -> None:
    """Refuse no step at all, and units that the codebook does not have."""
    if not steps:
        raise BadInput("an edit needs a step; it got none. Set a unit, or steer one.")
    for step in steps:
        if not 0 <= step.unit < len(book):
            raise BadInput(
                f"unit {step.unit} is not in {model}/{book.name}, which has {len(book)} units, "
                "numbered from 0."
            )


def nearest_other(book: Codebook, unit: int) -> int:
    """Equation (2): the entry that is nearest to one, twins of it left out."""
    gaps = (book.atoms.double() - book.atoms[unit].double()).square().sum(1)
    if not gaps.any():
        raise BadInput(f"all entries of {book.name} are alike: none can stand in for {unit}.")
    return int(gaps.masked_fill(gaps == 0, torch.inf).argmin())


def another(unit: int, lot: torch.Generator, size: int) -> int:
    """Another unit than this, by lot."""
    found = int(torch.randint(max(1, size - 1), (), generator=lot))
    return (found + (found >= unit)) % size
