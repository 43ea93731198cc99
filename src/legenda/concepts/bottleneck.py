"""A concept model that pays for what it reads: importance in nats per token.

Between the tokens and an information extractor f lies a channel. A small gate looks at the
tokens around each position, and says how much of the token there goes through; the rest is
noise that looks like the codebook as it is used, with mean μ and spread σ. With the embedding
e_n, standardised to r_n = (e_n - μ) / σ,

    α_n = gate(r)_n,   λ_n = sigmoid(α_n)                                 (1)
    t_n = λ_n e_n + (1 - λ_n) ε_n,        ε_n ~ N(μ, σ²)                  (2)
    I_n = Σ_d KL[ N(λ_n r_nd, (1-λ_n)²) ‖ N(0, 1) ]                       (3)
        = ½ (λ_n² ‖r_n‖² + d (1-λ_n)² - d) - d log(1-λ_n)
    L   = CE(f(t)) + β mean_n I_n                                         (4)

I_n are the nats that t_n may hold of its token: the mean of Σ_n I_n over images is no less than
the mutual information of t and e, whatever the gate does. They are of one price β, so they
compare between images.

What is explained is the noise-free pass, with μ in place of ε_n. A network that has only ever
seen noise where the channel is shut does not know that pass (in a planted world it told four
concepts with 38 % right instead of 100 %), so in training a share of the images, `still`, has no
noise; all of them pay.

Channel "drop" keeps a token or puts μ in its place. The choice m_n is relaxed in training, the
noise-free pass takes its mean p_n, and the nats are those of the choice alone:

    p_n = sigmoid(α_n),   t_n = m_n e_n + (1 - m_n) μ                     (5)
    m_n = sigmoid((α_n + log u - log(1-u)) / HEAT),     u ~ U(0, 1)       (6)
    I_n = KL[ Bern(p_n) ‖ Bern(prior) ]                                   (7)

They do not bound what a kept token says, which is all of it, and are at most -log(prior) each,
so a nat of them wants a higher price: about 1, where "noise" wants 0.1.

Ours: the published extractors have no channel and no price.

References
----------
Alemi, Fischer, Dillon, Murphy. Deep variational information bottleneck. ICLR 2017. (4).
Schulz, Sixt, Tombari, Landgraf. Restricting the flow: information bottlenecks for attribution.
ICLR 2020. (2) and (3), and a network that reads the mask off the input.
Maddison, Mnih, Teh. The concrete distribution: a continuous relaxation of discrete random
variables. ICLR 2017. (6).
"""

from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from legenda.concepts.extractors import Extractor, Grid
from legenda.errors import BadInput

Laid = Float[Tensor, "b d y x"]
CHANNELS = ("noise", "drop")
HEAT = 0.5
"""Of the relaxed choice (6); larger is softer."""


@dataclass(frozen=True)
class Bottlenecked:
    """An extractor behind a channel that charges for every token.

    Parameters
    ----------
    inner: the extractor.
    beta: price of a nat per token, in nats of cross-entropy; larger leaves fewer tokens.
    channel: "noise", or "drop", which keeps or drops whole tokens.
    gate: channels inside the gate; more tell more tokens apart.
    start: α at the beginning; larger starts more open.
    prior: share of tokens that the channel "drop" keeps for nothing; larger keeps more.
    still: share of images without noise in training; larger makes the noise-free pass surer, and
        the price weigh more.
    """

    inner: Extractor
    beta: float = 0.1
    channel: Literal["noise", "drop"] = "noise"
    gate: int = 32
    start: float = 2.0
    prior: float = 0.1
    still: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf") or self.gate < 1:
            raise BadInput(
                f"Bottlenecked needs a finite price beta above 0 and a gate of one channel or "
                f"more; it got beta={self.beta}, gate={self.gate}. Try 0.1 and 32."
            )
        if self.channel not in CHANNELS or not 0 < self.prior < 1 or not 0 <= self.still < 1:
            raise BadInput(
                "Bottlenecked needs the channel 'noise' or 'drop', a prior between 0 and 1, and "
                f"still from 0 to below 1; it got {self.channel!r}, prior={self.prior}, "
                f"still={self.still}."
            )

    def build(self, width: int, grid: Grid, classes: int) -> nn.Module:
        """The untrained network; its μ and σ are 0 and 1 until `refer` is told better."""
        return BottleneckNetwork(self, width, self.inner.build(width, grid, classes))


