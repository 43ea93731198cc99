"""Narrowing information bottleneck: the target's rise as all acts grow from nothing.

A bottleneck that lets the same share s of every act through is narrowed from open (s = 1)
to closed (s = 0). What the target loses on the way is shared out among the acts a at the
site, without noise and without optimisation:

    A_n = (1/K) Σ_k Σ_d a_nd · ∂f / ∂(s_k a_nd),     s_k = (k - ½) / K    (1)
    Σ_n A_n = f(a) - f(0)      as K grows                                 (2)

It is integrated gradients at the site, from zero. Signed: the published map is too.
`figures` holds both ends (`clean`, `blank`) and what (2) is short of (`gap`).

Differs from the official code: the slope is read in the middle of each step, which makes
(2) hold to second order. Special tokens shrink with the rest and take their share of (2),
but are not drawn.

References
----------
Zhu, Jin, Zhang, Yang, Huang, Zhou, Chen. Narrowing information bottleneck theory for
multimodal image-text representations interpretability. ICLR 2025. (1), with K = 10.
Sundararajan, Taly, Yan. Axiomatic attribution for deep networks. ICML 2017. (2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.explain.positions import Place, Rows, by_rows, place_of, slope, target_at


@dataclass(frozen=True)
class PathIntegral:
    """Shares of the target's rise from zero acts, `b c h w -> b n` or `b n -> b n`, signed.

    Parameters
    ----------
    steps: points on the way; more leave a smaller gap.
    batch: inputs at once; changes speed and memory, never the result.
    """

    steps: int = 10
    batch: int = 64

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise BadInput(f"PathIntegral needs at least one step; it got {self.steps}.")

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, "site")
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows))
        clean = target_at(place, lambda rows: place.value[rows], self.batch)
        blank = target_at(place, lambda rows: torch.zeros_like(place.value[rows]), self.batch)
        gap = clean - blank - scores.sum(1)  # (2)
        figures = {"clean": clean, "blank": blank, "gap": gap}
        return Attribution(x, scores, place.drawn, units.model.grid, "target", figures)

    def _map(self, place: Place, rows: Rows) -> Tensor:
        acts = place.value[rows]
        mean = torch.zeros_like(acts)
        for k in range(self.steps):
            mean += slope(place, (k + 0.5) / self.steps * acts, rows) / self.steps
        return place.total(acts * mean, rows)  # (1)
