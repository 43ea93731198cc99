"""How thick a stroke is, by its area and the length of its outline.

By the co-area formula the outlines of a soft mask m, averaged over all levels, are as long as

    P = Σ |∇m|,      over cells of two by two pixels                       (1)

which moves smoothly where a count of edge pixels jumps. A stroke of width w and length l + w with
round ends has area A = w l + π w² / 4 and outline P = 2 l + π w, whatever its bends, so that

    w = (P - √(P² - 4 π A)) / π                                            (2)

A disc is a stroke of no length, w its diameter. What is shorter than three widths is no stroke.
The skeleton of a blurred figure breaks and sprouts; (2) needs none.

References
----------
Federer. Curvature measures. Transactions of the American Mathematical Society 1959. The co-area
formula.
"""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.measure.foreground import Foreground

LONG = 2.0
"""A stroke is longer than it is wide by so many widths."""


def stroke(seen: Foreground) -> Float[Tensor, " b"]:
    """Equation (2) as a share of the longer side; NaN where there is no stroke."""
    around, area = outline_length(seen.mask), seen.mask.sum((1, 2))
    width = (around - (around.square() - 4 * pi * area).clamp_min(0).sqrt()) / pi  # (2)
    long = (around - pi * width) / 2 >= LONG * width
    return seen.where_clear((width / max(seen.mask.shape[1:])).where(long, torch.nan))


def outline_length(mask: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Equation (1), in pixels; outlines inside, around holes, count too."""
    whole = torch.nn.functional.pad(mask, (1, 1, 1, 1))
    right, down = whole.diff(dim=2), whole.diff(dim=1)
    across = (right[:, 1:] + right[:, :-1]) / 2
    along = (down[:, :, 1:] + down[:, :, :-1]) / 2
    return (across.square() + along.square()).sqrt().sum((1, 2))
