"""Likelihoods: how many nats a picture costs, given what the decoder makes of its code.

The decoder's logits a become a colour m = sigmoid(a), from 0 to 1, in each pixel and channel:

    Bernoulli    -log p(x) = -Σ x log m + (1 - x) log(1 - m)              (1)
    Gaussian     -log p(x) = Σ ½ ((x - m) / s)² + log s + ½ log 2π        (2)

Sums go over pixels and channels, so that nats weigh against nats of the code. For colours that
are neither 0 nor 1, (1) is a cross entropy, whose least value is above 0, and not the logarithm
of a density; it is what the papers use, and its best m is x all the same.

References
----------
Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014. Appendix C, both.
Loaiza-Ganem, Cunningham. The continuous Bernoulli: fixing a pervasive error in variational
autoencoders. NeurIPS 2019. Why (1) is no density between 0 and 1.
"""

from dataclasses import dataclass
from math import log, pi
from typing import Protocol, runtime_checkable

from torch.nn import functional as F

from legenda.errors import BadInput
from legenda.types import Images, Scores


@runtime_checkable
class Likelihood(Protocol):
    """From logits and pictures to nats of each picture."""

    def nats(self, logits: Images, x: Images) -> Scores: ...


@dataclass(frozen=True)
class Bernoulli:
    """Each colour as the chance of a lit pixel: equation (1)."""

    def nats(self, logits: Images, x: Images) -> Scores:
        cost = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return cost.flatten(1).sum(1)


@dataclass(frozen=True)
class Gaussian:
    """Colours with noise: equation (2).

    Parameters
    ----------
    deviation: s, of each colour; larger forgives more, and codes say less.
    """

    deviation: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.deviation < float("inf"):
            raise BadInput(
                f"Gaussian needs a deviation above 0; it got {self.deviation}. "
                "A tenth of the range of colours is 0.1."
            )

    def nats(self, logits: Images, x: Images) -> Scores:
        gap = ((x - logits.sigmoid()) / self.deviation).square()
        return (0.5 * gap + log(self.deviation) + 0.5 * log(2 * pi)).flatten(1).sum(1)
