"""A map drawn on the picture it explains, at the picture's own size.

Everything is drawn from the plain dict of `view.plain`, so that a page can be made again from
results on disk. What the model did not see is greyed and hatched; a pair that does not match
is drawn in grey, with the warning under it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from legenda.agreement import Agreement
from legenda.corpus.view_box import spread
from legenda.show.palette import DIVERGING, MUTED, SEQUENTIAL, colours, short, ticks

Plain = dict[str, Any]
LEAST = 0.28
"""Opacity at zero, as a share of that at the peak: the picture stays readable there."""
WARNING = "This pair does not match: the map explains an agreement that is hardly there."


@dataclass(frozen=True)
class Scale:
    """What a colour means: from `low` to `high` in a physical unit."""

    low: float
    high: float
    unit: str
    muted: bool = False

    @classmethod
    def of(cls, *pairs: Plain) -> "Scale":
        """A scale for some pairs; several share it. Signed maps get one symmetric about zero."""
        values = [v for pair in pairs for row in pair["map"] for v in row if v is not None]
        low, high = min(values, default=0.0), max(values, default=0.0)
        peak = max(high, -low) or 1.0
        signed = low < -1e-6 * peak
        muted = any((pair["match"] or {}).get("flagged") for pair in pairs)
        return cls(-peak if signed else 0.0, peak, pairs[0]["unit"], muted)

    @property
    def signed(self) -> bool:
        """Whether it runs to both sides of zero."""
        return self.low < 0

    @property
    def anchors(self) -> tuple[str, ...]:
        """The colours it runs through."""
        return MUTED if self.muted else DIVERGING if self.signed else SEQUENTIAL

    def levels(self, values: Float[np.ndarray, "h w"]) -> np.ndarray:
        """Values as levels 0 … 255; what is off the scale ends at its ends."""
        share = (values - self.low) / (self.high - self.low)
        return np.rint(np.nan_to_num(share).clip(0, 1) * 255).astype(np.uint8)

    def opacities(self) -> Float[np.ndarray, " 256"]:
        """Opacity of each level: little where there is little to see."""
        at = np.linspace(-1 if self.signed else 0, 1, 256)
        return LEAST + (1 - LEAST) * np.abs(at)


def overlay(
    agreement: Agreement, alpha: float = 0.7, scale: Scale | None = None, legend: bool = True
) -> Image.Image:
    """The picture under its map, with a legend below; `scale` shares one between pictures."""
    from legenda.show.view import plain

    return drawn(plain(agreement), agreement.picture, alpha, scale, legend)


def drawn(
    pair: Plain,
    picture: Image.Image,
    alpha: float = 0.7,
    scale: Scale | None = None,
    legend: bool = True,
) -> Image.Image:
    """`overlay`, from the plain dict and the picture, at whatever size the picture is."""
    scale = scale or Scale.of(pair)
    across, down = (n / known for n, known in zip(picture.size, pair["size"], strict=True))
    left, top, right, bottom = pair["frame"]
    frame = [left * across, top * down, right * across, bottom * down]
    values = stretch(pair["map"], frame, picture.size)
    lit = colours(scale.anchors)[scale.levels(values)].astype(np.float32)
    share = (alpha * scale.opacities()).astype(np.float32)[scale.levels(values)][..., None]
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    unseen = np.isnan(values)
    mixed = np.where(unseen[..., None], hatched(pixels), pixels + (lit - pixels) * share)
    made = Image.fromarray(np.rint(mixed).astype(np.uint8))
    return with_legend(made, scale, bool(unseen.any())) if legend else made


def layer(pair: Plain, scale: Scale | None = None, longest: int = 384) -> Image.Image:
    """The map alone, transparent, over the part of the picture that it covers.

    It has a palette of 256 colours, so that a page with many maps stays small.
    """
    scale = scale or Scale.of(pair)
    left, top, right, bottom = seen(pair)
    share = longest / max(right - left, bottom - top)
    size = max(1, round((right - left) * share)), max(1, round((bottom - top) * share))
    x0, y0, x1, y1 = pair["frame"]
    box = [(x0 - left) * share, (y0 - top) * share, (x1 - left) * share, (y1 - top) * share]
    made = Image.fromarray(scale.levels(stretch(pair["map"], box, size)), "L").convert("P")
    made.putpalette(colours(scale.anchors).tobytes())
    made.info["transparency"] = bytes(np.rint(scale.opacities() * 255).astype(np.uint8))
    return made


def seen(pair: Plain) -> tuple[float, float, float, float]:
    """The part of the picture that reached the model: left, top, right, bottom."""
    left, top, right, bottom = pair["frame"]
    width, height = map(float, pair["size"])
    return max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)


def stretch(
    grid: list[list[float]], frame: list[float], size: tuple[int, int]
) -> Float[np.ndarray, "h w"]:
    """A grid over its frame on a picture of `size`, bilinear; NaN outside of the frame."""
    return spread(torch.tensor(grid), frame, size).numpy()


def hatched(pixels: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Pixels as grey under diagonal lines: the model did not see them."""
    grey = 0.45 * pixels.mean(2, keepdims=True) + 0.55 * 205
    height, width = grey.shape[:2]
    period = max(8, round(min(height, width) / 40))
    slope = (np.arange(height)[:, None] + np.arange(width)[None]) % period
    return np.where((slope < max(1, period // 8))[..., None], 120.0, grey.repeat(3, 2))


def with_legend(picture: Image.Image, scale: Scale, unseen: bool) -> Image.Image:
    """The picture with a strip below it: the colours, ticks in the unit, and what is hatched."""
    width, height = picture.size
    letter = int(np.clip(width / 34, 11, 48))
    font = ImageFont.load_default(letter)
    lines = [WARNING] if scale.muted else []
    lines += ["hatched: not seen by the model"] if unseen else []
    notes = [part for line in lines for part in wrapped(line, font, width - 2 * letter)]
    strip = round(letter * (3.6 + 1.35 * len(notes)))
    sheet = Image.new("RGB", (width, height + strip), "white")
    sheet.paste(picture, (0, 0))
    pen = ImageDraw.Draw(sheet)
    bar = (letter, height + round(0.8 * letter), width - letter, height + round(1.6 * letter))
    _bar(sheet, pen, scale, bar, font)
    for i, note in enumerate(notes):
        at = (letter, height + letter * (3.4 + 1.35 * i))
        pen.text(at, note, fill="#7a2e00" if scale.muted else "#444444", font=font)
    return sheet


def _bar(sheet: Image.Image, pen: Any, scale: Scale, box: tuple[int, ...], font: Any) -> None:
    left, top, right, bottom = box
    ramp = colours(scale.anchors, max(2, right - left))[None].repeat(bottom - top, 0)
    sheet.paste(Image.fromarray(np.ascontiguousarray(ramp)), (left, top))
    unit = f" {scale.unit}"
    marks = ticks(scale.low, scale.high, 5 if right - left > 220 else 2)
    ends = 0.0
    for i, mark in enumerate(marks):
        x = left + (mark - scale.low) / (scale.high - scale.low) * (right - left)
        said = short(mark) + (unit if i == len(marks) - 1 else "")
        wide = pen.textlength(said, font=font)
        start = min(max(x - wide / 2, left), right - wide)
        pen.line((x, bottom, x, bottom + font.size * 0.25), fill="#444444")
        if start >= ends:
            pen.text((start, bottom + font.size * 0.3), said, fill="#222222", font=font)
            ends = start + wide + font.size / 2


def wrapped(text: str, font: Any, width: float | int) -> list[str]:
    """A text in lines no wider than `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
