"""The object of a picture, softly: where it lies, and how surely there is one.

The ground g is the median colour of the border. A pixel differs from it by

    d = √(mean over channels of (colour - g)²)                             (1)

Otsu's threshold of √d parts the pixels; the root keeps a dark part of an object from parting it
from a pale one. With μ the mean of d above the threshold, the object's outline lies midway
between ground and object, where blurring leaves it, and pixels near it belong to it in part:

    t = μ / 2,      m = clip(d / t - 1/2, 0, 1)                            (2)

μ is taken once more above t. A figure stands on a plain ground; a photograph's border differs
from its own median as much as its middle does:

    figure = 1 - mean of d along the border / μ                            (3)

An object that touches the border costs it in proportion. Where (3) is below `CLEAR`, or μ below
`VISIBLE`, a picture has no figure, and no shape is measured. A part that stands
out less than half as much as the object on average counts less than half.

References
----------
Otsu. A threshold selection method from gray-level histograms. IEEE Transactions on Systems, Man,
and Cybernetics 1979. The first threshold.
Ridler, Calvard. Picture thresholding using an iterative selection method. IEEE Transactions on
Systems, Man, and Cybernetics 1978. Midway between two means, taken again.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

RING, BINS = 2, 64
"""The border is so many pixels wide; Otsu's histogram has so many bins."""
VISIBLE = 0.08
"""An object differs from the ground by so much of white, or is none."""
CLEAR, VAGUE = 0.75, 0.65
"""Figures above the first are objects; below the second nothing of a picture is taken for one."""
WINDOW = 0.2
"""The middle of a picture: a bell so wide, in shares of its sides."""
SPECK = 4.0
"""What covers fewer pixels is no object."""


class Foreground(NamedTuple):
    """The object and its ground.

    mask: equation (2), how much of each pixel is the object's.
    weight: where to look for the object's colours, summing to 1: the mask where it is above one
        half, so that the ground does not shine through its edges; without a figure, the middle of
        the picture; a blend in between, so that colours never jump.
    ground: median colour of the border.
    level: μ.
    figure: equation (3), 0 to 1; 0 where nothing is visible.
    """

    mask: Float[Tensor, "b h w"]
    weight: Float[Tensor, "b h w"]
    ground: Float[Tensor, "b c"]
    level: Float[Tensor, " b"]
    figure: Float[Tensor, " b"]

    def where_clear(self, values: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """NaN where a picture has no figure."""
        return values.where(self.figure >= CLEAR, torch.nan)


def foreground(images: Float[Tensor, "b c h w"]) -> Foreground:
    """Equations (1) to (3)."""
    border = ring(images)
    ground = border.quantile(0.5, dim=2, interpolation="nearest")
    distance = apart(images.flatten(2), ground)
    first = otsu(distance.sqrt()).square()
    level = mean_above(distance, mean_above(distance, first) / 2)
    half = level.clamp_min(VISIBLE)[:, None] / 2
    mask = (distance / half - 0.5).clamp(0, 1)  # (2)
    figure = 1 - apart(border, ground).mean(1) / level.clamp_min(VISIBLE)  # (3)
    seen = (level >= VISIBLE) & (mask.sum(1) >= SPECK)
    figure = figure.clamp(0, 1) * seen
    shape = images.shape[2:]
    weight = attention(mask.unflatten(1, shape), figure)
    return Foreground(mask.unflatten(1, shape), weight, ground, level, figure)


def ring(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c p"]:
    """The pixels of the border."""
    inside = torch.zeros(images.shape[2:], dtype=torch.bool)
    inside[RING:-RING, RING:-RING] = True
    return images[:, :, ~inside]


def apart(colours: Float[Tensor, "b c p"], ground: Float[Tensor, "b c"]) -> Float[Tensor, "b p"]:
    """Equation (1)."""
    return (colours - ground[:, :, None]).square().mean(1).sqrt()


def otsu(values: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
    """The threshold that leaves most variance between its two sides, of values from 0 to 1."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    rows = torch.arange(len(values))[:, None] * BINS
    counts = (bins + rows).flatten().bincount(minlength=len(values) * BINS)
    share = counts.view(-1, BINS).double() / values.shape[1]
    centre = (torch.arange(BINS).double() + 0.5) / BINS
    below, mass = share.cumsum(1), (share * centre).cumsum(1)
    between = (mass[:, -1:] * below - mass).square() / (below * (1 - below)).clamp_min(1e-12)
    return ((between.argmax(1) + 1).double() / BINS).to(values)


def mean_above(values: Float[Tensor, "b p"], limit: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Mean of the values above a limit; 0 where none is."""
    above = (values > limit[:, None]).to(values)
    return (values * above).sum(1) / above.sum(1).clamp_min(1)


def attention(mask: Float[Tensor, "b h w"], figure: Float[Tensor, " b"]) -> Float[Tensor, "b h w"]:
    """The inner half of the mask where the figure is clear, the middle where it is not."""
    tall, wide = (torch.linspace(-0.5, 0.5, n, dtype=mask.dtype) for n in mask.shape[1:])
    bell = torch.exp(-(tall[:, None].square() + wide.square()) / (2 * WINDOW**2))
    share = ((figure - VAGUE) / (CLEAR - VAGUE)).clamp(0, 1)[:, None, None]
    inner = (2 * mask - 1).clamp_min(0)
    own = inner / inner.sum((1, 2), keepdim=True).clamp_min(1e-9)
    blend = share * own + (1 - share) * bell / bell.sum()
    return blend / blend.sum((1, 2), keepdim=True)
