"""Centre Gaussian: the photographer's habit, as an attribution.

What a picture is about tends to stand in its middle. A map that knows only this,

    A_n = exp(-‖u_n - ½‖² / (2 σ²)),      u_n in [0, 1]² the centre of patch n     (1)

finds many objects without having looked, and a method that does not beat it has shown
nothing. In a sentence u_n is how far through its words a word stands.

References
----------
Judd, Ehinger, Durand, Torralba. Learning to predict where humans look. ICCV 2009. The
centre prior, as a baseline for maps.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput


@dataclass(frozen=True)
class CentreGaussian:
    """A bump in the middle, `b c h w -> b n` or `b n -> b n`; model and target are idle.

    Parameters
    ----------
    sigma: width as a share of the side; larger is flatter.
    """

    sigma: float = 0.25

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise BadInput(f"CentreGaussian needs a sigma above 0; it got {self.sigma}.")

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        prefix, grid = units.prefix(x), units.model.grid
        drawn = prefix.valid & ~prefix.special
        scores = prefix.acts.new_zeros(drawn.shape)
        for row, here in enumerate(drawn):
            sides = grid if grid is not None else (int(here.sum()),)
            bumps = [self._bump(side) for side in sides]
            bump = bumps[0] if grid is None else torch.outer(*bumps).flatten()
            scores[row, here] = bump.to(scores)
        return Attribution(x, scores, drawn, grid, "share of the peak")

    def _bump(self, side: int) -> Float[Tensor, " side"]:
        """Equation (1) along one axis; the two axes multiply."""
        centres = (torch.arange(side) + 0.5) / max(side, 1)
        return torch.exp(-((centres - 0.5) ** 2) / (2 * self.sigma**2))
