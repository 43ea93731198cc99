"""Monosemanticity: are the images alike in which a unit is on?

With a_m ≥ 0 how strongly the unit is on in image m, stretched to [0, 1] over the N images, and e_m
an embedding of that image, of length 1, from an encoder that knows nothing of the dictionary,

    MS = Σ_{m≠n} a_m a_n e_m · e_n / Σ_{m≠n} a_m a_n                      (1)
       = (‖Σ a_m e_m‖² - Σ a_m² ‖e_m‖²) / ((Σ a_m)² - Σ a_m²)              (2)

(2) costs N where (1) costs N². All images are somewhat alike to any encoder, so that the control
says more than the value: the same activations, dealt to other images for each unit anew.

Images are resampled (`by_image.py`): with v = Σ a_m e_m, S and T above and below the bar of (2),

    w_m = 2 a_m (e_m · v - a_m ‖e_m‖² - MS (Σ a - a_m)) / T                (3)

References
----------
Pach, Karthik, Bouniot, Belongie, Akata. Sparse autoencoders learn monosemantic features in
vision-language models. NeurIPS 2025. (1).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.score.by_image import scored

CHUNK = 512
"""So many units are worked on at once."""


@dataclass(frozen=True, eq=False)
class MonosemanticityFound:
    """The mean over units, and each unit's; NaN for units that are on in too few images."""

    score: Score
    each: Float[Tensor, " k"]


@dataclass(frozen=True)
class Monosemanticity:
    """Equation (2) of every unit, `b k, b e -> k`; higher is better.

    Parameters
    ----------
    least: images in which a unit must be on; larger leaves rare units out.
    seed: of the control and the interval.
    """

    least: int = 2
    seed: int = 0

    def __call__(
        self, weights: Float[Tensor, "b k"], embeddings: Float[Tensor, "b e"]
    ) -> MonosemanticityFound:
        """`weights` are such as `codes.strongest()` gives."""
        checked(weights, embeddings)
        e = normalize(embeddings.detach().cpu().double(), dim=1)
        lot = torch.Generator().manual_seed(self.seed)
        found, control = [], []
        for part in weights.detach().cpu().split(CHUNK, 1):
            a = stretched(part.double().T)
            order = torch.rand(a.shape, generator=lot).argsort(1)
            found.append(likeness(a, e, self.least))
            control.append(likeness(a.gather(1, order), e, self.least))
        values, per_image = gathered(found)
        score = scored("monosemanticity", per_image, gathered(control)[1], self.seed, unit="cosine")
        return MonosemanticityFound(score, values)


def stretched(weights: Float[Tensor, "k b"]) -> Float[Tensor, "k b"]:
    """Each unit from 0, where it is weakest, to 1; a unit that never changes is off."""
    low, high = weights.amin(1, keepdim=True), weights.amax(1, keepdim=True)
    return (weights - low) / (high - low).where(high > low, torch.inf)


def likeness(
    a: Float[Tensor, "k b"], e: Float[Tensor, "b e"], least: int = 2
) -> tuple[Float[Tensor, " k"], Float[Tensor, " b"]]:
    """Equation (2) of each unit, and the sum over units of (3)."""
    held = (a > 0).sum(1) >= max(2, least)
    square, total, v = e.pow(2).sum(1), a.sum(1, keepdim=True), a @ e
    above = v.pow(2).sum(1) - a.pow(2) @ square
    below = total[:, 0].pow(2) - a.pow(2).sum(1)
    value = (above / below).where(held, torch.nan)  # (2)
    slope = 2 * a * (v @ e.T - a * square - value[:, None] * (total - a)) / below[:, None]  # (3)
    return value, slope[held].sum(0)


def gathered(
    parts: list[tuple[Tensor, Tensor]],
) -> tuple[Float[Tensor, " q"], Float[Tensor, " b"]]:
    """The values of all units, and their mean as one number per image."""
    values = torch.cat([value for value, _ in parts])
    slope = torch.stack([slope for _, slope in parts]).sum(0)
    return values, values.nanmean() + len(slope) * slope / int((~values.isnan()).sum())


def checked(weights: Float[Tensor, "b k"], embeddings: Float[Tensor, "b e"]) -> None:
    """Refuse what is not one embedding per image."""
    if len(weights) != len(embeddings) or not weights.shape[1]:
        raise ShapeError(
            f"Monosemanticity needs the weights of k units and one embedding of the same images; "
            f"it got {tuple(weights.shape)} and {tuple(embeddings.shape)}. Give both for all images."  # noqa: E501
        )
    if not embeddings.isfinite().all() or not weights.isfinite().all():
        raise BadInput("Monosemanticity needs finite weights and embeddings; it got NaN or infinity. Leave those images out.")  # fmt: skip # noqa: E501
    if not (embeddings != 0).any(1).all():
        bare = int((~(embeddings != 0).any(1)).sum())
        raise BadInput(f"Monosemanticity needs embeddings with a direction; {bare} of {len(embeddings)} are zero. Leave those images out.")  # fmt: skip # noqa: E501
