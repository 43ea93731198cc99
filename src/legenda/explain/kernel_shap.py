"""KernelSHAP: each piece's fair share of the target, averaged over all company it may keep.

Pieces of the input (squares of patches, or words) are players who may be present (z_i = 1)
or blank (z_i = 0). Their Shapley values φ are the best additive account of the target f:

    φ = argmin  Σ_z π(z) (f(z) - f(0) - z·φ)²,     Σ φ = f(1) - f(0)      (1)
    π(z) = (M - 1) / ( C(M, |z|) |z| (M - |z|) )                          (2)

If all 2^M - 2 coalitions are affordable they are all asked, and φ is exact. Otherwise they
are drawn from π, each with its opposite, and count alike. The regression is in `shapley.py`.
A piece's share φ_i is divided equally among its positions N_i:

    A_n = φ_i / |N_i|      for n in N_i                                   (3)

Differs from the official code: opposites are drawn together, which halves the error or
better; the two ends are constraints, not heavy weights. `by="captum"` leaves the regression
to captum, on the same pieces.

References
----------
Lundberg, Lee. A unified approach to interpreting model predictions. NeurIPS 2017. (1), (2).
Covert, Lee. Improving KernelSHAP: practical Shapley value estimation using linear
regression. AISTATS 2021. Paired draws.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput
from legenda.explain.positions import At, Place, place_of, under
from legenda.explain.shapley import by_captum, coalitions, shapley


@dataclass(frozen=True)
class KernelShap:
    """Shapley values of pieces, `b c h w -> b n` or `b n -> b n`, signed, in the target.

    Parameters
    ----------
    at: "input" blanks pixels (the site for words), "site" positions of the site.
    samples: coalitions asked per input; more are more exact, at as much more cost.
    pieces: squares per side of a picture; more draw finer, and need more samples.
    moments: the mean that is a blank at the site; None takes the input's own.
    by: "legenda", or "captum" (which needs `legenda[bench]`).
    seed: of the coalitions.
    batch: coalitions at once; changes speed and memory, never the result.
    """

    at: At = "input"
    samples: int = 512
    pieces: int = 7
    moments: Moments | None = field(default=None, repr=False)
    by: Literal["legenda", "captum"] = "legenda"
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        if self.samples < 2 or self.pieces < 1:
            raise BadInput(
                f"KernelShap needs at least two samples and one piece; it got "
                f"samples={self.samples}, pieces={self.pieces}."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at, moments=self.moments)
        scores = place.value.new_zeros(place.drawn.shape)
        for row in range(len(x)):
            drawn = place.drawn[row]
            piece = squares(int(drawn.sum()), units.model.grid, self.pieces).to(x.device)
            if len(piece):
                shares = self._shares(place, row, piece).to(scores) / piece.bincount()  # (3)
                scores[row, drawn] = shares[piece]
        return Attribution(x, scores, place.drawn, units.model.grid, "target")

    def _shares(self, place: Place, row: int, piece: Int[Tensor, " n"]) -> Float[Tensor, " m"]:
        def game(z: Float[Tensor, "s m"]) -> Float[Tensor, " s"]:
            keep = place.value.new_ones(len(z), place.drawn.shape[1])
            keep[:, place.drawn[row]] = z.to(keep)[:, piece]
            return under(place, row, keep, self.batch).double().cpu()

        players = int(piece.max()) + 1
        if self.by == "captum":
            return by_captum(game, players, self.samples, self.batch, self.seed)
        z, weight = coalitions(players, self.samples, self.seed)  # (2)
        nobody, everybody = torch.zeros(1, players), torch.ones(1, players)
        scores = game(torch.cat([nobody, everybody, z]))
        return shapley(z, weight, scores[2:], scores[0], scores[1])  # (1)


def squares(count: int, grid: tuple[int, int] | None, side: int) -> Int[Tensor, " n"]:
    """Which piece each drawn position belongs to: a square of patches, or itself."""
    if grid is None:
        return torch.arange(count)
    down, across = (min(side, length) for length in grid)
    rows = torch.arange(grid[0]) * down // grid[0]
    columns = torch.arange(grid[1]) * across // grid[1]
    return (rows[:, None] * across + columns).flatten()
