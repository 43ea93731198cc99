"""Many small pictures as one, so that a page with thousands of them stays light."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from legenda.show.pair import _uri

Picture = UInt8[np.ndarray, "_ _ 3"]
EXACT = 400_000
"""Up to so many pixels are kept as they are; more of them are a JPEG."""


class Sprite(NamedTuple):
    """Tiles of one size, side by side in one picture."""

    uri: str
    columns: int
    rows: int
    height: int
    width: int

    def place(self, number: int) -> str:
        """Where a tile stands, for the style of what shows it."""
        row, column = divmod(number, self.columns)
        return f"--x:{column};--y:{row}"

    @property
    def style(self) -> dict[str, Any]:
        """What the style of all tiles needs to know."""
        return {
            "uri": self.uri, "columns": self.columns, "rows": self.rows,
            "ratio": f"{self.width / self.height:.5g}",
        }  # fmt: skip


def sprite(tiles: Sequence[Picture]) -> Sprite | None:
    """The tiles in rows; None where there are none."""
    if not tiles:
        return None
    height, width, _ = tiles[0].shape
    columns = min(len(tiles), max(1, round(math.sqrt(len(tiles) * height / width))))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * height, (number % columns) * width
        sheet[y : y + height, x : x + width] = tile
    picture = Image.fromarray(sheet)
    if picture.width * picture.height <= EXACT:
        uri = _uri(picture, "png", optimize=True)
    else:
        uri = _uri(picture, "jpeg", quality=86, subsampling=0, optimize=True)
    return Sprite(uri, columns, rows, height, width)
