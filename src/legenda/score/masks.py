"""Which tokens of an image go first, and how many go at once.

A method puts the positions of an image in order: by a score of each, or by where its token
stands in a list of ids. With r_p the place of position p in that order, from 0, and

    i_p = min { r_q : the token at q is the token at p }                          (1)

the place at which the id of p is met first, these go at a count of N:

    by position    r_p < N: the N best positions                                  (2)
    by id          i_p < N: every position that carries an id of the N best       (3)
    equal area     the first N positions by (i_p, lot): whole ids, the last cut   (4)

(3) is the published way. It takes more than N cells, and more for one method than for another: a
list of frequent ids takes most. (2) and (4) take exactly N from every image for every method. In
(4), positions that the list did not name go last, one by one, by lot. Each takes more with N and
never gives back, so one number per position says it all: the count from which on it is gone.

Lots are drawn per image, from the seed and its tokens alone.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. (3), and the lists of ids.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.errors import BadInput
from legenda.score.inputs import lots
from legenda.types import Mask, Tokens

Mode = Literal["position", "id", "equal-area"]
MODES = ("position", "id", "equal-area")
TIES = 0x2545F4914F6CDD1D
"""Keeps the lots of ties apart from those of a random order of the same seed."""


@dataclass(frozen=True)
class Order:
    """The positions of each image, the one to go first in front.

    Parameters
    ----------
    positions: every position of the grid once (b n).
    listed: how many of them the ranking named; the others follow by lot.
    """

    positions: Int[Tensor, "b n"]
    listed: Int[Tensor, " b"]

    @property
    def place(self) -> Int[Tensor, "b n"]:
        """r: the place of each position."""
        return self.positions.argsort(1)

    def at(self, rows: Int[Tensor, " r"]) -> "Order":
        """The order of some of the images."""
        return Order(self.positions[rows], self.listed[rows])


def by_score(tokens: Tokens, scores: Float[Tensor, "b n"], seed: int = 0) -> Order:
    """Highest score first, ties by lot."""
    if not scores.isfinite().all():
        raise BadInput(
            f"an order needs finite scores; {int((~scores.isfinite()).any(1).sum())} of "
            f"{len(scores)} images hold NaN or infinity. Mend the importance."
        )
    every = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return Order(sorted_by(tokens, -scores.detach(), seed), every)


def by_ids(tokens: Tokens, ids: Int[Tensor, " m"] | Int[Tensor, "b m"], seed: int = 0) -> Order:
    """By the rank of each position's token in a list: one for all, or one per image; ties by lot.

    A list per image may be filled up with -1. Tokens that are not in the list come last.
    """
    rank = rank_in(ids, tokens)
    return Order(sorted_by(tokens, rank, seed), (rank < ids.shape[-1]).sum(1))


def at_random(tokens: Tokens, seed: int = 0) -> Order:
    """By lot: the control of every other order."""
    every = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return Order(drawn(tokens, seed).argsort(1), every)


def gone_by_position(order: Order, count: int) -> Mask:
    """Equation (2)."""
    checked_count(order.positions, count)
    return order.place < count


def gone_by_id(tokens: Tokens, order: Order, count: int) -> Mask:
    """Equation (3)."""
    checked_count(tokens, count)
    return first_met(tokens, order.place) < count


def gone_by_list(tokens: Tokens, ids: Int[Tensor, " m"] | Int[Tensor, "b m"]) -> Mask:
    """Every position whose token is in the list: the published way of a whole concept."""
    return rank_in(ids, tokens) < ids.shape[-1]


def equal_area(tokens: Tokens, order: Order, cells: int, seed: int = 0) -> Mask:
    """Equation (4)."""
    checked_count(tokens, cells)
    return depth(tokens, order, "equal-area", seed) < cells


def ran_out(order: Order, count: int) -> Bool[Tensor, " b"]:
    """The images whose list named fewer than so many positions, so that lots filled the rest."""
    return order.listed < count


def depth(tokens: Tokens, order: Order, mode: Mode, seed: int = 0) -> Int[Tensor, "b n"]:
    """A position is gone at every count above its depth."""
    place = order.place
    if mode == "position":
        return place  # (2)
    met = first_met(tokens, place)
    if mode == "id":
        return met  # (3)
    key = torch.where(place < order.listed[:, None], met, place)
    return sorted_by(tokens, key, seed).argsort(1)  # (4)


def first_met(tokens: Tokens, place: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """Equation (1)."""
    table = place.new_full((len(tokens), int(tokens.max()) + 1), tokens.shape[1])
    return table.scatter_reduce_(1, tokens.long(), place, "amin").gather(1, tokens.long())


def rank_in(ids: Int[Tensor, " m"] | Int[Tensor, "b m"], tokens: Tokens) -> Int[Tensor, "b n"]:
    """The rank of every token in a list of ids, from 0; the length of the list if it is not in."""
    lists = ids.to(tokens.device).long().expand(len(tokens), -1)
    size = int(torch.cat([tokens.flatten(), lists.flatten()]).max()) + 1
    table = lists.new_full((len(tokens), size), lists.shape[1])
    rank = torch.arange(lists.shape[1], device=lists.device).expand_as(lists)
    rank = torch.where(lists < 0, lists.shape[1], rank)
    table.scatter_reduce_(1, lists.clamp(min=0), rank, "amin")
    return table.gather(1, tokens.long())


def sorted_by(tokens: Tokens, key: Tensor, seed: int) -> Int[Tensor, "b n"]:
    """Positions by their key, least first, ties by lot."""
    shuffle = drawn(tokens, seed ^ TIES).argsort(1)
    return shuffle.gather(1, torch.argsort(key.gather(1, shuffle), dim=1, stable=True))


def drawn(tokens: Tokens, seed: int) -> Float[Tensor, "b n"]:
    """A number for each position, from the seed and the tokens of its image."""
    return lots(tokens, torch.ones_like(tokens, dtype=torch.bool), seed)


def checked_count(tokens: Tensor, count: int) -> None:
    """Refuse to take more cells than there are."""
    if not 0 <= count <= tokens.shape[1]:
        raise BadInput(
            f"masks take 0 to {tokens.shape[1]} cells of a grid of {tokens.shape[1]}; "
            f"{count} were asked for. Choose fewer."
        )
