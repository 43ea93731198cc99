"""Regions: which positions of a grid a box, a polygon or a mask covers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw

from legenda.corpus.images import open_image
from legenda.errors import BadInput

FINE = 16
"""A polygon is drawn at so many pixels per position."""


def box(grid: tuple[int, int], top: int, left: int, height: int, width: int) -> tuple[int, ...]:
    """The positions of a rectangle, given in rows and columns of the grid."""
    rows, columns = grid
    if (
        min(top, left) < 0
        or min(height, width) < 1
        or top + height > rows
        or left + width > columns
    ):
        raise BadInput(
            f"a box of {height} × {width} at row {top}, column {left} does not lie on the grid of "
            f"{rows} × {columns}. Rows and columns count from 0."
        )
    return tuple(r * columns + c for r in range(top, top + height) for c in range(left, left + width))  # fmt: skip # noqa: E501


def polygon(grid: tuple[int, int], corners: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """The positions that a polygon covers by half or more; corners are (x, y), shares of the picture."""  # noqa: E501
    if len(corners) < 3 or any(not 0 <= v <= 1 for corner in corners for v in corner):
        raise BadInput(
            f"a polygon needs three corners or more, (x, y) as shares of the picture from 0 to 1; "
            f"it got {list(corners)}."
        )
    rows, columns = grid
    canvas = Image.new("1", (columns * FINE, rows * FINE))
    ImageDraw.Draw(canvas).polygon(
        [(x * columns * FINE - 0.5, y * rows * FINE - 0.5) for x, y in corners], fill=1
    )
    return covered(grid, np.asarray(canvas))


def mask_file(grid: tuple[int, int], path: Path) -> tuple[int, ...]:
    """The positions that the light half of a picture covers by half or more."""
    return covered(grid, np.asarray(open_image(path).convert("L")) >= 128)


def covered(grid: tuple[int, int], mask: Bool[np.ndarray, "h w"]) -> tuple[int, ...]:
    """The positions of which a mask of pixels covers half or more."""
    rows, columns = grid
    h, w = mask.shape
    if h < rows or w < columns:
        raise BadInput(
            f"a mask for a grid of {rows} × {columns} needs at least as many pixels; it has "
            f"{h} × {w}."
        )
    r, c = np.arange(h) * rows // h, np.arange(w) * columns // w
    cell = (r[:, None] * columns + c[None]).ravel()
    share = np.bincount(cell, mask.ravel(), rows * columns) / np.bincount(cell)
    found = tuple(np.flatnonzero(share >= 0.5).tolist())
    if not found:
        raise BadInput(
            f"the region covers half of no position of the grid of {rows} × {columns}. "
            "Make it larger."
        )
    return found


def parse(grid: tuple[int, int], text: str) -> tuple[int, ...]:
    """`box:TOP,LEFT,HEIGHT,WIDTH`, `polygon:X,Y;X,Y;X,Y`, `all`, or the path of a mask.

    Examples
    --------
    >>> parse((16, 16), "box:7,7,1,2")
    (119, 120)
    """
    kind, _, rest = text.partition(":")
    if kind == "all" and not rest:
        return tuple(range(grid[0] * grid[1]))
    try:
        if kind == "box":
            top, left, height, width = map(int, rest.split(","))
            return box(grid, top, left, height, width)
        if kind == "polygon":
            corners = [tuple(map(float, corner.split(","))) for corner in rest.split(";")]
            return polygon(grid, [(x, y) for x, y in corners])
    except BadInput:
        raise
    except ValueError:
        raise BadInput(
            f"a region is written box:TOP,LEFT,HEIGHT,WIDTH in rows and columns of the grid, or "
            f"polygon:X,Y;X,Y;X,Y in shares of the picture; it got {text!r}."
        ) from None
    return mask_file(grid, Path(text))