class BottleneckNetwork(nn.Module):
    """The network of `Bottlenecked`: gate, channel, extractor."""

    mean: Tensor
    spread: Tensor

    def __init__(self, how: Bottlenecked, width: int, inner: nn.Module):
        super().__init__()
        self.how, self.beta, self.inner = how, how.beta, inner
        last = nn.Conv2d(how.gate, 1, 3, padding=1)
        nn.init.constant_(last.bias, how.start)  # pyright: ignore[reportArgumentType]
        first = nn.Conv2d(width, how.gate, 3, padding=1)
        self.gate = nn.Sequential(first, nn.ReLU(), last)
        self.register_buffer("mean", torch.zeros(width, 1, 1))
        self.register_buffer("spread", torch.ones(width, 1, 1))

    def refer(self, mean: Float[Tensor, " d"], spread: Float[Tensor, " d"]) -> None:
        """Take μ and σ from embeddings as they are used."""
        self.mean.copy_(mean[:, None, None])
        self.spread.copy_(spread[:, None, None])

    def forward(self, x: Laid) -> Float[Tensor, "b c"]:
        """Logits of the noise-free pass."""
        return self.inner(self.mean + torch.sigmoid(self.alpha(x)) * (x - self.mean))

    def noisy(
        self, x: Laid, lot: torch.Generator
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b n"]]:
        """Logits through the channel, and the nats that went through it."""
        alpha = self.alpha(x)
        loud = torch.rand((len(x), 1, 1, 1), generator=lot, device=x.device) >= self.how.still
        if self.how.channel == "noise":
            noise = torch.randn(x.shape, generator=lot, device=x.device, dtype=x.dtype)
            noise = self.mean + self.spread * noise * loud
            through = x + torch.sigmoid(-alpha) * (noise - x)  # (2)
        else:
            even = torch.rand(alpha.shape, generator=lot, device=x.device, dtype=x.dtype)
            logit = even.clamp(1e-6, 1 - 1e-6).logit()
            relaxed = torch.sigmoid((alpha + logit) / HEAT)  # (6)
            keep = torch.where(loud, relaxed, torch.sigmoid(alpha))
            through = self.mean + keep * (x - self.mean)  # (5)
        return self.inner(through), self.information(x, alpha)

    def nats(self, x: Laid) -> Float[Tensor, "b n"]:
        """What each token costs."""
        return self.information(x, self.alpha(x))

    def alpha(self, x: Laid) -> Float[Tensor, "b 1 y x"]:
        """Equation (1), never in half precision."""
        alpha = self.gate(self.standard(x))
        return alpha.to(torch.promote_types(alpha.dtype, torch.float32))

    def standard(self, x: Laid) -> Laid:
        """Embeddings in spreads from the mean."""
        return (x - self.mean) / self.spread

    def information(self, x: Laid, alpha: Float[Tensor, "b 1 y x"]) -> Float[Tensor, "b n"]:
        """Equation (3), or (7)."""
        alpha = alpha[:, 0].flatten(1)
        if self.how.channel == "drop":
            return kept(alpha, self.how.prior)
        return passed(alpha, self.standard(x).square().sum(1).flatten(1), x.shape[1])


def passed(
    alpha: Float[Tensor, "b n"], square: Float[Tensor, "b n"], width: int
) -> Float[Tensor, "b n"]:
    """Equation (3), from α and ‖r‖²; log(1-λ) is -softplus(α), which never overflows."""
    share, leak = torch.sigmoid(alpha), torch.sigmoid(-alpha)
    shut = width * (softplus(alpha) - 0.5 * share * (1 + leak))  # (1-λ)² - 1 = -λ (1 + (1-λ))
    return (0.5 * share**2 * square + shut).clamp(min=0)  # rounding may take it below


def kept(alpha: Float[Tensor, "b n"], prior: float) -> Float[Tensor, "b n"]:
    """Equation (7)."""
    keep = torch.sigmoid(alpha)
    drop = torch.sigmoid(-alpha)
    return keep * (logsigmoid(alpha) - log(prior)) + drop * (logsigmoid(-alpha) - log(1 - prior))
