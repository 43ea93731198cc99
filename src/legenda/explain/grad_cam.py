"""Grad-CAM: channels weighted by how much the target wants them, drawn where they are on.

The mean slope of the target along a channel says what that channel is worth everywhere;
its acts say where it is on. Over the drawn positions N of the site,

    w_d = (1/|N|) Σ_{n in N} ∂f / ∂a_nd                                   (1)
    A_n = max(0, Σ_d w_d a_nd)                                            (2)

Differs from the official code: positions are patches or words as well as the cells of a
convolution; special tokens have no part in (1). After the last block of a transformer that
reads one token, every other slope is zero and so is the map: open it at an earlier block.

References
----------
Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: visual explanations from deep
networks via gradient-based localization. ICCV 2017. (1), (2).
"""

from dataclasses import dataclass

from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.explain.positions import Place, Rows, by_rows, mean_where, place_of, slope


@dataclass(frozen=True)
class GradCAM:
    """Weighted sum of channels at the site, `b c h w -> b n` or `b n -> b n`.

    Parameters
    ----------
    rectify: keep only what speaks for the target, as in (2); False keeps the sign.
    batch: inputs at once; changes speed and memory, never the result.
    """

    rectify: bool = True
    batch: int = 64

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, "site")
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows))
        return Attribution(x, scores, place.drawn, units.model.grid, "target")

    def _map(self, place: Place, rows: Rows) -> Tensor:
        acts = place.value[rows]
        gradient = slope(place, acts, rows)
        weight = mean_where(gradient, place.drawn[rows][..., None])  # (1)
        scores = place.total(weight * acts, rows)
        return scores.relu() if self.rectify else scores  # (2)
