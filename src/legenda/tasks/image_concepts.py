"""The concepts of one picture: which units are on, how strongly, and where.

Of a picture with codes z_n(u), a concept n has the mass m_n = Σ_u z_n(u). Concepts that are on
everywhere say little of one picture, so that they are ranked by mass times rarity,

    r_n = m_n log(N / N_n)                                                (1)

with N_n of the N images of the survey that have it, as words are ranked in a document
(`by="mass"` leaves the rarity out, `by="strongest"` asks for the strongest position only).

References
----------
Spärck Jones. A statistical interpretation of term specificity and its application in retrieval.
Journal of Documentation 1972. (1), for words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codes import Codes

By = Literal["rarity", "mass", "strongest"]
BY = ("rarity", "mass", "strongest")
COLUMNS, ROWS = ("left", "", "right"), ("top", "", "bottom")


@dataclass(frozen=True, eq=False)
class ImageConcept:
    """A concept in a picture: its map (h w), strongest weight, mass, and share of positions.

    `word` is None where the unit has no name; `rank` is what it was ranked by.
    """

    unit: int
    word: str | None
    map: Float[Tensor, "h w"]
    strongest: float
    mass: float
    share: float
    rank: float

    @property
    def place(self) -> str:
        """Where it is, in words: by the centre of its mass, of thirds."""
        h, w = self.map.shape
        total = float(self.map.sum())
        y = float((self.map.sum(1) * torch.arange(h)).sum()) / total / max(1, h - 1)
        x = float((self.map.sum(0) * torch.arange(w)).sum()) / total / max(1, w - 1)
        if self.share > 0.5:
            return "all over"
        column, row = COLUMNS[min(2, int(3 * x))], ROWS[min(2, int(3 * y))]
        if not row:
            return f"on the {column}" if column else "in the middle"
        return f"at the {row} {column}".strip()


def image_concepts(
    codes: Codes,
    grid: tuple[int, int],
    words: Mapping[int, str] | None = None,
    held_by: Int[np.ndarray, " k"] | None = None,
    images: int = 0,
    count: int = 12,
    by: By = "rarity",
    named: bool = False,
) -> list[list[ImageConcept]]:
    """The concepts of each picture of a batch, the first ranked first.

    `held_by` is how many of `images` of a survey have each unit; without it all count as equally
    rare. `named` leaves units without a name out.
    """
    words = words or {}
    weight = codes.weight.clamp(min=0)
    positive = Codes(codes.index, weight, codes.size)
    mass, strongest = positive.pooled(), positive.strongest()
    rank = strongest if by == "strongest" else mass
    if by == "rarity" and held_by is not None:
        held = torch.from_numpy(np.maximum(held_by, 1)).to(mass)
        rank = mass * (max(1, images) / held).log().clamp(min=0)  # (1)
    if named:
        known = torch.zeros(codes.size, dtype=torch.bool)
        known[torch.tensor(sorted(words), dtype=torch.long)] = True
        rank = rank * known.to(rank)
    best = rank.topk(min(count, codes.size), dim=1)
    found: list[list[ImageConcept]] = []
    for b, (units, ranks) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True)):  # fmt: skip # noqa: E501
        one = Codes(positive.index[b : b + 1], positive.weight[b : b + 1], codes.size)
        row = []
        for unit, value in zip(units, ranks, strict=True):
            if value <= 0:
                continue
            drawn = one.of(unit)[0].view(grid)
            share = float((drawn > 0).float().mean())
            numbers = (float(strongest[b, unit]), float(mass[b, unit]), share, value)
            row.append(ImageConcept(unit, words.get(unit), drawn, *numbers))
        found.append(row)
    return found
