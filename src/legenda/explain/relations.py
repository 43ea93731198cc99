"""Relations: which unit is on wherever another is, and is the more general one.

With P_C(j|i) the share of unit i's positions where j is on too, P_D(j|i) the share of its weight
there (both in `edges`), and a bound c, as published,

    i → j   where   P_D(j|i) > c                                          (1)

says that j is an ancestor of i, a more general concept. By default an edge also needs a lower end
of P_C's interval above `sure`, a lower end of lift above `lift`, a parent that is on at more
positions than the child, and enough positions. That i is a kind of j and that it is a part of j
are both edges: `part_of` tells them apart.

The control is the number of edges that chance makes of units that are on as often, with weights
as uneven, and do not know of each other. With q_j the share of positions where j is on, n_i what
the positions of i are worth and v_i the squared coefficient of variation of its weights,

    P_C ~ Binomial(n_i, q_j) / n_i                                        (2)
    P_D ~ P_C + √(P_C (1 - P_C) v_i / (n_i - 1)) N(0, 1)                  (3)

(3) is what a random subset of unequal weights sums up to.

Differs from the official code: pairs that are never on together are never touched (theirs holds
k × k); the conditions beyond (1), which `published=True` leaves out.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool

from legenda.core.interval import bootstrap
from legenda.corpus.unit_survey import UnitSurvey
from legenda.errors import BadInput
from legenda.explain.edges import TINY, Chance, Edges, at, measured, worth


@dataclass(frozen=True)
class Relations:
    """Finds edges in a survey.

    Parameters
    ----------
    share: c of equation (1); larger keeps fewer edges.
    sure: what the lower end of P_C must exceed; larger keeps fewer edges.
    lift: what the lower end of lift must exceed; larger keeps fewer edges.
    general: a parent is on at more than so many times the child's positions; 0 asks nothing, and
        then cycles may come.
    least: fewest positions of a child; larger keeps fewer edges.
    within: ρ of `edges`, from 0 to 1; larger widens intervals.
    published: whether equation (1) alone decides.
    drawn: children tried for the control, none at 0; more give a narrower interval of it.
    seed: of the control.
    """

    share: float = 0.75
    sure: float = 0.5
    lift: float = 1.0
    general: float = 1.0
    least: int = 20
    within: float = 1.0
    published: bool = False
    drawn: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.share, self.sure, self.within)
        if not all(0 <= s <= 1 for s in shares) or min(self.lift, self.general, self.drawn) < 0:
            names = ("share", "sure", "within", "lift", "general", "drawn")
            got = ", ".join(f"{name}={getattr(self, name)}" for name in names)
            raise BadInput(
                f"Relations needs share, sure and within from 0 to 1, and no negative lift, "
                f"general or drawn; it got {got}."
            )

    def __call__(self, survey: UnitSurvey) -> Edges:
        weighted = survey.weighted.tocoo()
        own = survey.weighted.diagonal()
        if survey.positions < 1 or not own.any():
            raise BadInput(
                f"Relations needs units that are on somewhere; in the survey of {survey.address} "
                f"none of {len(survey)} is, at {survey.positions} positions. Survey more images."
            )
        share = weighted.data / np.maximum(own[weighted.row], TINY)
        kept = (share > self.share) & (weighted.row != weighted.col)  # (1)
        order = np.lexsort((weighted.col[kept], weighted.row[kept]))
        child, parent = (x[kept][order].astype(np.int64) for x in (weighted.row, weighted.col))
        together = at(survey.together, child, parent).astype(np.int64)
        found = measured(survey, child, parent, together, share[kept][order], self.within)
        found = found.where(self.accepts(found))
        return replace(found, chance=self.chance(survey)) if self.drawn else found

    def accepts(self, pairs: Edges) -> Bool[np.ndarray, " e"]:
        """Which pairs are edges."""
        published = pairs.weighted > self.share  # (1)
        if self.published:
            return published
        mine, its = pairs.active[pairs.child], pairs.active[pairs.parent]
        surely = (pairs.interval[:, 0] > self.sure) & (pairs.lift_interval[:, 0] > self.lift)
        return published & surely & (its > self.general * mine) & (mine >= self.least)

    def chance(self, survey: UnitSurvey) -> Chance:
        """Edges that units make which do not know of each other, equations (2) and (3)."""
        lot, alive = np.random.default_rng(self.seed), np.flatnonzero(survey.active)
        tried = np.sort(lot.choice(alive, min(self.drawn, len(alive)), replace=False))
        counts = [int(self.accepts(self._alone(survey, i, lot)).sum()) for i in tried.tolist()]
        found = torch.tensor(counts, dtype=torch.float64)
        low, high = bootstrap(found, self.seed, draws=500)
        scale = len(alive)
        return Chance(
            float(found.mean()) * scale, (max(0.0, low * scale), high * scale), len(tried)
        )

    def _alone(self, survey: UnitSurvey, unit: int, lot: np.random.Generator) -> Edges:
        """One unit and all that it meets by chance."""
        n = max(1, round(float(worth(survey, self.within)[unit])))
        share = lot.binomial(n, survey.active / survey.positions) / n  # (2)
        share[unit] = 0
        parent = np.flatnonzero(share)
        share, on = share[parent], int(survey.active[unit])
        total = max(TINY, float(survey.total[unit]) ** 2)
        uneven = max(0.0, on * float(survey.squares[unit]) / total - 1)
        noise = np.sqrt(share * (1 - share) * uneven / max(1, n - 1))
        weighted = share + noise * lot.standard_normal(len(share))  # (3)
        child, both = np.full_like(parent, unit), np.rint(share * on).astype(np.int64)
        return measured(survey, child, parent, both, weighted, self.within)
