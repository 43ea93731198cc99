"""DIP-VAE: codes of all pictures together, made uncorrelated.

The covariance of codes is that of their means, and of the noise around them:

    I    C = Cov[μ(x)]                                                    (1)
    II   C = Cov[μ(x)] + E[diag σ²(x)]                                    (2)
    L = E_q[-log p(x|z)] + KL + λ_o Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii - 1)²   (3)

Covariances are those of the batch, over its M pictures. (3) asks for no more than second moments:
latents may depend on each other in other ways.

References
----------
Kumar, Sattigeri, Balakrishnan. Variational inference of disentangled latent concepts from
unlabeled observations. ICLR 2018.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import Code, Losses, Moment, Network, Told, passed, told
from legenda.errors import BadInput
from legenda.types import Images


@dataclass(frozen=True)
class DIPVAE:
    """Covariance near the identity, `b c h w -> 1`.

    Parameters
    ----------
    off: λ_o, price of correlation between two latents; larger makes them uncorrelated.
    on: λ_d, price of a variance other than 1; None: ten times `off` in I, `off` in II.
    noise: whether the noise counts, as in II (2); False is I (1).
    likelihood: what a picture costs, given its reconstruction.
    """

    off: float = 10.0
    on: float | None = None
    noise: bool = False
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        if not all(0 <= price < float("inf") for price in (self.off, self.on or 0.0)):
            raise BadInput(
                f"DIPVAE needs prices of 0 or more; it got off={self.off}, on={self.on}. "
                "With both 0 it is a VAE."
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
        """Equation (3)."""
        found = passed(network, x, moment, self.likelihood)
        spread = covariance(found.mean)  # (1)
        if self.noise:
            spread = spread + found.log_variance.exp().mean(0).diag()  # (2)
        own = spread.diagonal()
        apart = spread.square().sum() - own.square().sum()
        one = (own - 1).square().sum()
        on = self.on if self.on is not None else self.off * (1 if self.noise else 10)
        loss = (found.lost + found.said).mean() + self.off * apart + on * one  # (3)
        return Losses(loss, {**found.figures, **told(off_diagonal=apart, diagonal=one)})


def covariance(code: Code) -> Float[Tensor, "d d"]:
    """Of the pictures of a batch, over their number."""
    centred = code - code.mean(0)
    return centred.mT @ centred / len(code)
