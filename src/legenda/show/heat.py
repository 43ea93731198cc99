"""A map over a grid as a picture of some hundred bytes: one pixel to a cell.

The page stretches it over the picture it belongs to, smoothly, as browsers do; colours are those of
`overlay`, in 33 levels, and it is clearer where there is little to see.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from legenda.show.palette import DIVERGING, MUTED, SEQUENTIAL, colours

LEVELS = 33
LEAST = 0.1
"""Opacity at zero: more of it would tint all of a picture, and say nothing there."""


def heat(
    values: Float[np.ndarray, "rows columns"],
    peak: float | int | None = None,
    muted: bool = False,
    clear: bool = False,
) -> str:
    """A data URI; `peak` is the value of the strongest colour, that of the map where not given.

    With `clear` nothing is laid over places of zero, as suits a unit that is off at most of them.
    """
    values = np.nan_to_num(values.astype(np.float64))
    peak = peak or float(np.abs(values).max(initial=0.0)) or 1.0
    signed = ramp(values) == "signed"
    share = (values / peak + 1) / 2 if signed else values / peak
    levels = np.rint(share.clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
    anchors = MUTED if muted else DIVERGING if signed else SEQUENTIAL
    at = np.linspace(-1 if signed else 0, 1, LEVELS)
    opacity = np.rint(255 * (LEAST + (1 - LEAST) * np.abs(at))).astype(np.uint8)
    opacity[at == 0] *= not clear
    table = np.concatenate([colours(anchors, LEVELS), opacity[:, None]], 1)
    held = io.BytesIO()  # WebP without loss: less than half of what a PNG with a palette weighs
    Image.fromarray(table[levels]).save(held, "webp", lossless=True, exact=True, quality=60)
    return f"data:image/webp;base64,{base64.b64encode(held.getvalue()).decode()}"


def ramp(values: Float[np.ndarray, "..."], muted: bool = False) -> str:
    """Which colours a map runs through: `signed` ones, `plain` ones, or `muted` grey."""
    peak = float(np.abs(np.nan_to_num(values)).max(initial=0.0))
    if muted:
        return "muted"
    return "signed" if (np.nan_to_num(values) < -1e-6 * peak).any() else "plain"


def place(frame: Sequence[float | int], width: int, height: int) -> str:
    """Where a frame of a picture of `width` × `height` lies, as the style of what covers it."""
    left, top, right, bottom = frame
    return (
        f"left:{100 * left / width:.5g}%;top:{100 * top / height:.5g}%;"
        f"width:{100 * (right - left) / width:.5g}%;height:{100 * (bottom - top) / height:.5g}%"
    )
