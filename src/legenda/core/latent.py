"""Latent variables: what an encoder says of them, and how much of it it says.

A latent model encodes a picture as a diagonal Gaussian, `N(μ, σ²)` at every position and in every
channel. Against the prior N(0, 1) a channel costs

    KL = ½ (μ² + σ² - log σ² - 1)   nats                                   (1)

A latent that costs nothing, on average, says nothing of the picture: it is inactive.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.model import Decodes, Model
from legenda.types import Acts, Images

Colours = Float[Tensor, "b 3 h w"]


class Posterior(NamedTuple):
    """What the encoder says; no variance where it gives a point."""

    mean: Acts
    log_variance: Acts | None = None

    def sample(self, seed: int = 0) -> Acts:
        """A draw; the mean where there is no variance."""
        if self.log_variance is None:
            return self.mean
        lot = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.mean.shape, generator=lot).to(self.mean)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def nats(self) -> Acts:
        """Equation (1), `b n d`; of a point, what its mean alone costs, μ² / 2."""
        if self.log_variance is None:
            return 0.5 * self.mean.pow(2)
        return 0.5 * (self.mean.pow(2) + self.log_variance.exp() - self.log_variance - 1)


@runtime_checkable
class Latent(Model[Images], Decodes, Protocol):
    """A model whose site holds latent variables (b n d), and that decodes them.

    `n` is 1 where a picture is one vector; else positions lie on `grid`. `visible` turns what
    the model takes and gives into colours from 0 to 1.
    """

    @property
    def width(self) -> int: ...
    def posterior(self, x: Images) -> Posterior: ...
    def visible(self, x: Images) -> Colours: ...


def activity(nats: Acts) -> Float[Tensor, " d"]:
    """Nats of each channel, summed over positions and averaged over pictures."""
    return nats.double().sum(1).mean(0)
