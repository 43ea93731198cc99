"""Gradient times input: what each position contributes to a linear reading of the target.

If the target were linear in its acts, the product of slope and act would be exactly what
each act adds to it; elsewhere it is the first term of that account,

    A_n = Σ_d a_nd · ∂f / ∂a_nd                                           (1)

at the site, or the same at the pixels. Signed: a negative position speaks against.

Differs from the paper: it is taken at the site by default, where the acts of a position are
one vector with a meaning, not at normalised pixels, whose zero is an accident of the
training set.

References
----------
Shrikumar, Greenside, Shcherbina, Kundaje. Not just a black box: learning important features
through propagating activation differences. arXiv 1605.01713, 2016. The product.
"""

from dataclasses import dataclass

from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.explain.positions import At, Place, Rows, by_rows, place_of, slope


@dataclass(frozen=True)
class GradientTimesInput:
    """Slope times value, summed per position, `b c h w -> b n` or `b n -> b n`, signed.

    Parameters
    ----------
    at: "site" multiplies acts, "input" pixels (words have none: they stay at the site).
    batch: inputs at once; changes speed and memory, never the result.
    """

    at: At = "site"
    batch: int = 64

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at)
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows))
        return Attribution(x, scores, place.drawn, units.model.grid, "target")

    def _map(self, place: Place, rows: Rows) -> Tensor:
        value = place.value[rows]
        return place.total(value * slope(place, value, rows), rows)  # (1)
