"""Variational autoencoder: pictures in few nats.

    L = E_q[-log p(x|z)] + KL(q(z|x) ‖ N(0, 1))                           (1)

The first term is what is lost of the picture, the second what is said of it; both in nats, the
mean over pictures. A latent that says nothing that the decoder can use is cheapest as noise: its
KL goes to 0.

References
----------
Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014.
Rezende, Mohamed, Wierstra. Stochastic backpropagation and approximate inference in deep
generative models. ICML 2014. The same, independently.
"""

from dataclasses import dataclass

from torch import nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import Losses, Moment, Network, Told, passed
from legenda.types import Images


@dataclass(frozen=True)
class VAE:
    """Reconstruction and KL in equal parts, `b c h w -> 1`.

    Parameters
    ----------
    likelihood: what a picture costs, given its reconstruction.
    """

    likelihood: Likelihood = Bernoulli()

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
        """Equation (1)."""
        found = passed(network, x, moment, self.likelihood)
        return Losses((found.lost + found.said).mean(), found.figures)  # (1)
