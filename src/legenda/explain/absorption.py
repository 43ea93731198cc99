"""Absorption: how often a parent is silent where its child is on, and whether the child speaks for it.

Where a child i implies a parent j, both should be on. A sparse dictionary saves a unit by writing
the parent's direction into the child's atom and leaving the parent off: the child has absorbed
it, and the hierarchy that co-occurrence sees loses the edge. For a pair of them,

    recall = P_C(j|i),     silent = 1 - recall,     unspoken = 1 - P_D(j|i)           (1)
    along  = d_i · d_j / (‖d_i‖ ‖d_j‖)                                                (2)

the last two being the share of the child's weight where the parent is silent, and the child's
direction along the parent's. A child absorbs where `along` is large and the parent is silent more
often than not, by the lower end of the interval. Where no pairs are given, a child is paired with
the unit that its atom is most along, of those that are on at more positions: siblings that have
absorbed the same parent are alike, too, but less than either is like the parent. Over all pairs
recall is pooled, Σ C_ij / Σ C_ii, and pairs are resampled for its interval.

Two units without any relation are silent for each other, too: it is (2) that tells. The control
puts another unit in the parent's place, one that is on about as often, drawn by lot among the
nearest.

References
----------
Chanin, Wilken-Smith, Dulka, Bhatnagar, Golechha, Bloom. A is for absorption: studying feature
splitting and absorption in sparse autoencoders. arXiv 2409.14507. The phenomenon; (1), (2) and the
rule are ours.
"""  # noqa: E501

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from legenda.core.effect import ends
from legenda.core.interval import Interval
from legenda.corpus.unit_survey import UnitSurvey
from legenda.errors import BadInput
from legenda.explain.edges import TINY, Edges, at, measured
from legenda.types import Atoms

ROWS, NEAREST = 1024, 10
"""Atoms compared with all others at once; units that a control parent is drawn from."""
Pairs = Int[np.ndarray, "e 2"]


class Pooled(NamedTuple):
    """Recall over all pairs, its interval, and how many of how many pairs absorb."""

    recall: float
    interval: Interval
    absorbed: int
    pairs: int


@dataclass(frozen=True, eq=False)
class Report:
    """Equations (1) and (2) for each pair (e): P_C with its interval and P_D are in `edges`."""

    edges: Edges
    along: Float[np.ndarray, " e"]
    absorbs: Bool[np.ndarray, " e"]
    total: Pooled
    control: Pooled

    @property
    def silent(self) -> Float[np.ndarray, " e"]:
        """Share of the child's positions where the parent is off."""
        return 1 - self.edges.share

    @property
    def unspoken(self) -> Float[np.ndarray, " e"]:
        """Share of the child's weight where the parent is off."""
        return 1 - self.edges.weighted

    @property
    def pairs(self) -> Pairs:
        """Child and parent of the pairs that absorb, the most along first."""
        order = np.argsort(-self.along, kind="stable")
        return self.edges.pairs[order[self.absorbs[order]]]


