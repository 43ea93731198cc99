"""β-VAE: nats of the code at another price, or as many as are allowed.

H, after Higgins et al.: every nat costs β, so that latents only say what saves more than it costs.

    L = E_q[-log p(x|z)] + β KL                                           (1)

B, after Burgess et al.: the code is held to C nats, and C rises from 0, so that what saves most is
learned first and keeps a latent of its own.

    L = E_q[-log p(x|z)] + γ |KL - C|,    C = C_max min(1, t / T)         (2)

KL in (2) is the mean over the batch.

References
----------
Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner. β-VAE: learning basic visual
concepts with a constrained variational framework. ICLR 2017. (1).
Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner. Understanding disentangling in
β-VAE. 2018. (2).
"""

from dataclasses import dataclass

from torch import nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import Losses, Moment, Network, Told, passed
from legenda.errors import BadInput
from legenda.types import Images


@dataclass(frozen=True)
class BetaVAE:
    """KL at a price, `b c h w -> 1`: equation (1).

    Parameters
    ----------
    beta: price of a nat; larger says less, in latents that depend less on each other.
    likelihood: what a picture costs, given its reconstruction.
    """

    beta: float = 4.0
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        if not 0 <= self.beta < float("inf"):
            raise BadInput(
                f"BetaVAE needs a price of 0 or more; it got beta={self.beta}. With 1 it is a VAE."
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
        """Equation (1)."""
        found = passed(network, x, moment, self.likelihood)
        return Losses((found.lost + self.beta * found.said).mean(), found.figures)  # (1)


@dataclass(frozen=True)
class CapacityVAE:
    """KL held to a capacity that rises, `b c h w -> 1`: equation (2).

    Parameters
    ----------
    gamma: price of a nat too many or too few; larger holds closer.
    most: C_max, nats at the end; more say more of each picture.
    rise: T, as a share of all steps; larger lets one latent after another settle for longer.
    likelihood: what a picture costs, given its reconstruction.
    """

    gamma: float = 100.0
    most: float = 25.0
    rise: float = 1.0
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        held = (self.gamma, self.most)
        if not all(0 <= v < float("inf") for v in held) or not 0 < self.rise <= 1:
            raise BadInput(
                "CapacityVAE needs gamma and most of 0 or more, and rise above 0 up to 1; it got "
                f"gamma={self.gamma}, most={self.most}, rise={self.rise}. Change these."
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
        allowed = self.capacity(moment)
        gap = (found.said.mean() - allowed).abs()
        loss = found.lost.mean() + self.gamma * gap  # (2)
        return Losses(loss, {**found.figures, "capacity": allowed})

    def capacity(self, moment: Moment) -> float:
        """C at a step."""
        return self.most * min(1.0, moment.step / (self.rise * moment.steps))
