"""Autoencoder: pictures through a narrow place, and nothing else.

    L = -log p(x | z = μ(x))                                              (1)

There is no noise and no prior, so a code may lie anywhere and say any number of nats: what holds
latents apart in the others is not here, which makes it what they are compared with. The heads of
the log-variance learn nothing, and stay near 0 as they began.

References
----------
Hinton, Salakhutdinov. Reducing the dimensionality of data with neural networks. Science 2006.
"""

from dataclasses import dataclass

from torch import nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import Losses, Moment, Network, Told, told
from legenda.types import Images


@dataclass(frozen=True)
class Autoencoder:
    """Reconstruction alone, `b c h w -> 1`.

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
        mean, _ = network.encode(x)
        lost = self.likelihood.nats(network.logits(mean), x)  # (1)
        return Losses(lost.mean(), told(reconstruction=lost))
