"""β-TCVAE: the KL taken apart, and the dependence between latents made dear.

With q(z) = (1/N) Σ_n q(z|x_n), the codes of all N pictures,

    KL = MI + TC + DW                                                     (1)
    MI = E[log q(z|x) - log q(z)]            what a code says of its picture
    TC = E[log q(z) - Σ_k log q(z_k)]        how much latents depend on each other
    DW = E[Σ_k log q(z_k) - log p(z)]        how far each strays from its prior
    L = E[-log p(x|z)] + α MI + β TC + γ DW                               (2)

q(z) of a draw is estimated from the M pictures of the batch, as Σ_j W_ij q(z_i|x_j), and q(z_k)
likewise. *Stratified* weights make it unbiased: the picture's own density counts as the one term
of the N that it is, and the M - 1 others stand for the N - 1 that were not drawn:

    W_ii = 1/N,   W_ij = 1/(M-1),   one W_ij = (N-M+1) / (N (M-1))        (3)

*Even* ones share (N-1)/N alike among the M - 1 others: as unbiased, with less variance.
*Weighted* ones, W = 1/(NM) throughout, are simpler and biased:

    log q(z_i) ≈ log Σ_j q(z_i|x_j) - log(NM)                             (4)

Whatever the weights, the three parts sum to the same: to log q(z|x) - log p(z) of the draw.

Differs from the official code: (3) lies on the diagonal and beside it; there, steps of M along
rows of length M lay 1/N on the first column instead, so that a picture's own density has the
weight of a stranger's. Marginals take (4) with its log(NM), as joints do.

References
----------
Chen, Li, Grosse, Duvenaud. Isolating sources of disentanglement in variational autoencoders.
NeurIPS 2018. (1), (2), (4); (3) from appendix C.
"""

from dataclasses import dataclass
from math import log, pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import Code, Losses, Moment, Network, Told, passed, told
from legenda.errors import BadInput
from legenda.types import Images, Scores

ESTIMATORS = ("stratified", "even", "weighted")


@dataclass(frozen=True)
class BetaTCVAE:
    """Total correlation at a price of its own, `b c h w -> 1`.

    Parameters
    ----------
    beta: price of total correlation; larger makes latents independent, and pictures worse.
    alpha: price of what codes say of their pictures; larger says less.
    gamma: price of each latent's distance from its prior; larger holds it closer.
    estimator: of q(z): "stratified" (3), "even", or "weighted" (4).
    pictures: N; None: as many as the source of pictures has.
    likelihood: what a picture costs, given its reconstruction.
    """

    beta: float = 6.0
    alpha: float = 1.0
    gamma: float = 1.0
    estimator: str = "stratified"
    pictures: int | None = None
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        if not all(0 <= price < float("inf") for price in (self.beta, self.alpha, self.gamma)):
            raise BadInput(
                f"BetaTCVAE needs prices of 0 or more; it got beta={self.beta}, "
                f"alpha={self.alpha}, gamma={self.gamma}. With all three 1 it is a VAE."
            )
        if self.estimator not in ESTIMATORS:
            raise BadInput(
                f"BetaTCVAE has the estimators {', '.join(ESTIMATORS)}; it got "
                f"{self.estimator!r}. Choose one."
            )

    def begin(self, network: Network, seed: int) -> nn.Module | None:
        """It needs nothing besides."""

    def loss(
        self,
        network: Network,
        x: Images,
        moment: Moment,
        y: Told | None = None,
        rival: nn.Module | None = None,
    ) -> Losses:
        """Equation (2)."""
        found = passed(network, x, moment, self.likelihood)
        weight = self.weights(len(x), moment)
        mi, tc, dw = parts(found.z, found.mean, found.log_variance, weight)
        cost = found.lost + self.alpha * mi + self.beta * tc + self.gamma * dw  # (2)
        more = told(information=mi, total_correlation=tc, dimension_wise=dw)
        return Losses(cost.mean(), {**found.figures, **more})

    def weights(self, batch: int, moment: Moment) -> Float[Tensor, "b j"]:
        """Log W, for so many pictures in a batch."""
        count = self.pictures or moment.pictures
        if count is None or count < 1:
            raise BadInput(
                "BetaTCVAE needs to know how many pictures there are; their source does not say. "
                "Give it as pictures=…: where they are drawn without end, how many differ."
            )
        if self.estimator == "weighted":
            return torch.full((batch, batch), -log(count * batch))  # (4)
        if not 2 <= batch <= count:
            raise BadInput(
                f"{self.estimator} weights need a batch of 2 up to the number of pictures; it got "
                f"{batch} of {count}. Change the batch, or take estimator='weighted'."
            )
        made = stratified if self.estimator == "stratified" else even
        return made(batch, count).log()


def stratified(batch: int, count: int) -> Float[Tensor, "b j"]:
    """Equation (3): each row sums to 1."""
    weight = torch.full((batch, batch), 1 / (batch - 1), dtype=torch.float64)
    row = torch.arange(batch)
    weight[row, row] = 1 / count
    weight[row, (row + 1) % batch] = (count - batch + 1) / (count * (batch - 1))
    return weight.float()


def even(batch: int, count: int) -> Float[Tensor, "b j"]:
    """Rows that sum to 1, too, with all others alike: equation (3), averaged over its order."""
    weight = torch.full((batch, batch), (count - 1) / (count * (batch - 1)), dtype=torch.float64)
    return weight.fill_diagonal_(1 / count).float()


class Parts(NamedTuple):
    """The three parts of equation (1), for each picture."""

    information: Scores
    total_correlation: Scores
    dimension_wise: Scores


def parts(z: Code, mean: Code, log_variance: Code, log_weight: Float[Tensor, "b j"]) -> Parts:
    """Equation (1) of each draw, q(z) and q(z_k) estimated from the batch."""
    pair = density(z[:, None], mean[None], log_variance[None])  # i j k: z_i under picture j
    weight = log_weight.to(z)
    own = density(z, mean, log_variance).sum(1)
    joint = (pair.sum(2) + weight).logsumexp(1)
    apart = (pair + weight[..., None]).logsumexp(1).sum(1)
    prior = density(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
    return Parts(own - joint, joint - apart, apart - prior)


def density(
    z: Float[Tensor, "... d"], mean: Float[Tensor, "... d"], log_variance: Float[Tensor, "... d"]
) -> Float[Tensor, "... d"]:
    """Log N(z; μ, σ²) of each latent."""
    return -0.5 * (log(2 * pi) + log_variance + (z - mean).square() * (-log_variance).exp())
