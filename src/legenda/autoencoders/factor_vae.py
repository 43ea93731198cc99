"""FactorVAE: a rival tells codes from shuffled ones, and the encoder makes that hard.

Where each latent is shuffled among pictures on its own, what remains is the product of marginals
q̄(z) = Π_k q(z_k). A rival D gives a the chance sigmoid(a(z)) that a code was not shuffled, so that

    TC = E_q(z)[log q(z) / q̄(z)] ≈ E[a(z)]                                (1)
    L = E_q[-log p(x|z)] + KL + γ E[a(z)]                                 (2)
    L_D = -½ (E_q[log sigmoid(a(z))] + E_q̄[log sigmoid(-a(z))])           (3)

Codes in (1), (2) and the first half of (3) come from the first half of the batch, those shuffled
in (3) from the second. Both losses are taken before either side moves.

Differs from the paper: one logit stands for its two, of which only the difference
matters; the network moves by (2) and the rival by (3) from the same weights.

References
----------
Kim, Mnih. Disentangling by factorising. ICML 2018. The rival is six layers of 1000 there.
Sugiyama, Suzuki, Kanamori. Density ratio estimation in machine learning. Cambridge University
Press 2012. (1): the ratio of two densities from who tells them apart.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import (
    RIVAL,
    SECOND,
    SHUFFLE,
    Code,
    Losses,
    Moment,
    Network,
    Told,
    drawn,
    passed,
    told,
)
from legenda.autoencoders.weights import against, initialise, perceptron
from legenda.errors import BadInput
from legenda.train.loop import Schedule
from legenda.types import Images

SLOPE = 0.2


@dataclass(frozen=True)
class FactorVAE:
    """Total correlation as a rival sees it, `b c h w -> 1`.

    Parameters
    ----------
    gamma: price of total correlation; larger makes latents independent, and pictures worse.
    width, layers: of the rival; larger tells finer dependence, and is slower.
    rate: of the rival; larger follows the codes faster.
    likelihood: what a picture costs, given its reconstruction.
    """

    gamma: float = 10.0
    width: int = 1000
    layers: int = 6
    rate: float = 1e-4
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf") or min(self.width, self.layers) < 1 or not self.rate > 0:  # fmt: skip # noqa: E501
            raise BadInput(
                "FactorVAE needs gamma of 0 or more, a width and layers of 1 or more and a rate "
                f"above 0; it got gamma={self.gamma}, width={self.width}, layers={self.layers}, "
                f"rate={self.rate}. Change these."
            )

    def begin(self, network: Network, seed: int) -> nn.Module | None:
        """The rival, its weights drawn by the seed."""
        rival = perceptron((int(network.latents), *[self.width] * (self.layers - 1), 1), SLOPE)
        initialise(rival, seed, RIVAL)
        return rival

    def rival_plan(self, steps: int) -> Schedule:
        """Adam as the paper has it for the rival."""
        return against(steps, self.rate)

    def loss(
        self,
        network: Network,
        x: Images,
        moment: Moment,
        y: Told | None = None,
        rival: nn.Module | None = None,
    ) -> Losses:
        """Equations (2) and (3)."""
        if rival is None or len(x) < 4:
            raise BadInput(
                f"FactorVAE needs its rival, and 4 pictures or more in a batch; it got {len(x)} "
                f"and {'no' if rival is None else 'a'} rival. `begin` makes one."
            )
        first, second = x.tensor_split(2)
        found = passed(network, first, moment, self.likelihood)
        apart = rival(found.z).mean()  # (1)
        loss = (found.lost + found.said).mean() + self.gamma * apart  # (2)
        with torch.no_grad():
            mean, log_variance = network.encode(second)
            other = shuffled(drawn(mean, log_variance, moment, SECOND), moment)
        real, false = rival(found.z.detach()), rival(other)
        wrong = 0.5 * (F.softplus(-real).mean() + F.softplus(false).mean())  # (3)
        right = torch.cat([real > 0, false <= 0]).double()
        more = told(total_correlation=apart, rival_accuracy=right)
        return Losses(loss, {**found.figures, **more}, wrong)


def shuffled(code: Code, moment: Moment) -> Code:
    """Each latent shuffled among pictures, on its own."""
    order = torch.rand(code.shape, generator=moment.lot(SHUFFLE)).argsort(0)
    return code.gather(0, order.to(code.device))
