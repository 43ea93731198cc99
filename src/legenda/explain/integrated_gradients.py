"""Integrated gradients: the target's rise from a blank input, shared out among positions.

A gradient says nothing where the target has saturated. Collected along the straight way
from a blank input v₀ to the input v, gradients account for the whole rise:

    A = (v - v₀) ⊙ (1/K) Σ_k ∂f / ∂v (v₀ + s_k (v - v₀)),   s_k = (k - ½) / K     (1)
    Σ A = f(v) - f(v₀)      as K grows                                            (2)

`figures` holds both ends (`clean`, `blank`) and what (2) is short of (`gap`).

Differs from the official code: midpoints instead of the right end of each step, which makes
(2) hold to second order; at the site only words and patches are blanked (by their mean, see
`moments`), so special tokens take no share.

References
----------
Sundararajan, Taly, Yan. Axiomatic attribution for deep networks. ICML 2017. (1), (2).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput
from legenda.explain.positions import (
    At,
    Fill,
    Place,
    Rows,
    by_rows,
    place_of,
    slope,
    target_at,
)


@dataclass(frozen=True)
class IntegratedGradients:
    """Shares of the target's rise, `b c h w -> b n` or `b n -> b n`, signed.

    Parameters
    ----------
    at: "input" integrates over pixels (over the site for words), "site" over the site.
    steps: points on the way; more leave a smaller gap.
    fill: what a blank picture is: "mean" colour (zero), or the picture under a "blur".
    moments: the mean that is a blank at the site; None takes the input's own.
    batch: inputs at once; changes speed and memory, never the result.
    """

    at: At = "input"
    steps: int = 32
    fill: Fill = "mean"
    moments: Moments | None = field(default=None, repr=False)
    batch: int = 64

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise BadInput(f"IntegratedGradients needs at least one step; it got {self.steps}.")

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at, fill=self.fill, moments=self.moments)
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows))
        clean = target_at(place, lambda rows: place.value[rows], self.batch)
        blank = target_at(place, place.blank, self.batch)
        gap = clean - blank - scores.sum(1)  # (2)
        figures = {"clean": clean, "blank": blank, "gap": gap}
        return Attribution(x, scores, place.drawn, units.model.grid, "target", figures)

    def _map(self, place: Place, rows: Rows) -> Tensor:
        start, way = place.blank(rows), place.value[rows] - place.blank(rows)
        mean = torch.zeros_like(way)
        for k in range(self.steps):
            share = (k + 0.5) / self.steps
            mean += slope(place, start + share * way, rows) / self.steps
        return place.total(way * mean, rows)  # (1)
