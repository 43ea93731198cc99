"""Attention rollout: where the token that is read got its content from, through all blocks.

A block mixes positions by its attention A_l (the mean over heads here) and passes half of
each through its residual connection. If that were all, positions after block l would be
mixtures of the input positions,

    R_l = (ρ I + (1 - ρ) A_l) R_{l-1},      R_0 = I,      ρ = ½           (1)
    A_n = Σ_m p_m R_L[m, n]                                               (2)

with p the position that is read (the class token, the end of a sentence), or the mean where
all are. The target has no part in it: the map is the same whatever is asked.

Differs from the well-known image code: the share of the residual is a field, and weak
attention is not discarded (the paper does not discard either).

References
----------
Abnar, Zuidema. Quantifying attention flow in transformers. ACL 2020. (1).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.explain.positions import attending, readers


@dataclass(frozen=True)
class AttentionRollout:
    """Share of each position in the one that is read, `b c h w -> b n` or `b n -> b n`.

    Parameters
    ----------
    residual: ρ, the share that passes by the attention; larger stays closer to the input.
    heads: how the heads of a block become one: their "mean", or the "max" of each weight.
    batch: inputs at once; changes speed and memory, never the result.
    """

    residual: float = 0.5
    heads: Literal["mean", "max"] = "mean"
    batch: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.residual < 1:
            raise BadInput(f"AttentionRollout needs 0 <= residual < 1; it got {self.residual}.")

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        model, prefix = attending(units, "AttentionRollout"), units.prefix(x)
        read = readers(units.model, x, prefix)
        parts = [self._mixture(model.attentions(part)[1]) for part in x.split(self.batch)]
        scores = torch.einsum("bm,bmn->bn", read, torch.cat(parts))  # (2)
        drawn = prefix.valid & ~prefix.special
        return Attribution(x, scores, drawn, units.model.grid, "share of attention")

    def _mixture(self, attentions: list[Tensor]) -> Float[Tensor, "b n n"]:
        mixed = torch.eye(attentions[0].shape[-1]).to(attentions[0]).detach()
        for attention in attentions:
            weights = attention.detach()
            one = weights.mean(1) if self.heads == "mean" else weights.amax(1)
            one = one / one.sum(-1, keepdim=True)
            mixed = self.residual * mixed + (1 - self.residual) * one @ mixed  # (1)
        return mixed
