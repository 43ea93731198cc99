"""Conditional VAE: what is told need not be said.

Encoder and decoder are both told y, numbers that are known of a picture, such as its class:

    L = E_q(z|x,y)[-log p(x|z,y)] + β KL(q(z|x,y) ‖ N(0, 1))              (1)

A nat of z that repeats y is wasted, so z is left with what y does not say. Of a share of the
pictures nothing is told, y = 0, so that the network can be used where nothing is known.

Differs from the paper: the prior of z does not depend on y; `drop=0` tells always.

References
----------
Sohn, Lee, Yan. Learning structured output representation using deep conditional generative
models. NeurIPS 2015.
Kingma, Mohamed, Rezende, Welling. Semi-supervised learning with deep generative models.
NeurIPS 2014. (1), their M2 where labels are known.
"""

from dataclasses import dataclass

import torch
from torch import nn

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import DROP, Losses, Moment, Network, Told, passed
from legenda.errors import BadInput
from legenda.types import Images


@dataclass(frozen=True)
class ConditionalVAE:
    """A VAE that is told, `b c h w, b y -> 1`.

    Parameters
    ----------
    beta: price of a nat; larger says less.
    drop: share of pictures of which nothing is told; larger rests less on what is told.
    likelihood: what a picture costs, given its reconstruction.
    """

    beta: float = 1.0
    drop: float = 0.1
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        if not 0 <= self.beta < float("inf") or not 0 <= self.drop < 1:
            raise BadInput(
                f"ConditionalVAE needs beta of 0 or more, and drop from 0 to below 1; it got "
                f"beta={self.beta}, drop={self.drop}. Change these."
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
        found = passed(network, x, moment, self.likelihood, self.told(y, moment))
        return Losses((found.lost + self.beta * found.said).mean(), found.figures)  # (1)

    def told(self, y: Told | None, moment: Moment) -> Told:
        """y, of the pictures that are not dropped."""
        if y is None:
            raise BadInput(
                "ConditionalVAE needs numbers told of each picture; its source gives pictures "
                "alone. Give a source with both, or take BetaVAE."
            )
        kept = torch.rand(len(y), 1, generator=moment.lot(DROP)) >= self.drop
        return y * kept.to(y)
