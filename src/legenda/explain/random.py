"""Random attribution: the control that every method must beat.

    A_n ~ Uniform(0, 1)                                                   (1)

Each input has its own map, drawn from the seed and from the input's content, so that the
same picture gets the same map in any batch, and different pictures do not share one.

References
----------
Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity checks for saliency maps.
NeurIPS 2018. Why a control is needed: convincing maps that do not depend on the model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target, digest
from legenda.core.units import Units


@dataclass(frozen=True)
class Random:
    """Uniform noise per position, `b c h w -> b n` or `b n -> b n`; model and target are idle.

    Parameters
    ----------
    seed: of the maps.
    """

    seed: int = 0

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        prefix = units.prefix(x)
        drawn = prefix.valid & ~prefix.special
        scores = prefix.acts.new_zeros(drawn.shape)
        for row, here in enumerate(drawn):
            content = x[row] if x.ndim == 4 else x[row][prefix.valid[row]]
            lot = torch.Generator().manual_seed(int(digest(content), 16) + self.seed)
            scores[row, here] = torch.rand(int(here.sum()), generator=lot).to(scores)  # (1)
        return Attribution(x, scores, drawn, units.model.grid, "chance")
