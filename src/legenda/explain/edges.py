"""Edges: pairs of a unit and a more general one, with what a survey says of them.

With counts C and weights D of pairs, N positions, c_i = C_ii, for a child i and a parent j,

    P_C = C_ij / C_ii,        P_D = D_ij / D_ii                           (1)
    lift = N C_ij / (C_ii C_jj)                                           (2)

Positions of one image are alike, so that c_i of them say less than c_i independent ones. With m
of them per image and a correlation ρ between them, they are worth

    n_i = c_i / (1 + (m_i - 1) ρ),   m_i = c_i / (images with i)          (3)

At ρ = 1 an image counts once, whatever it holds. At ρ = 0 positions count as independent. P_C has
Wilson's interval with n_i trials, lift that of `core.cooccurrence` with all counts scaled by the
lower of n_i / c_i and n_j / c_j.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1).
Kish. Survey sampling. Wiley 1965. (3), the design effect.
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from legenda.core.interval import Interval
from legenda.corpus.unit_survey import UnitSurvey
from legenda.errors import BadInput

Z, TINY = 1.959964, 1e-12
Numbers = Float[np.ndarray, " e"]
Units = Int[np.ndarray, " e"]


class Edge(NamedTuple):
    """One edge: P_D, P_C and lift, the positions of both together, and what kind it is."""

    child: int
    parent: int
    weighted: float
    share: float
    interval: Interval
    lift: float
    lift_interval: Interval
    together: int
    kind: str = ""


class Chance(NamedTuple):
    """How many edges chance makes, with an interval over the `drawn` children that were tried."""

    edges: float
    interval: Interval
    drawn: int


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges (e) between units (k), by child, then parent.

    `active` holds the positions of every unit, of `positions`; `weighted` is P_D, `share` P_C and
    `trials` n of equation (4); `kind` is empty until it is known.
    """

    positions: int
    active: Int[np.ndarray, " k"]
    child: Units
    parent: Units
    together: Units
    weighted: Numbers
    share: Numbers
    interval: Float[np.ndarray, "e 2"]
    lift: Numbers
    lift_interval: Float[np.ndarray, "e 2"]
    trials: Numbers
    kind: tuple[str, ...] = ()
    chance: Chance | None = None

    def __len__(self) -> int:
        return len(self.child)

    def __iter__(self) -> Iterator[Edge]:
        columns = (self.child, self.parent, self.weighted, self.share, self.interval, self.lift, self.lift_interval, self.together)  # fmt: skip # noqa: E501
        rows = zip(*(c.tolist() for c in columns), self.kind or [""] * len(self), strict=True)
        for i, j, weighted, share, within, lift, between, both, kind in rows:
            yield Edge(i, j, weighted, share, (*within,), lift, (*between,), both, kind)

    @property
    def pairs(self) -> Int[np.ndarray, "e 2"]:
        """Child and parent of each edge."""
        return np.stack([self.child, self.parent], 1)

    def where(self, kept: Bool[np.ndarray, " e"]) -> "Edges":
        """Some of the edges."""
        at = np.flatnonzero(kept)
        names = ("child", "parent", "together", "weighted", "share", "interval", "lift", "lift_interval", "trials")  # fmt: skip # noqa: E501
        kind = tuple(self.kind[i] for i in at) if self.kind else ()
        return replace(self, **{name: getattr(self, name)[at] for name in names}, kind=kind)

    def typed(self, kinds: Sequence[str]) -> "Edges":
        """The same edges, each with its kind."""
        if len(kinds) != len(self):
            raise BadInput(
                f"edges take one kind each; there are {len(self)} edges and {len(kinds)} kinds. "
                "Judge the pairs of these very edges."
            )
        return replace(self, kind=tuple(kinds))


def at(pairs: Any, rows: Units, columns: Units) -> Int[np.ndarray, " e"] | Numbers:
    """Entries of a sparse array by number; 0 where it holds none."""
    if not len(rows):
        return np.zeros(0, pairs.dtype)
    return np.asarray(pairs.tocsr()[rows, columns]).ravel()


def worth(survey: UnitSurvey, within: float) -> Float[np.ndarray, " k"]:
    """Equation (3): how many independent positions those of each unit are worth."""
    on = survey.active.astype(np.float64)
    per_image = on / np.maximum(1, survey.active_images)
    return on / (1 + (np.maximum(per_image, 1) - 1) * within)


def measured(
    survey: UnitSurvey,
    child: Units,
    parent: Units,
    together: Units,
    weighted: Numbers,
    within: float = 1.0,
) -> Edges:
    """Equations (1) and (2) with their intervals, for pairs given by number."""
    on, trials = survey.active.astype(np.float64), worth(survey, within)
    mine, its, both, n = on[child], on[parent], together.astype(np.float64), survey.positions
    scale = trials / np.maximum(1, on)
    scale = np.minimum(scale[child], scale[parent])
    share = both / np.maximum(1, mine)  # (1)
    lift = both * n / np.maximum(1, mine * its)  # (2)
    return Edges(
        n, survey.active, child, parent, together, weighted, share,
        wilson_ends(share, trials[child]), lift,
        lift_ends(n * scale, mine * scale, its * scale, both * scale), trials[child],
    )  # fmt: skip


def wilson_ends(share: Numbers, trials: Numbers) -> Float[np.ndarray, "e 2"]:
    """Wilson's interval of many shares; trials need not be whole."""
    n = np.maximum(trials, TINY)
    centre = share + Z**2 / (2 * n)
    half = Z * np.sqrt(np.maximum(share * (1 - share), 0) / n + Z**2 / (4 * n**2))
    ends = np.stack([centre - half, centre + half], 1) / (1 + Z**2 / n)[:, None]
    return ends.clip(0, 1)


def lift_ends(n: Numbers, first: Numbers, second: Numbers, both: Numbers) -> Float[np.ndarray, "e 2"]:  # fmt: skip # noqa: E501
    """Equations (3) and (4) of `core.cooccurrence`, each pair among positions of its own."""
    c, c_i, c_j, m = both + 0.5, first + 1, second + 1, n + 2
    kappa = 1 - c / c_i - c / c_j + c * (2 * m * c / (c_i * c_j) - 1) / m
    kappa = np.maximum(kappa, 0) * Z**2
    middle, half = both + kappa / 2, np.sqrt(kappa * (both + kappa / 4))
    ends = np.stack([np.maximum(middle - half, 0), middle + half], 1)
    return ends / np.maximum(first * second / np.maximum(n, TINY), TINY)[:, None]
