"""SmoothGrad: a saliency map without the noise that neighbouring images would not share.

Gradients fluctuate over distances at which nobody sees a difference. Averaged over copies
with a little noise they keep only what those copies agree on:

    g = (1/S) Σ_s ∂f / ∂x (x + σ r ε_s),      ε_s ~ N(0, 1)               (1)
    A_n = Σ_{p in n} max_c |g_cp|,   or   ‖g_n‖₂ at the site              (2)

where r is the range of the image (brightest minus darkest), or at the site the spread of
each channel over the words or patches of the input itself.

Differs from the official code: every input sees the same noise, so that a batch changes no
map, and the map is on the grid of patches.

References
----------
Smilkov, Thorat, Kim, Viégas, Wattenberg. SmoothGrad: removing noise by adding noise.
arXiv 1706.03825, 2017. (1), with σ as a share of the range.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.explain.positions import At, Place, Pool, Rows, by_rows, normal, place_of, slope


@dataclass(frozen=True)
class SmoothGrad:
    """Size of the mean gradient over noisy copies, `b c h w -> b n` or `b n -> b n`.

    Parameters
    ----------
    at: "input" adds noise to the pixels (to the site for words), "site" to the site.
    draws: noisy copies; more give a steadier map, at as much more cost.
    sigma: noise as a share of the range; larger smooths more, and asks about other images.
    pool: "sum" adds up the pixels of a patch, "max" takes the largest.
    seed: of the noise.
    batch: inputs at once; changes speed and memory, never the result.
    """

    at: At = "input"
    draws: int = 25
    sigma: float = 0.15
    pool: Pool = "sum"
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        if self.draws < 1 or not self.sigma >= 0:
            raise BadInput(
                f"SmoothGrad needs at least one draw and a sigma of 0 or more; it got "
                f"draws={self.draws}, sigma={self.sigma}."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at)
        noise = self._noise(place.value)
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows, noise))
        return Attribution(x, scores, place.drawn, units.model.grid, "slope of the target")

    def _map(self, place: Place, rows: Rows, noise: Tensor) -> Tensor:
        value, step = place.value[rows], self.sigma * place.spread(rows)
        gradient = torch.zeros_like(value)
        for epsilon in noise:
            gradient += slope(place, value + step * epsilon, rows) / self.draws  # (1)
        return place.strength(gradient, rows, self.pool)  # (2)

    def _noise(self, value: Tensor) -> Tensor:
        """One field per draw; the first axis of a value comes first, so padding changes none."""
        first, *rest = value.shape[1:]
        return normal((first, self.draws, *rest), self.seed).transpose(0, 1).to(value)
