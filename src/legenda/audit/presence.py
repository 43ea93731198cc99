"""Presence: the counts behind `shortcut`, without an array of images × tokens.

A token is in an image or not, however often. Of 16384 tokens an image of 16 × 16 holds at most
256, so what is kept is the list of (image, token) that occur, each once; sums run over it in
whole numbers. Equation numbers are those of `shortcut`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.effect import dominance
from legenda.types import Tokens


class Presence:
    """Which images hold which tokens, for the tokens that can be tested.

    Parameters
    ----------
    tokens, side: the token grids, and 0 for images of class a, 1 for those of b.
    least: images with and without the token that a class needs.
    every: whether both classes need them, or one is enough.
    """

    def __init__(self, tokens: Tokens, side: Int[Tensor, " b"], least: int, every: bool):
        ids, column = tokens.unique(return_inverse=True)
        pair = (torch.arange(len(tokens))[:, None] * len(ids) + column).unique()
        image, cell = pair // len(ids), 2 * (pair % len(ids)) + side[pair // len(ids)]
        self.side, self.images = side, side.bincount(minlength=2)
        present = cell.bincount(minlength=2 * len(ids)).view(-1, 2)
        absent = self.images - present
        enough = present.minimum(absent) >= least
        kept = enough.all(1) if every else enough.any(1)
        mine = kept[cell // 2]
        self.image, self.cell = image[mine], (2 * (kept.cumsum(0) - 1))[cell[mine] // 2] + cell[mine] % 2  # fmt: skip # noqa: E501
        self.ids, self.present = ids[kept], present[kept]
        self.pairs = (enough * present * absent)[kept]
        cross = (present[:, 0] * absent[:, 1] - present[:, 1] * absent[:, 0]).double()[kept]
        margin = self.images.prod() * (present.sum(1) * absent.sum(1))[kept]
        chi2 = len(tokens) * cross**2 / margin  # (5)
        self.class_p = torch.special.erfc((chi2 / 2).sqrt())

    def won(self, d: Int[Tensor, " b"]) -> Int[Tensor, "k 2"]:
        """Equation (2), for the classes that have enough images."""
        sums = torch.zeros(2 * len(self.ids), dtype=torch.int64)
        return sums.index_add(0, self.cell, d[self.image]).view(-1, 2) * (self.pairs > 0)


def standing(margins: Float[Tensor, " b"], side: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Equation (1)."""
    d = torch.zeros_like(side)
    for c in (0, 1):
        _, place, count = margins[side == c].unique(return_inverse=True, return_counts=True)
        d[side == c] = dominance(count[None])[0][place]
    return d


def shuffled(
    d: Int[Tensor, " b"], side: Int[Tensor, " b"], lot: torch.Generator
) -> Int[Tensor, " b"]:
    """The standings of other images of the same class."""
    order = torch.randperm(len(d), generator=lot)
    mixed = torch.empty_like(d)
    mixed[side.argsort(stable=True)] = d[order[side[order].argsort(stable=True)]]
    return mixed
