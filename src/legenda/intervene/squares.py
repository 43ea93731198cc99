"""Squares of one colour, put on decoded pictures where tokens are gone.

They change nothing but the cells themselves, and look like no picture that was ever decoded; what
puts other tokens there and then decodes is in `tokens.py`.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Black squares.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import erase, upsample
from legenda.intervene.tokens import Space
from legenda.types import Images, Mask

Colour = float | tuple[float, ...] | Literal["mean"]


@dataclass(frozen=True)
class Squares:
    """Cells of one colour on decoded pictures, `b c h w -> b c h w`.

    Parameters
    ----------
    grid: rows and columns of tokens.
    value: their colour, as pixels are; black, as published, is -1 for pixels from -1 to 1, and
        -mean / std for normalised ones, channel by channel. "mean" is each picture's own mean.
    """

    grid: tuple[int, int]
    value: Colour
    space: Space = field(default="pixels", init=False, repr=False)

    def at(self, rows: Int[Tensor, " r"]) -> "Squares":
        return self

    def __call__(self, x: Images, gone: Mask) -> Images:
        return squares(x, gone, self.grid, self.value)


def squares(images: Images, gone: Mask, grid: tuple[int, int], value: Colour) -> Images:
    """Cover cells of a grid with one colour; where none is gone, return the pictures themselves."""
    if gone.shape[1] != grid[0] * grid[1]:
        raise ShapeError(
            f"squares need a mask of {grid[0]} × {grid[1]} = {grid[0] * grid[1]} cells; it has "
            f"{gone.shape[1]}. Give the grid of the tokens."
        )
    h, w = images.shape[2:]
    if h < grid[0] or w < grid[1]:
        raise ShapeError(
            f"squares need a pixel or more per cell of a grid of {grid[0]} × {grid[1]}; the "
            f"pictures have {h} × {w}. Give decoded pictures."
        )
    checked_colour(value)
    if not gone.any():
        return images
    where = upsample(gone.float(), grid, (h, w), "nearest") > 0.5
    if isinstance(value, str):
        return torch.where(where[:, None], images.mean((2, 3), keepdim=True), images)
    return erase(images, where, value if isinstance(value, int | float) else images.new_tensor(value))  # fmt: skip # noqa: E501


def checked_colour(value: object) -> None:
    """Refuse the name of a colour."""
    if isinstance(value, str) and value != "mean":
        raise BadInput(
            f"squares are of one value, of one per channel, or of the picture's own 'mean' colour; "
            f"it got {value!r}. Where pixels go from -1 to 1, black is -1."
        )