@dataclass(frozen=True)
class Absorption:
    """Reports on pairs that are given, or on those that the atoms suspect.

    Parameters
    ----------
    along: least cosine of a child's atom with the parent's; larger suspects fewer pairs.
    silent: what the lower end of the silent share must exceed; larger calls fewer pairs absorbed.
    least: fewest positions of a child; larger leaves out more rare ones.
    within: ρ of `edges`; larger widens intervals.
    seed: of the control and of the interval.
    """

    along: float = 0.5
    silent: float = 0.5
    least: int = 20
    within: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.along <= 1 and 0 <= self.silent <= 1 and 0 <= self.within <= 1):
            raise BadInput(
                f"Absorption needs along above 0, silent and within of 0 or more, and all at most "
                f"1; it got {self.along}, {self.silent} and {self.within}."
            )

    def __call__(self, survey: UnitSurvey, atoms: Atoms, pairs: Pairs | None = None) -> Report:
        if len(atoms) != len(survey):
            raise BadInput(
                f"Absorption needs the atoms of the {len(survey)} units of {survey.address}; it "
                f"got {len(atoms)}. Use the dictionary that was surveyed."
            )
        pairs = self.suspects(survey, atoms) if pairs is None else pairs
        edges, along, absorbs = self._judged(survey, atoms, pairs)
        other = self._judged(survey, atoms, others(survey, pairs, self.seed))
        return Report(edges, along, absorbs, self._pooled(edges, absorbs), self._pooled(other[0], other[2]))  # fmt: skip # noqa: E501

    def suspects(self, survey: UnitSurvey, atoms: Atoms) -> Pairs:
        """Each child with the atom it is most along, of units on at more positions, if enough."""
        unit = torch.nn.functional.normalize(atoms.detach().float().cpu(), dim=1)
        on = torch.from_numpy(survey.active)
        found = []
        for start in range(0, len(unit), ROWS):
            mine = on[start : start + ROWS, None]
            along = unit[start : start + ROWS] @ unit.T
            best, parent = along.masked_fill(on[None] <= mine, -1.0).max(1)
            child = ((best >= self.along) & (mine[:, 0] >= self.least)).nonzero()[:, 0]
            found.append(torch.stack([child + start, parent[child]], 1))
        return torch.cat(found).numpy()

    def _judged(
        self, survey: UnitSurvey, atoms: Atoms, pairs: Pairs
    ) -> tuple[Edges, Float[np.ndarray, " e"], Bool[np.ndarray, " e"]]:
        """Equations (1) and (2), and the rule."""
        child, parent = np.asarray(pairs, np.int64).reshape(-1, 2).T
        both = at(survey.together, child, parent).astype(np.int64)
        own = survey.weighted.diagonal()[child]
        weighted = at(survey.weighted, child, parent) / np.maximum(own, TINY)
        edges = measured(survey, child, parent, both, weighted, self.within)
        unit = torch.nn.functional.normalize(atoms.detach().double().cpu(), dim=1)
        along = (unit[child] * unit[parent]).sum(1).numpy()  # (2)
        silent = 1 - edges.interval[:, 1]
        enough = survey.active[child] >= self.least
        return edges, along, (along >= self.along) & (silent > self.silent) & enough

    def _pooled(self, edges: Edges, absorbs: Bool[np.ndarray, " e"]) -> Pooled:
        both, mine = edges.together.astype(float), edges.active[edges.child].astype(float)
        recall = both.sum() / max(1.0, mine.sum())
        if len(edges) < 2:
            return Pooled(float(recall), (0.0, 1.0), int(absorbs.sum()), len(edges))
        lot = np.random.default_rng(self.seed)
        pick = (lot.integers(0, len(edges), len(edges)) for _ in range(500))
        drawn = [both[rows].sum() / max(1.0, mine[rows].sum()) for rows in pick]
        interval = ends(torch.tensor(drawn, dtype=torch.float64), 0.95)
        return Pooled(float(recall), interval, int(absorbs.sum()), len(edges))


def others(survey: UnitSurvey, pairs: Pairs, seed: int) -> Pairs:
    """The same children, each with a unit that is on about as often as its parent."""
    lot, alive = np.random.default_rng(seed), np.flatnonzero(survey.active)
    order = alive[np.argsort(survey.active[alive], kind="stable")]
    place = np.empty(len(survey), np.int64)
    place[order] = np.arange(len(order))
    found = []
    for child, parent in np.asarray(pairs).reshape(-1, 2).tolist():
        start = max(0, min(int(place[parent]) - NEAREST // 2, len(order) - NEAREST - 2))
        near = [u for u in order[start : start + NEAREST + 2].tolist() if u not in (child, parent)]
        if near:
            found.append((child, near[int(lot.integers(len(near)))]))
    return np.array(found, np.int64).reshape(-1, 2)
