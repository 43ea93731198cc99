"""What an autoencoder minimises: a loss per step, of a network that is given.

A network encodes pictures as diagonal Gaussians and decodes a draw of them:

    z = μ(x) + σ(x) ε,      ε ~ N(0, 1)                                   (1)
    KL_k = ½ (μ_k² + σ_k² - log σ_k² - 1)   nats                          (2)

An objective says what is to be small. Everything random in a step is drawn from the seed, the
number of the step and the purpose, so that a training that was killed goes on with the same bits.

References
----------
Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014. (1), and (2) from its appendix B.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.autoencoders.likelihood import Likelihood
from legenda.corpus.windows import lot
from legenda.types import Images, Scores

Code = Float[Tensor, "b d"]
Told = Float[Tensor, "b y"]
Figures = dict[str, float]
Network = Any
"""A module with `encode(x[, y]) -> (mean, log-variance)` and `logits(z[, y])`: pyright sees no
methods of a module."""

WEIGHTS, RIVAL, NOISE, SECOND, SHUFFLE, DROP = range(100, 106)
"""The numbers by which lots of one seed differ: of the weights of network and rival to begin with;
and in each step of the draw of latents, of a second draw, of what is shuffled for a rival, and of
which pictures are told nothing."""


class Moment(NamedTuple):
    """When a step is taken.

    Parameters
    ----------
    step, steps: its number, and how many there are.
    seed: of everything random.
    pictures: how many there are to learn from; None where they never end.
    """

    step: int = 0
    steps: int = 1
    seed: int = 0
    pictures: int | None = None

    def lot(self, purpose: int) -> torch.Generator:
        """A generator of its own for each purpose of each step."""
        return lot(purpose, self.seed, self.step, 0)


class Losses(NamedTuple):
    """What the network is to make small, numbers to show, and what its rival makes small."""

    loss: Float[Tensor, ""]
    figures: Figures
    rival: Float[Tensor, ""] | None = None


@runtime_checkable
class Objective(Protocol):
    """A paper's loss; its settings are its fields."""

    @property
    def likelihood(self) -> Likelihood: ...

    def begin(self, network: Network, seed: int) -> nn.Module | None:
        """A second module that learns beside the network, against it; None for none."""
        ...

    def loss(
        self,
        network: Network,
        x: Images,
        moment: Moment,
        y: Told | None = None,
        rival: nn.Module | None = None,
    ) -> Losses:
        """The loss of one batch of pictures, colours from 0 to 1."""
        ...


def drawn(mean: Code, log_variance: Code, moment: Moment, purpose: int = NOISE) -> Code:
    """Equation (1)."""
    noise = torch.randn(mean.shape, generator=moment.lot(purpose)).to(mean)
    return mean + (0.5 * log_variance).exp() * noise


def nats(mean: Code, log_variance: Code) -> Code:
    """Equation (2), of each latent of each picture."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


class Pass(NamedTuple):
    """A batch that went through the network once.

    Parameters
    ----------
    z: equation (1).
    mean, log_variance: of its posterior.
    lost, said: nats of each picture that the reconstruction lacks, and that the code says.
    """

    z: Code
    mean: Code
    log_variance: Code
    lost: Scores
    said: Scores

    @property
    def figures(self) -> Figures:
        """What every objective tells."""
        return told(reconstruction=self.lost, kl=self.said)


def passed(
    network: Network, x: Images, moment: Moment, likelihood: Likelihood, y: Told | None = None
) -> Pass:
    """Pictures encoded, drawn and decoded; `y` is told to both halves, where there is any."""
    more = () if y is None else (y,)
    mean, log_variance = network.encode(x, *more)
    z = drawn(mean, log_variance, moment)
    lost = likelihood.nats(network.logits(z, *more), x)
    return Pass(z, mean, log_variance, lost, nats(mean, log_variance).sum(1))


def told(**parts: Tensor) -> Figures:
    """Figures as numbers; their mean where there is one for each picture."""
    return {name: float(part.detach().mean()) for name, part in parts.items()}
