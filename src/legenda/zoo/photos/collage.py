"""Collages of cut-outs with known masks: where each thing is, nobody has to guess.

Only Tux Paint stamps of held-out families are used, so the heads have seen none of them, nor a near
relative. Each collage is a function of its seed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from legenda.errors import Missing

from .fetch import home
from .picture import SIZE, background, fitted, opened
from .towers import HELD_OUT

SOLID = 0.5
"""A place belongs to a stamp where its opacity is above this."""
TRIES = 60
FREE = 0.02
LONGEST_NAME = 4


@dataclass(frozen=True)
class Stamp:
    """A cut-out, its caption, and its short name: the caption without article."""

    caption: str
    name: str
    picture: Image.Image


@dataclass(frozen=True)
class Placed:
    """A stamp in a collage: what it shows, and where it is visible, `h w`."""

    caption: str
    name: str
    mask: np.ndarray


def stamps(cache: Path | None = None, part: str = "test") -> list[Stamp]:
    """The held-out Tux Paint stamps with empty parts in their frame, and a caption that names them.

    Of a caption only the first sentence is kept, and stamps that need more than four words are left
    out, as `Remember to flush the toilet …`; no name comes twice. `part` is `test`, or `validation`
    for choosing settings.
    """
    folder = home(cache) / "pairs"
    if not (folder / "tuxpaint").is_dir():
        raise Missing(
            f"Collages need the Tux Paint stamps, which are not in {folder}. Run "
            "`legenda zoo train photos` once, or call fetch_pairs(); it needs apt-get."
        )
    entries = json.loads(HELD_OUT.read_text("utf-8"))[part]
    chosen = [entry for entry in entries if entry["picture"].startswith("tuxpaint/")]
    made = [_stamp(entry["title"], folder / entry["picture"]) for entry in chosen]
    named = {stamp.name: stamp for stamp in made if len(stamp.name.split()) <= LONGEST_NAME}
    return [stamp for stamp in named.values() if 0.15 < _cover(stamp.picture) < 0.95]


def collage(
    seed: int | Sequence[int], stamps: Sequence[Stamp], n: int | None = None, size: int = SIZE
) -> tuple[np.ndarray, list[Placed]]:
    """A picture `h w 3` of uint8 with `n` different stamps, by default two to four by chance.

    Stamps hide as little of each other as chance places allow; a mask holds what stays visible.

    Examples
    --------
    >>> red = Stamp("A red square", "red square", Image.new("RGBA", (9, 9), (255, 0, 0, 255)))
    >>> picture, placed = collage(0, [red], n=1, size=64)
    >>> picture.shape, placed[0].name, bool(placed[0].mask.any())
    ((64, 64, 3), 'red square', True)
    """
    draw = np.random.default_rng(seed)
    wanted = min(n or int(draw.integers(2, 5)), len(stamps))
    canvas = background(draw, size)
    placed: list[Placed] = []
    for index in draw.permutation(len(stamps))[:wanted]:
        stamp = stamps[index]
        empty = np.zeros((size, size), bool)
        place = _room(stamp.picture, [empty, *(p.mask for p in placed)], wanted**-0.5, draw)
        canvas.paste(place.inner, place.corner, place.inner)
        placed = [Placed(p.caption, p.name, p.mask & ~place.mask) for p in placed]
        placed.append(Placed(stamp.caption, stamp.name, place.mask))
    return np.asarray(canvas), placed


@dataclass(frozen=True)
class _Place:
    """A way to put a stamp down: how large, where, what it would cover, and how much is taken."""

    inner: Image.Image
    corner: tuple[int, int]
    mask: np.ndarray
    overlap: float


def _room(
    picture: Image.Image, masks: Sequence[np.ndarray], share: float, draw: np.random.Generator
) -> _Place:
    """Try chance places, ever smaller, until one is free; failing that, take the freest."""
    taken = np.logical_or.reduce(masks)
    tried: list[_Place] = []
    for attempt in range(TRIES):
        tried.append(_try(picture, taken, share * 0.97**attempt, draw))
        if tried[-1].overlap <= FREE:
            break
    return min(tried, key=lambda place: place.overlap)


def _try(
    picture: Image.Image, taken: np.ndarray, share: float, draw: np.random.Generator
) -> _Place:
    size = len(taken)
    side = size * share * draw.uniform(0.75, 1.0)
    inner = fitted(picture, side, side)
    left, top = (int(draw.integers(0, size - length + 1)) for length in inner.size)
    mask = _mask(inner, (left, top), size)
    return _Place(inner, (left, top), mask, float((mask & taken).sum() / max(1, mask.sum())))


def _mask(inner: Image.Image, corner: tuple[int, int], size: int) -> np.ndarray:
    opacity = Image.new("L", (size, size))
    opacity.paste(inner.getchannel("A"), corner)
    return np.asarray(opacity) > SOLID * 255


def _stamp(title: str, path: Path) -> Stamp:
    caption = re.split(r"[.!:;—]", title.strip())[0].strip("“” ")
    words = caption.lower().split()
    name = " ".join(words[1:] if words[:1] in (["a"], ["an"], ["the"], ["some"]) else words)
    return Stamp(caption, name, opened(path))


def _cover(picture: Image.Image) -> float:
    """The share of the frame that is solid."""
    return float((np.asarray(picture.getchannel("A")) > SOLID * 255).mean())
