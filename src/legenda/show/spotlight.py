"""A picture with light where a unit is on, for where there is no room to say it otherwise.

With the strength s(p) of a place, as a share of the strongest place of all pictures of the unit,
its colours x become

    x' = l x + (1 - l) v,   l = u² (3 - 2u),   u = clip((s - a) / (b - a), 0, 1)    (1)

of a veil v that is dark and keeps little of their colour: what is as strong as b stays as it is,
what is weaker than a is left in the dark. A line runs where s = b. Light says it, not hue, so every
eye can read it.

A face is such a picture, cut to a square around what is lit, and small enough to stand in a list.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from legenda.show.overlay import stretch

WEAK, STRONG = 0.15, 0.5
"""a and b in equation (1)."""
COLOUR, GREY, DARK = 0.35, 0.15, 30
"""How much colour and grey of a place are left under the veil, and what the rest of it is."""
SIDE, CLOSEST, AROUND = 128, 0.45, 1.7
"""Pixels of a face; it shows this share of a picture at least, and so much around what is lit."""
WEIGHT, QUALITIES = 3000, (62, 50, 38, 26, 16)
"""Bytes of a face at most, and the qualities that are tried for it."""


def spotlight(
    pixels: UInt8[np.ndarray, "h w 3"], share: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in its own light where `share` is large, and under a veil elsewhere."""
    u = ((share - WEAK) / (STRONG - WEAK)).clip(0, 1)[..., None]
    light = u**2 * (3 - 2 * u)  # (1)
    grey = pixels.mean(2, keepdims=True)
    veil = COLOUR * pixels + GREY * grey + (1 - COLOUR - GREY) * DARK
    made = light * pixels + (1 - light) * veil  # (1)
    made[edge(share >= STRONG)] = 255
    return np.rint(made).astype(np.uint8)


def edge(lit: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Dark places that touch a lit one: a line around what is lit."""
    found = np.zeros_like(lit)
    found[1:] |= lit[:-1]
    found[:-1] |= lit[1:]
    found[:, 1:] |= lit[:, :-1]
    found[:, :-1] |= lit[:, 1:]
    return found & ~lit


def laid(
    values: Float[np.ndarray, "rows columns"],
    peak: float | int,
    frame: Sequence[float | int] | None,
    size: tuple[int, int],
) -> Float[np.ndarray, "h w"]:
    """A map over a picture of `size`, width and height, as shares of `peak`; 0 outside of it."""
    grid = np.abs(np.nan_to_num(values.astype(np.float64))) / (peak or 1.0)
    edges = [float(edge) for edge in frame or (0, 0, *size)]
    return np.nan_to_num(stretch(grid.tolist(), edges, size))


def window(share: Float[np.ndarray, "h w"]) -> tuple[int, int, int]:
    """The square that shows what is lit, with some room around it: left, top, side."""
    height, width = share.shape
    whole = min(height, width)
    lit = share >= min(STRONG, share.max())
    ends = [np.flatnonzero(lit.any(axis))[[0, -1]] for axis in (0, 1)]
    longest = max(int(last - first) + 1 for first, last in ends)
    side = int(np.clip(AROUND * longest, CLOSEST * whole, whole))
    left, top = (
        int(np.clip(round((first + last + 1 - side) / 2), 0, length - side))
        for (first, last), length in zip(ends, (width, height), strict=True)
    )
    return left, top, side


def face(
    picture: Image.Image,
    values: Float[np.ndarray, "rows columns"],
    peak: float | int,
    frame: Sequence[float | int] | None = None,
    side: int = SIDE,
) -> bytes:
    """A small square picture of a unit, as WebP: one of its exemplars, lit where it is on."""
    pixels = np.asarray(picture.convert("RGB"))
    share = laid(values, peak, frame, (pixels.shape[1], pixels.shape[0]))
    left, top, length = window(share)
    cut = slice(top, top + length), slice(left, left + length)
    to = (side, side)
    small = np.asarray(Image.fromarray(pixels[cut]).resize(to, Image.Resampling.LANCZOS))
    coarse = Image.fromarray(share[cut].astype(np.float32), "F")
    light = coarse.resize(to, Image.Resampling.BILINEAR)
    return _light(Image.fromarray(spotlight(small, np.asarray(light, np.float64))))


def _light(picture: Image.Image) -> bytes:
    """As WebP of the best quality that is not too heavy."""
    data = b""
    for quality in QUALITIES:
        held = io.BytesIO()
        picture.save(held, "WEBP", quality=quality, method=4)
        if len(data := held.getvalue()) <= WEIGHT:
            break
    return data
