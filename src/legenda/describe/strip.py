"""Strips: a sheet as one plain picture for a model that sees, numbers above its columns.

Plain on purpose: black figures on white, frames of one size with white between them, and nothing
that tells a sheet from its controls. Frames are enlarged by whole steps, so that a pixel stays a
square and can be found again.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from legenda.core.sheet import Sheet
from legenda.errors import BadInput

HEAD, MARGIN, GAP = 24, 24, 8
"""Pixels above the first row, left of the first column, and after each frame."""


@dataclass(frozen=True)
class Strip:
    """Draws a sheet, `r s c h w ->` picture: frame (r, k) lies at MARGIN + k (side + GAP), HEAD + r (side + GAP).

    Parameters
    ----------
    columns: most frames of a row; of more steps so many are shown, evenly, both ends always.
    least: pixels that the shorter side of a frame has at least; more shows more and costs more.
    """  # fmt: skip # noqa: E501

    columns: int = 8
    least: int = 128

    def __post_init__(self) -> None:
        if self.columns < 2 or self.least < 1:
            raise BadInput(
                f"a strip has two columns or more, of a pixel or more; it got {self.columns} and "
                f"{self.least}."
            )

    def __call__(self, sheet: Sheet) -> Image.Image:
        frames = self.frames(sheet)
        rows, steps, high, wide = frames.shape[:4]
        page = Image.new(
            "RGB", (MARGIN + steps * (wide + GAP), HEAD + rows * (high + GAP)), "white"
        )
        pen, font = ImageDraw.Draw(page), ImageFont.load_default(16)
        for k in range(steps):
            centre = MARGIN + k * (wide + GAP) + wide // 2
            pen.text((centre, HEAD // 2), str(k + 1), "black", font, anchor="mm")
        for r in range(rows):
            top = HEAD + r * (high + GAP)
            pen.text((MARGIN // 2, top + high // 2), "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[r % 26], "black", font, anchor="mm")  # fmt: skip # noqa: E501
            for k in range(steps):
                page.paste(Image.fromarray(frames[r, k]), (MARGIN + k * (wide + GAP), top))
        return page

    def frames(self, sheet: Sheet) -> np.ndarray:
        """The frames as they are drawn, bytes (r k h w 3)."""
        images = sheet.images[:, even(sheet.images.shape[1], self.columns)]
        images = images.expand(-1, -1, 3, -1, -1) if images.shape[2] == 1 else images
        images = enlarged(images, -(-self.least // min(images.shape[3:])))
        return (images * 255).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()


def even(steps: int, columns: int) -> Int[Tensor, " k"]:
    """At most `columns` of the steps, evenly spaced, with both ends."""
    return torch.linspace(0, steps - 1, min(steps, columns), dtype=torch.float64).round().long()


def enlarged(images: Float[Tensor, "r k c h w"], times: int) -> Float[Tensor, "r k c y x"]:
    """Every pixel a square of so many."""
    return images.repeat_interleave(times, 3).repeat_interleave(times, 4)
