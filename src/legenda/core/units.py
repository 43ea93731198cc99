"""Units: a model seen through a dictionary."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from legenda.core.codes import CodeEdit, Codes
from legenda.core.dictionary import Dictionary
from legenda.core.model import Edit, Model, Prefix, Run, prefix_of
from legenda.core.target import Reads
from legenda.types import Acts, Scores


@dataclass(frozen=True)
class Units:
    """All the units of one dictionary at one site of one model."""

    model: Model[Any]
    dictionary: Dictionary
    begun: "Begun | None" = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.dictionary.atoms)

    def __getitem__(self, index: int) -> "Unit":
        if not 0 <= index < len(self):
            raise IndexError(f"unit {index} is not in {self.address}, which has {len(self)} units")
        return Unit(self, index)

    @property
    def address(self) -> str:
        """Where these units live, as text: `model/dictionary`."""
        return f"{self.model.name}/{self.dictionary.name}"

    def prefix(self, x: Tensor) -> Prefix:
        """`x` run up to the site, anew unless it is the very input that was begun with."""
        begun = self.begun
        if begun and begun.model is self.model and begun.x is x:
            return begun.prefix
        return prefix_of(self.model, x)

    def codes(self, x: Tensor) -> Codes:
        """Which units are on in each image, and how strongly."""
        with torch.no_grad():
            return self.dictionary.encode(self.model.acts(x))

    def lift(self, edit: CodeEdit) -> Edit:
        """Turn an edit of codes into an edit of activations, a' = a + Δ.

        Δ is decoded from the changed slots only, so that what the dictionary cannot say is
        left as it was; where nothing changes the activations themselves are returned.
        """

        def lifted(acts: Acts) -> Acts:
            codes = self.dictionary.encode(acts)
            change = difference(codes, edit(codes))
            if change is None:
                return acts
            nothing = Codes(change.index, torch.zeros_like(change.weight), change.size)
            return acts + self.dictionary.decode(change) - self.dictionary.decode(nothing)

        return lifted


@dataclass(frozen=True)
class Begun:
    """An input already run up to the site, for who does several things with it at once.

    It holds as long as neither the input nor a weight of the model changes.
    """

    model: Model[Any]
    x: Tensor
    prefix: Prefix


def difference(before: Codes, after: Codes) -> Codes | None:
    """Codes of the slots that differ, old ones negative; None where none does."""
    if after is before:
        return None
    j = before.index.shape[-1]
    same = after.index[..., :j] == before.index[..., : after.index.shape[-1]]
    same &= after.weight[..., :j] == before.weight[..., : after.weight.shape[-1]]
    gone, come = before.weight.clone(), after.weight.clone()
    gone[..., : same.shape[-1]] *= ~same
    come[..., : same.shape[-1]] *= ~same
    if not gone.any() and not come.any():
        return None
    index = torch.cat([before.index, after.index], -1)
    return Codes(index, torch.cat([-gone, come], -1), before.size)


@dataclass(frozen=True)
class Unit:
    """One unit. It is also a target: its score is its strongest weight in the image."""

    units: Units
    index: int

    @property
    def label(self) -> str:
        return f"{self.units.address}/{self.index}"

    @property
    def key(self) -> str:
        return f"{self.units.model.ref}/{self.units.dictionary.name}/{self.index}"

    @property
    def reads(self) -> Reads:
        return "acts"

    def at(self, rows: Int[Tensor, " r"]) -> "Unit":
        return self

    def __call__(self, run: Run) -> Scores:
        return self.units.dictionary.encode(run.acts).of(self.index).amax(1)
