"""Where a unit points: its atom, as it is.

    v_i = d_i        or        v_i = s_i d_i + b                           (1)

with d_i the atom, b the dictionary's bias and s_i the strength at which the unit is on: 1, or the
mean over its exemplars. A unit's name is the word whose embedding is nearest to v_i.

References
----------
Rao, Mahajan, Böhle, Schiele. Discover-then-name: task-agnostic concept bottlenecks via automated
concept discovery. ECCV 2024. A unit is named by the word nearest to its atom.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.matching import Hubs
from legenda.errors import BadInput, ShapeError


@dataclass(frozen=True, eq=False)
class UnitEvidence:
    """What is known of all units (k) of a dictionary before they are named.

    Parameters
    ----------
    atoms: what each unit writes (k e), in the space of sentences.
    bias: what the dictionary adds to every decoding; nothing where there is none.
    survey: which units are on where; some ways of naming need it.
    image_mean: the mean activation; by default the survey's mean reconstruction, or the bias.
    """

    atoms: Float[Tensor, "k e"]
    bias: Float[Tensor, " _"] | None = None
    survey: UnitSurvey | None = None
    image_mean: Float[Tensor, " _"] | None = None

    def __post_init__(self) -> None:
        k, e = self.atoms.shape
        for what, row in (("bias", self.bias), ("image_mean", self.image_mean)):
            if row is not None and row.shape != (e,):
                raise ShapeError(
                    f"units of width {e} need a {what} of that width; it has {tuple(row.shape)}."
                )
        if self.survey is not None and len(self.survey) != k:
            raise ShapeError(
                f"{k} units need a survey of {k}; that of {self.survey.address} has "
                f"{len(self.survey)}. Survey this dictionary."
            )
        if not bool(self.atoms.isfinite().all()):
            bad = int((~self.atoms.isfinite()).any(1).sum())
            raise BadInput(f"{bad} of {k} atoms hold NaN or infinity. Fit the dictionary anew.")

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def offset(self) -> Float[Tensor, " e"]:
        """The bias, or zeros."""
        return self.atoms.new_zeros(self.atoms.shape[1]) if self.bias is None else self.bias

    @property
    def mean(self) -> Float[Tensor, " e"]:
        """The mean activation: given, or Σ_i (mean weight of i) d_i + b, or b."""
        if self.image_mean is not None:
            return self.image_mean.to(self.atoms)
        if self.survey is None:
            return self.offset
        weight = torch.from_numpy(self.survey.total / max(1, self.survey.positions))
        return weight.to(self.atoms) @ self.atoms + self.offset

    def asked(self, who: str) -> UnitSurvey:
        """The survey, where a way of naming cannot do without."""
        if self.survey is None:
            raise BadInput(
                f"{who} needs a survey of the units; there is none. Run a survey first, or use "
                "VanillaNaming, which needs none."
            )
        return self.survey


@runtime_checkable
class Naming(Protocol):
    """A way of naming: where units point, where words point, and how hubs are corrected."""

    @property
    def hubs(self) -> Hubs: ...
    @property
    def near(self) -> int: ...
    def directions(self, evidence: UnitEvidence) -> Float[Tensor, "k e"]: ...
    def lexicon(self, words: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]: ...


@dataclass(frozen=True)
class VanillaNaming:
    """The word nearest to the atom, equation (1), `k e -> k e`.

    Parameters
    ----------
    add_bias: name what the unit writes together with the bias, as published, and not the atom.
    strength: how much of the atom is added to the bias: "one", or as much as in its "exemplars".
    hubs: "none", or a correction for words that all units are near to: "csls" or "zscore".
    near: neighbours of "csls"; more correct for wider hubs.
    """

    add_bias: bool = False
    strength: Literal["one", "exemplars"] = "one"
    hubs: Hubs = "none"
    near: int = 10

    def directions(self, evidence: UnitEvidence) -> Float[Tensor, "k e"]:
        if not self.add_bias:
            return evidence.atoms
        if self.strength == "one":
            return evidence.atoms + evidence.offset  # (1)
        held = evidence.asked("VanillaNaming(strength='exemplars')").exemplars
        seen = held.image >= 0
        mean = (held.value * seen).sum(1) / np.maximum(seen.sum(1), 1)
        return torch.from_numpy(mean).to(evidence.atoms)[:, None] * evidence.atoms + evidence.offset

    def lexicon(self, words: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]:
        return words
