"""CSVAE: what is known of pictures in a subspace of its own.

Latents are split: w tells what goes with y, numbers from 0 to 1 that are known of each picture,
and z all the rest. With heads of its own for each mean and each log-variance,

    q(z|x) = N(μ_z(x), σ_z²(x)),   q(w|x,y) = N(μ_w(x,y), σ_w²(x,y)),
    p(z) = N(0, 1),                p(w|y) = N(μ_p(y), σ_p²(y))            (1)
    KL(q ‖ p) = ½ Σ_k log σ_p² - log σ_q² + (σ_q² + (μ_q - μ_p)²) / σ_p² - 1   (2)
    L = E_q[-log p(x|z,w)] + β_z KL(z) + β_w KL(w) + η Σ_a E[r log r + (1-r) log(1-r)]   (3)
    L_r = -Σ_a E[y_a log r_a + (1-y_a) log(1-r_a)],      r = r(y_a = 1 | z)   (4)
    Δ_a = E[w | y_a = 1] - E[w | y_a = 0]                                 (5)

A rival r tells y from z by (4); the last term of (3) wants it to be as unsure as a coin, so that z
keeps nothing of y. (5) is the way in w that changes attribute a.

Differs from published code: its heads of log-variance call those of the means, so that σ was tied
to μ, where ours are apart; its KL is that of dense normals of size b d, where (2) is diagonal; the
rival's term, which it leaves out, is here; nats are sums over pixels, not means. The paper gives
each attribute two latents of w and a fixed p(w|y); ours is learned, over all of w.

References
----------
Klys, Snell, Zemel. Learning latent subspaces in variational autoencoders. NeurIPS 2018.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from legenda.autoencoders.likelihood import Bernoulli, Likelihood
from legenda.autoencoders.objective import (
    RIVAL,
    Code,
    Losses,
    Moment,
    Network,
    Told,
    drawn,
    nats,
    told,
)
from legenda.autoencoders.weights import against, initialise, perceptron
from legenda.errors import BadInput
from legenda.train.loop import Schedule
from legenda.types import Images, Scores


@dataclass(frozen=True)
class CSVAE:
    """Latents apart by what is known, `b c h w, b y -> 1`.

    Parameters
    ----------
    beta: β_z, price of a nat of z; larger leaves more to w.
    beta_told: β_w, price of a nat of w beyond what y says of it; larger holds w closer to p(w|y).
    secrecy: η, price of a rival that tells y from z; larger keeps y out of z, but far above 1
        z and its rival chase each other, and w may learn nothing.
    width: of the rival; larger tells finer traces.
    rate: of the rival; larger follows z faster.
    likelihood: what a picture costs, given its reconstruction.
    """

    beta: float = 1.0
    beta_told: float = 1.0
    secrecy: float = 1.0
    width: int = 128
    rate: float = 1e-3
    likelihood: Likelihood = Bernoulli()

    def __post_init__(self) -> None:
        prices = (self.beta, self.beta_told, self.secrecy)
        if (
            not all(0 <= price < float("inf") for price in prices)
            or self.width < 1
            or not self.rate > 0
        ):
            raise BadInput(
                "CSVAE needs prices of 0 or more, and a rival of width 1 or more and a rate above "
                f"0; it got beta={self.beta}, beta_told={self.beta_told}, "
                f"secrecy={self.secrecy}, width={self.width}, rate={self.rate}. Change these."
            )

    def begin(self, network: Network, seed: int) -> nn.Module | None:
        """The rival, which reads z."""
        sizes = (network.latents - network.subspace, self.width, self.width, network.conditions)
        rival = perceptron(sizes, 0.2)
        initialise(rival, seed, RIVAL)
        return rival

    def rival_plan(self, steps: int) -> Schedule:
        """Adam with a short memory: what the rival is after moves."""
        return against(steps, self.rate)

    def loss(
        self,
        network: Network,
        x: Images,
        moment: Moment,
        y: Told | None = None,
        rival: nn.Module | None = None,
    ) -> Losses:
        """Equations (3) and (4)."""
        if y is None or rival is None:
            raise BadInput(
                "CSVAE needs numbers from 0 to 1 told of each picture, and its rival; one is "
                "missing. Give a source with both; `begin` makes the rival."
            )
        mean, log_variance = network.encode(x, y)
        code = drawn(mean, log_variance, moment)
        lost = self.likelihood.nats(network.logits(code), x)
        rest = mean.shape[1] - network.subspace
        said = nats(mean[:, :rest], log_variance[:, :rest]).sum(1)
        own = divergence((mean[:, rest:], log_variance[:, rest:]), network.prior(y))  # (2)
        leak = -uncertainty(rival(code[:, :rest]))
        cost = lost + self.beta * said + self.beta_told * own + self.secrecy * leak  # (3)
        guess = rival(code[:, :rest].detach())
        wrong = F.binary_cross_entropy_with_logits(guess, y, reduction="none").sum(1)  # (4)
        figures = told(
            reconstruction=lost, kl=said + own, kl_told=own, rival_uncertainty=-leak,
            rival_accuracy=((guess > 0) == (y > 0.5)).double(),
        )  # fmt: skip
        return Losses(cost.mean(), figures, wrong.mean())


def divergence(q: tuple[Code, Code], p: tuple[Code, Code]) -> Scores:
    """Equation (2), of means and log-variances."""
    (mean, log_variance), (mean_p, log_variance_p) = q, p
    gap = (log_variance.exp() + (mean - mean_p).square()) * (-log_variance_p).exp()
    return 0.5 * (log_variance_p - log_variance + gap - 1).sum(1)


def uncertainty(logits: Told) -> Scores:
    """Nats that a guess of each attribute leaves open, summed: -Σ r log r + (1-r) log(1-r)."""
    r = logits.sigmoid()
    return -(r * F.logsigmoid(logits) + (1 - r) * F.logsigmoid(-logits)).sum(1)


def class_directions(w: Float[Tensor, "b d"], y: Told) -> Float[Tensor, "y d"]:
    """Equation (5), for each attribute; w are means of q(w|x,y), or whole codes."""
    yes = (y > 0.5).to(w)
    with_it, without = yes.sum(0), (1 - yes).sum(0)
    if not (with_it.all() and without.all()):
        lone = int((with_it * without).argmin())
        raise BadInput(
            f"a direction needs pictures with and without its attribute; of number {lone} there "
            f"are {int(with_it[lone])} with and {int(without[lone])} without it. Give others, or "
            "leave it out."
        )
    return yes.mT @ w / with_it[:, None] - (1 - yes).mT @ w / without[:, None]  # (5)
