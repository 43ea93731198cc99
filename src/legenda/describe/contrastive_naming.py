"""Contrastive naming: what a unit says that its neighbours do not.

Siblings, such as two units for two kinds of boat, point to nearly the same place, and the nearest
word is the same for both. With N(i) the units that are nearest to i, or most often on with it,

    v_i = x_i - share · mean_{j ∈ N(i)} x_j,    all x of unit length       (1)

x_i being what another way of naming makes of the unit. How often j goes with i is the cosine of
their activity, C_ij / √(C_ii C_jj).

References
----------
Our own; it follows from no paper.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.centred_naming import CentredNaming
from legenda.describe.family_naming import FamilyNaming
from legenda.describe.matching import BLOCK, Hubs
from legenda.describe.unit_vectors import UnitEvidence, VanillaNaming
from legenda.errors import BadInput


@dataclass(frozen=True)
class ContrastiveNaming:
    """The word nearest to what sets a unit apart, equation (1), `k e -> k e`.

    Parameters
    ----------
    of: where a unit points before its neighbours are taken away.
    against: units that point alike ("nearest"), or that are on with it ("together").
    neighbours: how many; more take away what a larger group has in common.
    share: how much of their mean is taken away, from 0 to 1; more tells siblings apart and says
        less of what they are.
    """

    of: VanillaNaming | FamilyNaming | CentredNaming = VanillaNaming()
    against: Literal["nearest", "together"] = "nearest"
    neighbours: int = 5
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.neighbours < 1 or not 0 <= self.share <= 1:
            raise BadInput(
                f"ContrastiveNaming needs at least one neighbour and a share from 0 to 1; it got "
                f"neighbours={self.neighbours}, share={self.share}."
            )

    @property
    def hubs(self) -> Hubs:
        return self.of.hubs

    @property
    def near(self) -> int:
        return self.of.near

    def directions(self, evidence: UnitEvidence) -> Float[Tensor, "k e"]:
        x = normalize(self.of.directions(evidence), dim=1)
        if self.against == "nearest":
            which, there = nearest(x, self.neighbours)
        else:
            which, there = together(evidence.asked("ContrastiveNaming"), self.neighbours)
        mean = torch.zeros_like(x)
        for near, held in zip(which.T, there.T, strict=True):
            mean += x[near] * held[:, None]
        mean /= there.sum(1, keepdim=True).clamp(min=1)
        return x - self.share * mean  # (1)

    def lexicon(self, words: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]:
        return self.of.lexicon(words)


Neighbours = tuple[Int[Tensor, "k m"], Float[Tensor, "k m"]]
"""Which units, and 1 where there is one (0 where there are too few)."""


def nearest(x: Float[Tensor, "k e"], count: int) -> Neighbours:
    """The units with the largest cosines to each, itself left out."""
    count, found = min(count, len(x) - 1), []
    for start in range(0, len(x), BLOCK):
        close = x[start : start + BLOCK] @ x.T
        close[torch.arange(len(close)), start + torch.arange(len(close))] = -torch.inf
        found.append(close.topk(count, dim=1).indices)
    return torch.cat(found), x.new_ones(len(x), count)


def together(survey: UnitSurvey, count: int) -> Neighbours:
    """The units that are most often on with each, from the sparse counts."""
    pairs = survey.together.tocoo()
    row, column = pairs.coords
    other = (row != column) & (pairs.data > 0)
    row, column = row[other], column[other]
    often = np.sqrt(survey.active.astype(np.float64))
    cosine = pairs.data[other] / np.maximum(often[row] * often[column], 1e-30)
    order = np.lexsort((column, -cosine, row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)  # how many of its row stand before
    kept = place < count
    which = np.zeros((len(survey), count), dtype=np.int64)
    there = np.zeros((len(survey), count), dtype=np.float32)
    which[row[kept], place[kept]] = column[kept]
    there[row[kept], place[kept]] = 1
    return torch.from_numpy(which), torch.from_numpy(there)
