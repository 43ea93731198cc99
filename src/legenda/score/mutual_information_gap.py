"""Mutual information gap: is each factor told by one code, and by no other?

With I_ik the information of code z_i on factor v_k, H_k the entropy of the factor
(`factor_information.py`), and codes ranked by I for each factor, first and second,

    gap_k = (I_first,k - I_second,k) / H_k,     MIG = mean_k gap_k        (1)

Even a perfect code stays below 1: 20 bins cannot tell 32 levels apart, so that its I is at most
log 20 of log 32 nats, and the correction for chance takes a little. To first order

    w_nk = (i_first,k(n) - i_second,k(n) - (its mean) - gap_k (h_k(n) - H_k)) / H_k    (2)

is how picture n pulls gap_k, i(n) and h(n) being the numbers whose means are I and H; they give
the interval (`by_image.py`). The control has every picture's levels from another picture.

Differs from the official code (beta-tcvae): I is that of posterior means, from histograms, where
theirs draws z from q(z|x) and integrates over the whole data set, so that a wide posterior lowers
I; every factor counts, where theirs leaves out the shape of dSprites; and gaps are over H_k, where
theirs are over the logarithm of the number of levels, the same if all are equally frequent.
disentanglement_lib has H_k too, but bins of equal width and no correction.

References
----------
Chen, Li, Grosse, Duvenaud. Isolating sources of disentanglement in variational autoencoders.
NeurIPS 2018. (1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.score.by_image import scored
from legenda.score.factor_information import (
    FactorInformation,
    Known,
    Latents,
    Levels,
    known,
    surprise,
)


@dataclass(frozen=True, eq=False)
class GapFound:
    """Equation (1), and what it rests on.

    Parameters
    ----------
    score: MIG, 0 to 1; larger is better.
    each: the gap of each factor.
    first, second: the two codes that say most of it.
    nats: how much they say.
    leads: of each code, how many factors it says most of.
    factors: their names.
    """

    score: Score
    each: Float[Tensor, " f"]
    first: Int[Tensor, " f"]
    second: Int[Tensor, " f"]
    nats: Float[Tensor, "2 f"]
    leads: Int[Tensor, " d"]
    factors: tuple[str, ...]


@dataclass(frozen=True)
class MutualInformationGap:
    """Equation (1), `n d, n f -> 1`; higher is better.

    Parameters
    ----------
    information: how I is estimated.
    seed: of the control and the interval.
    """

    information: FactorInformation = FactorInformation()
    seed: int = 0

    def __call__(self, codes: Latents, factors: Levels, names: Sequence[str] = ()) -> GapFound:
        data = known("MutualInformationGap", codes, factors, names, least=(2, 1))
        each, top, per_picture = self.gaps(data)
        control = self.gaps(data.permuted(self.seed + 1))[2]
        return GapFound(
            scored("mig", per_picture, control, self.seed, unit="share"), each,
            top.indices[0], top.indices[1], top.values,
            top.indices[0].bincount(minlength=data.codes.shape[1]), data.names,
        )  # fmt: skip

    def gaps(
        self, data: Known
    ) -> tuple[Float[Tensor, " f"], torch.return_types.topk, Float[Tensor, " n"]]:
        """Equation (1) of each factor, its codes, and the mean as numbers per picture."""
        found = self.information.of(data)
        top = found.nats.topk(2, dim=0)
        each = (top.values[0] - top.values[1]) / found.entropy  # (1)
        columns = torch.arange(len(each))
        first, second = (found.pointwise[:, row, columns] for row in top.indices)
        apart, told = first - second, surprise(data.levels)
        pull = apart - apart.mean(0) - each * (told - found.entropy)
        return each, top, each.mean() + (pull / found.entropy).mean(1)  # (2)
