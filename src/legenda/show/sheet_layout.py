"""Where the frames of a contact sheet are, how large, and what is written around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from legenda.errors import BadInput

LEAST, MOST = 96, 256
"""Frames are shown so large, unless a scale is given: their shorter side, in pixels."""
GAP, LETTER = 6, 15


class Ground(NamedTuple):
    """The colours of the paper, of writing, and of faint lines."""

    paper: str
    ink: str
    faint: str


GROUNDS = {
    "light": Ground("#ffffff", "#1b1b1f", "#9a9aa0"),
    "dark": Ground("#17171a", "#f1f1f3", "#75757c"),
}


@dataclass(frozen=True)
class Layout:
    """Where everything is: `place(row, column)` is the left upper corner of a frame.

    Parameters
    ----------
    rows, columns: how many.
    height, width: of a frame as it is shown.
    left, top: room for labels.
    """

    rows: int
    columns: int
    height: int
    width: int
    left: int
    top: int

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Its x and y."""
        x = self.left + GAP + column * (self.width + GAP)
        return x, self.top + GAP + row * (self.height + GAP)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole."""
        return self.place(self.rows, self.columns)


def painted(ground: str) -> Ground:
    """The colours of a ground."""
    if ground not in GROUNDS:
        raise BadInput(
            f"contact_sheet is drawn on a light or a dark ground; it got {ground!r}. Choose one."
        )
    return GROUNDS[ground]


def enlarged(
    images: Float[Tensor, "r s c h w"], scale: float | int | None
) -> UInt8[np.ndarray, "r s y x 3"]:
    """Frames as bytes: whole pixels repeated when they grow, and averaged when they shrink."""
    height, width = images.shape[3:]
    shorter = min(height, width)
    if scale is None:
        scale = max(1, -(-LEAST // shorter)) if shorter <= MOST else 1 / (shorter // LEAST)
    if not 0 < scale * shorter < 1 << 14:
        raise BadInput(
            f"contact_sheet needs a scale that leaves pixels to see; it got {scale} for frames of "
            f"{width} × {height}. Leave it out for frames of at least {LEAST} pixels."
        )
    rows = (images.detach().cpu().clamp(0, 1) * 255).round().byte().movedim(2, 4).numpy()
    if scale >= 1:
        return rows.repeat(round(scale), 2).repeat(round(scale), 3)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    flat = [
        np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BOX))
        for one in rows.reshape(-1, height, width, 3)
    ]
    return np.stack(flat).reshape(*rows.shape[:2], size[1], size[0], 3)


def written(
    pen: ImageDraw.ImageDraw,
    layout: Layout,
    said: tuple[Sequence[str], Sequence[str]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: Ground,
) -> None:
    """Names of rows at their left, of columns above them, centred."""
    for row, word in enumerate(said[0]):
        y = layout.place(row, 0)[1] + layout.height / 2
        pen.text((GAP, y), word, fill=colour.ink, font=font, anchor="lm")
    for column, word in enumerate(said[1]):
        x = layout.place(0, column)[0] + layout.width / 2
        pen.text((x, layout.top - 4), word, fill=colour.ink, font=font, anchor="ms")
    ends = layout.place(0, 0)[0], layout.place(0, layout.columns - 1)[0] + layout.width - 1
    pen.line((ends[0], layout.top + 1, ends[1], layout.top + 1), fill=colour.faint)


def framed(pen: ImageDraw.ImageDraw, layout: Layout, mark: tuple[int, int], colour: Ground) -> None:
    """A double line around a frame, which shows on every ground."""
    row, column = mark
    if not (0 <= row < layout.rows and 0 <= column < layout.columns):
        raise BadInput(
            f"contact_sheet marks one of {layout.rows} rows and {layout.columns} columns, counted "
            f"from 0; it got {mark}. Count the columns that are shown."
        )
    x, y = layout.place(row, column)
    for out, line in ((1, colour.paper), (2, colour.ink), (3, colour.ink)):
        box = (x - out, y - out, x + layout.width - 1 + out, y + layout.height - 1 + out)
        pen.rectangle(box, outline=line)
