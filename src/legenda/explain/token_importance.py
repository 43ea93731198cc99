"""Token importance score: how steeply a concept rises or falls with each token's embedding.

A concept model reads the embeddings e of an image's tokens. Its slope is averaged over copies
with a little noise, and then brought to one number per position:

    G = (1/S) Σ_s ∂f_y / ∂e (e + σ ε_s),      ε_s ~ N(0, 1)               (1)
    σ = scale · (max e - min e)                                           (2)
    A_n = max_d |G_nd|                                                    (3)

What (3) scores is a position; the token there inherits it. Other ways than (3): the largest
signed slope, the mean, the length of G_n, and how much f_y would lose by (1) if e_n went to
zero, G_n · e_n.

Differs from the official code: one backward pass serves a whole batch of noisy copies, where
theirs goes through the batch once per image; the range in (2) is that of the image itself, so
that neighbours in the batch change nothing (`span="batch"` is theirs); (3) takes the absolute
value, since a slope downwards matters as much (`reduce="max_signed"` is theirs); each image
sees the same noise.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. The token importance score.
Smilkov, Thorat, Kim, Viégas, Wattenberg. SmoothGrad: removing noise by adding noise.
arXiv 1706.03825, 2017. (1), for pixels.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.positions import AtSite, normal, slope
from legenda.types import Acts

Reduce = Literal["max_abs", "max_signed", "mean", "l2", "grad_times_input"]
REDUCE = ("max_abs", "max_signed", "mean", "l2", "grad_times_input")
SPANS = ("image", "batch", "codebook")


@dataclass(frozen=True)
class TokenImportance:
    """Smoothed slope of the target at each token's embedding, `b n d -> b n`.

    Parameters
    ----------
    draws: noisy copies; more give a steadier map, at as much more cost.
    scale: noise as a share of the range of embeddings; larger asks about other tokens.
    span: whose range: that of the "image", of the whole "batch" (as published), or of the
        "codebook".
    reduce: from slopes to one number: "max_abs", "max_signed" (as published), "mean", "l2" or
        "grad_times_input".
    seed: of the noise.
    batch: noisy copies at once; changes speed and memory, never the result.
    """

    draws: int = 20
    scale: float = 0.2
    span: Literal["image", "batch", "codebook"] = "image"
    reduce: Reduce = "max_abs"
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        if min(self.draws, self.batch) < 1 or not 0 <= self.scale < float("inf"):
            raise BadInput(
                f"TokenImportance needs at least one draw and one copy at once, and a scale of 0 "
                f"or more; it got draws={self.draws}, batch={self.batch}, scale={self.scale}."
            )
        if self.reduce not in REDUCE or self.span not in SPANS:
            raise BadInput(
                f"TokenImportance reduces by {', '.join(REDUCE)}, over the range of an image, the "
                f"batch or the codebook; it got {self.reduce!r} and {self.span!r}. Choose one."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        if target.reads != "output":
            raise Unsupported(
                "TokenImportance", "a target on the output", target.label,
                "A token is on or off, so it has no slope: take the logit of a concept model.",
            )  # fmt: skip
        place = AtSite(units.prefix(x), target)
        mean_slope = self.slopes(place, self.sigma(place.value, units))
        scores = self.reduced(mean_slope, place.value)
        unit = "of the target" if self.reduce == "grad_times_input" else "slope of the target"
        return Attribution(x, scores, place.drawn, units.model.grid, unit)

    def sigma(self, acts: Acts, units: Units) -> Float[Tensor, "b 1 1"]:
        """Equation (2)."""
        held = units.dictionary.atoms.to(acts) if self.span == "codebook" else acts
        axes = (1, 2) if self.span == "image" else tuple(range(held.ndim))
        width = held.amax(axes) - held.amin(axes)
        return (self.scale * width).expand(len(acts))[:, None, None]

    def slopes(self, place: AtSite, sigma: Float[Tensor, "b 1 1"]) -> Acts:
        """Equation (1), many noisy copies at a time."""
        acts, total = place.value, torch.zeros_like(place.value)
        n, d = acts.shape[1:]
        noise = normal((n, self.draws, d), self.seed).transpose(0, 1).to(acts)
        copies = torch.arange(len(acts) * self.draws, device=acts.device)
        for part in copies.split(self.batch):
            rows, draws = part // self.draws, part % self.draws
            noisy = acts[rows] + sigma[rows] * noise[draws]
            total.index_add_(0, rows, slope(place, noisy, rows))
        return total / self.draws

    def reduced(self, slopes: Acts, acts: Acts) -> Float[Tensor, "b n"]:
        """Equation (3), or one of the other ways."""
        if self.reduce == "max_abs":
            return slopes.abs().amax(2)
        if self.reduce == "max_signed":
            return slopes.amax(2)
        if self.reduce == "mean":
            return slopes.mean(2)
        return slopes.norm(dim=2) if self.reduce == "l2" else (slopes * acts).sum(2)
