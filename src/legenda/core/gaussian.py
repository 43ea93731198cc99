"""One Gaussian for every blur along a line."""

import torch
from jaxtyping import Float
from torch import Tensor


def gaussian(size: int, width: float) -> Float[Tensor, "size size"]:
    """Weights of each place of a line for each other; the edge is shared out: rows sum to one.

    `width` is the standard deviation, in places.
    """
    place = torch.arange(size, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    return weight / weight.sum(1, keepdim=True)
