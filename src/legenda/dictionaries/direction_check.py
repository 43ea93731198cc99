"""Does a direction read what it is called after? It is asked of rows that it was not found on.

Some rows are held out, as many of each label in proportion. A direction u and a threshold t are
found on the others; held-out rows are read as x · u, and

    auroc    = chance that a row with the label reads higher than one without          (1)
    accuracy = share of rows for which x · u > t says what the label says              (2)

The control deals the labels anew among all rows, learns from dealt labels and asks for dealt ones:
what a learner reads where there is nothing to read. Its interval is the middle 95 % of the deals.
That a direction holds does not say that it is the only one: in few dimensions many read a little
of everything.

References
----------
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927. The
interval of (2); that of (1) is a bootstrap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import auroc, auroc_interval, wilson
from legenda.dictionaries.directions import Directions
from legenda.errors import BadInput

Rows = Float[Tensor, "b d"]
Labels = Bool[Tensor, " b"]
Learns = Callable[[Rows, Labels], tuple[Float[Tensor, " d"], float]]
"""From rows and labels to a direction, towards the label, and the threshold on it."""

FEWEST = 4
"""So many rows of each label there must be: two to learn from, two to ask."""


@dataclass(frozen=True)
class DirectionCheck:
    """Equations (1) and (2) of one direction, each beside its control."""

    name: str
    auroc: Score
    accuracy: Score

    @property
    def holds(self) -> bool:
        """Whether it reads better than with dealt labels, intervals apart."""
        return bool(self.auroc.beats_control)


@dataclass(frozen=True)
class DirectionsFound:
    """Directions found on all rows, and how such directions did on rows held out."""

    directions: Directions
    checks: tuple[DirectionCheck, ...]


def checked(
    learn: Learns, rows: Rows, labels: Labels, name: str, held: float, shuffles: int, seed: int
) -> DirectionCheck:
    """Equations (1) and (2) and their controls."""
    lot = torch.Generator().manual_seed(seed)
    out = held_out(labels, held, lot)
    kept, truth, asked = rows[~out], labels[out], rows[out]
    line, threshold = learn(kept, labels[~out])
    read = asked @ line
    right = (read > threshold) == truth  # (2)
    areas, shares, dealt = [], [], labels.clone()
    for _ in range(shuffles):
        for part in (out, ~out):  # each part keeps as many of each label as it has
            dealt[part] = labels[part][torch.randperm(int(part.sum()), generator=lot)]
        line, threshold = learn(kept, dealt[~out])
        areas.append(area_of(asked @ line, dealt[out]))
        shares.append(float(((asked @ line > threshold) == dealt[out]).double().mean()))
    n, many = len(read), int(right.sum())
    area = area_of(read, truth)
    span = auroc_interval(read[truth], read[~truth], seed)
    return DirectionCheck(
        name,
        Score("auroc", area, span, n, True, *centre(areas), "share"),
        Score("accuracy", many / n, wilson(many, n), n, True, *centre(shares), "share"),
    )


def area_of(read: Float[Tensor, " b"], labels: Labels) -> float:
    """Equation (1)."""
    return auroc(read[labels], read[~labels])


def held_out(labels: Labels, share: float, lot: torch.Generator) -> Labels:
    """Which rows are held out: so many of each label, and two at least."""
    out = torch.zeros_like(labels)
    for value in (True, False):
        own = (labels == value).nonzero()[:, 0]
        many = min(max(2, round(share * len(own))), len(own) - 2)
        out[own[torch.randperm(len(own), generator=lot)[:many]]] = True
    return out


def centre(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean, and the middle 95 %."""
    found = torch.tensor(values, dtype=torch.float64)
    low, high = found.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return float(found.mean()), (low, high)


def halfway(rows: Rows, labels: Labels, line: Float[Tensor, " d"]) -> float:
    """The threshold between the two labels' means."""
    read = rows @ line
    return float((read[labels].mean() + read[~labels].mean()) / 2)


def labelled(who: str, rows: Rows, labels: Bool[Tensor, "b y"], names: Sequence[str]) -> None:
    """Refuse labels that no direction can be found from."""
    if len(labels) != len(rows) or labels.shape[1] != len(names):
        raise BadInput(
            f"{who} needs a label of each of {len(names)} names for each of {len(rows)} pictures; "
            f"it got {len(labels)} × {labels.shape[1]}. Give one row per picture."
        )
    many: Int[Tensor, " y"] = labels.sum(0)
    fewest = torch.minimum(many, len(labels) - many)
    for name, few in zip(names, fewest.tolist(), strict=True):
        if few < FEWEST:
            raise BadInput(
                f"{who} needs {FEWEST} pictures with and {FEWEST} without {name!r}, to learn from "
                f"some and ask others; the rarer has {few}. Label more, or leave it out."
            )
