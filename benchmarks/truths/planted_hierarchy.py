"""A planted hierarchy: directions that imply others, in rows whose every unit is known.

Each of several roots is on by lot, so that several are on at once. A node that is on turns one of
its children on with some chance, which one by lot; a node with two parents needs both to be on.
A row is the sum of the directions that are on, each times a strength by lot, and a little noise.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.codes import Codes
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_statistics import UnitStatistics
from legenda.corpus.unit_survey import UnitSurvey
from legenda.explain.absorption import Absorption, Report
from legenda.explain.graph import Agreement, edge_f1, parallel
from legenda.explain.hierarchy import Hierarchy, hierarchy
from legenda.explain.relations import Relations
from legenda.types import Atoms

OURS = Relations(drawn=0)
PUBLISHED = replace(OURS, published=True)

ON, GOES_ON, BOTH = 0.32, 0.5, 0.6
SPREAD, NOISE = 0.25, 0.03
BLOCK = 4096
WORLDS = 4_000_000
"""Seeds of these worlds: no dictionary may begin from the draw that made the directions."""
HELD_OUT = 1 << 22
"""Rows from this number on are surveyed, and never learned from."""


@dataclass(frozen=True, eq=False)
class Planted:
    """Nodes with their parents (a root has none) and directions (k d), parents first."""

    parents: tuple[tuple[int, ...], ...]
    directions: Atoms
    seed: int = 0

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def width(self) -> int:
        return self.directions.shape[1]

    @property
    def edges(self) -> frozenset[tuple[int, int]]:
        """Child and parent of each edge; none is implied by others."""
        return frozenset((child, p) for child, its in enumerate(self.parents) for p in its)

    @property
    def levels(self) -> tuple[int, ...]:
        """0 for a root; else one more than its lowest parent."""
        found: list[int] = []
        for its in self.parents:
            found.append(1 + max((found[p] for p in its), default=-1))
        return tuple(found)

    def strengths(self, count: int, start: int = 0) -> Float[Tensor, "r k"]:
        """How strongly each node is on in rows `start` and on: what a perfect dictionary says."""
        return self._whole(count, start)[0]

    def rows(self, count: int, start: int = 0) -> Float[Tensor, "r d"]:
        """Rows by number; the same number is the same row, however many are asked for."""
        strengths, noise = self._whole(count, start)
        return strengths @ self.directions + NOISE * noise

    def _whole(self, count: int, start: int) -> tuple[Tensor, Tensor]:
        """Rows are drawn a block at a time, each block by a lot of its own."""
        first, last = start // BLOCK, -(-(start + count) // BLOCK)
        blocks = [self._block(number) for number in range(first, last)]
        at = slice(start - first * BLOCK, start - first * BLOCK + count)
        return torch.cat([b[0] for b in blocks])[at], torch.cat([b[1] for b in blocks])[at]

    def _block(self, number: int) -> tuple[Tensor, Tensor]:
        lot = torch.Generator().manual_seed((WORLDS + self.seed) * 1_000_003 + number)
        own, goes, pick = torch.rand(3, BLOCK, len(self), generator=lot)
        on = torch.zeros(BLOCK, len(self), dtype=torch.bool)
        for node, its in enumerate(self.parents):
            above = on[:, list(its)].all(1)
            if len(its) == 1:
                kin, only = [c for c, p in enumerate(self.parents) if p == its], list(its)[0]
                turn = (pick[:, only] * len(kin)).long() == kin.index(node)
                on[:, node] = above & turn & (goes[:, only] < GOES_ON)
            else:
                on[:, node] = above & (own[:, node] < (BOTH if its else ON))
        strength = 1 + SPREAD * torch.randn(BLOCK, len(self), generator=lot)
        noise = torch.randn(BLOCK, self.width, generator=lot)
        return on * strength.clamp(min=0.3), noise


def planted(seed: int = 0, width: int = 128, roots: int = 5, children: int = 3, grandchildren: int = 2, shared: int = 3) -> Planted:  # fmt: skip # noqa: E501
    """Roots, their children and grandchildren, and some children of two roots at once."""
    parents: list[tuple[int, ...]] = [()] * roots
    parents += [(root,) for root in range(roots) for _ in range(children)]
    parents += [(node,) for node in range(roots, roots + roots * children) for _ in range(grandchildren)]  # fmt: skip # noqa: E501
    parents += [(number % roots, (number + 1) % roots) for number in range(shared)]
    lot = torch.Generator().manual_seed(WORLDS + seed)
    directions = torch.randn(len(parents), width, generator=lot)
    return Planted(tuple(parents), torch.nn.functional.normalize(directions, dim=1), seed)


def dense(strengths: Float[Tensor, "r k"]) -> Codes:
    """Strengths of nodes as codes, each row an image of one position."""
    r, k = strengths.shape
    return Codes(strengths.new_ones(r, 1, k).long().cumsum(2) - 1, strengths[:, None], k)


def surveyed(strengths: Float[Tensor, "r k"], address: str = "planted/nodes") -> UnitSurvey:
    """A survey of dense codes, each row an image of one position."""
    return survey_of(dense(strengths), address)


def survey_of(codes: Codes, address: str = "planted/units") -> UnitSurvey:
    """A survey of codes, each row an image of one position."""
    keys = tuple(map(str, range(len(codes.index))))
    found = UnitStatistics.of(codes, top=1)
    return found.result(SparsePairs.of(codes), address, (1, 1), keys)


def matched(codes: Float[Tensor, "r k"], strengths: Float[Tensor, "r i"]) -> dict[int, int]:
    """The node of each unit that has one: the best one-to-one match of activations."""
    from scipy.optimize import linear_sum_assignment

    unit, node = linear_sum_assignment(-alike(codes, strengths).numpy())
    return dict(zip(unit.tolist(), node.tolist(), strict=True))


def alike(codes: Float[Tensor, "r k"], strengths: Float[Tensor, "r i"]) -> Float[Tensor, "k i"]:
    """Pearson correlation of each unit with each node; 0 for a unit that never changes."""
    parts = [x.double() - x.double().mean(0) for x in (codes, strengths)]
    a, b = (x / x.norm(dim=0).clamp(min=1e-12) for x in parts)
    return a.T @ b


def renamed(pairs: Iterable[tuple[int, int]], nodes: dict[int, int]) -> frozenset[tuple[int, int]]:
    """Edges between units as edges between nodes; a unit that has none keeps a name of its own."""
    return frozenset((nodes.get(i, -1 - i), nodes.get(j, -1 - j)) for i, j in pairs)


@dataclass(frozen=True, eq=False)
class Found:
    """A hierarchy of units, beside the planted one; `absorbed` is about the planted edges."""

    hierarchy: Hierarchy
    agreement: Agreement
    published: Agreement
    absorbed: Report
    on: float


def found(world: Planted, codes: Codes, atoms: Float[Tensor, "k d"]) -> Found:
    """Survey, relations, hierarchy, and how its edges agree with the planted ones."""
    survey, same = survey_of(codes), parallel(atoms)
    tree = hierarchy(OURS(survey), synonyms=same)
    agreement, nodes = agreed(world, codes, tree)
    published = agreed(world, codes, hierarchy(PUBLISHED(survey), synonyms=same))[0]
    unit = {node: one for one, node in nodes.items()}
    pairs = np.array([[unit[c], unit[p]] for c, p in sorted(world.edges) if {c, p} <= unit.keys()])
    absorbed = Absorption()(survey, atoms, pairs)
    return Found(tree, agreement, published, absorbed, float(survey.active.sum()) / len(codes.index))  # fmt: skip # noqa: E501


def agreed(world: Planted, codes: Codes, tree: Hierarchy) -> tuple[Agreement, dict[int, int]]:
    """Edges compared once units are matched with nodes; synonyms are no units of their own."""
    weights = codes.dense()[:, 0].clone()
    weights[:, [unit for others in tree.synonyms.values() for unit in others]] = 0
    nodes = matched(weights, world.strengths(len(weights), HELD_OUT))
    return edge_f1(renamed(tree.pairs, nodes), world.edges), nodes
