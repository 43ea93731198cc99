"""Transformer attribution: attention that the target asked for, from where it is read.

Attention says where a token looked, its gradient whether looking there raised the target.
Their product, negative parts dropped and averaged over heads h,

    Ā_l = mean_h (∂f/∂A_l ⊙ A_l)₊                                         (1)

is one block's relevance. It is read at the position p that the output is made of: in the
last block only, or carried from block to block,

    A_n = Σ_m p_m Ā_L[m, n]                          blocks = "last"      (2)
    R ← R + Ā_l R,   R = I at first;   A_n = Σ_m p_m R[m, n]    "all"     (3)

Where no single position is read (SigLIP), p is the mean over all of them; the pooling head
of SigLIP has an attention of its own, which has no part here.

Differs from the official code: it takes gradients with respect to the attention only, so
nothing is left in the weights; any target, not only the cosine.

References
----------
Chefer, Gur, Wolf. Generic attention-model explainability for interpreting bi-modal and
encoder-decoder transformers. ICCV 2021. (1), (3).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.model import Attends, Run
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import Unsupported
from legenda.explain.positions import attending, readers


@dataclass(frozen=True)
class AttentionRelevance:
    """Relevance by attention and its gradient, `b c h w -> b n` or `b n -> b n`, in target.

    Parameters
    ----------
    blocks: "last" reads one block (2), "all" propagates through every one (3).
    batch: inputs at once; changes speed and memory, never the result.
    """

    blocks: Literal["last", "all"] = "last"
    batch: int = 16

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        if target.reads != "output":
            raise Unsupported(
                "AttentionRelevance", "a target on the output", target.label,
                "It follows attention to what the model returns.",
            )  # fmt: skip
        model, prefix = attending(units, "AttentionRelevance"), units.prefix(x)
        rows = torch.arange(len(x), device=x.device).split(self.batch)
        relevance = torch.cat([self._relevance(model, x[r], target.at(r)) for r in rows])
        read = readers(units.model, x, prefix)
        scores = torch.einsum("bm,bmn->bn", read, relevance)  # (2), (3)
        drawn = prefix.valid & ~prefix.special
        return Attribution(x, scores, drawn, units.model.grid, "target")

    def _relevance(self, model: Attends[Any], x: Tensor, target: Target) -> Float[Tensor, "b n n"]:
        output, attentions = model.attentions(x)
        chosen = attentions[-1:] if self.blocks == "last" else attentions
        gradients = torch.autograd.grad(target(Run(output[:, None], output)).sum(), chosen)
        pairs = zip(gradients, chosen, strict=True)
        shares = [(gradient * weight.detach()).relu().mean(1) for gradient, weight in pairs]  # (1)
        if self.blocks == "last":
            return shares[0]
        found = torch.eye(shares[0].shape[-1]).to(shares[0])
        for share in shares:
            found = found + share @ found  # (3)
        return found
