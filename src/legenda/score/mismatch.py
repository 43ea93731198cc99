"""How well a flag tells pairs that do not match from pairs that do.

A map for a pair that does not match is confident all the same; so such pairs are flagged
(`legenda.corpus.reference.standing`). The measure is the chance that a swapped pair is flagged
above a matched one.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import auroc, auroc_interval
from legenda.errors import BadInput


@dataclass(frozen=True)
class MismatchAUROC:
    """Chance that a swapped pair is flagged above a matched one, from 0 to 1; higher is better.

    It is called with flags, not with explanations: `MismatchAUROC()(matched, swapped)`; a
    larger flag means a mismatch.

    Parameters
    ----------
    seed: of the bootstrap (both sides resampled) and of the control, which flags by lot.
    draws: bootstrap samples.
    """

    seed: int = 0
    draws: int = 500
    name: str = field(default="mismatch", init=False, repr=False)
    unit: str = field(default="AUROC", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, matched: Float[Tensor, " p"], swapped: Float[Tensor, " q"]) -> Score:
        if not len(matched) or not len(swapped):
            raise BadInput(
                "mismatch needs flags of matched and of swapped pairs; it got "
                f"{len(matched)} and {len(swapped)}. Give some of each."
            )
        lot = torch.Generator().manual_seed(self.seed)
        blind = [torch.rand(len(side), generator=lot) for side in (matched, swapped)]
        return Score(
            self.name,
            auroc(swapped, matched),
            auroc_interval(swapped, matched, self.seed, self.draws),
            len(matched) + len(swapped),
            self.higher_is_better,
            auroc(blind[1], blind[0]),
            auroc_interval(blind[1], blind[0], self.seed, self.draws),
            self.unit,
        )
