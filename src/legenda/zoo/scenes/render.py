"""Scenes as pixels: an image, the mask of every object, and the masks of its parts.

Each kind is a handful of inequalities over local coordinates (u to the right, v down,
both in [-1, 1]); pictures are drawn at twice the size and averaged down.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from legenda.zoo.scenes.world import COLOURS, GROUNDS, Scene, Thing

Plane = np.ndarray
Box = tuple[slice, slice]
Piece = tuple[str, Plane, str]  # part, where, paint: "main", "dark" or a colour by name
Stroke = tuple[int, str, Box, Plane]  # object, part, box of canvas, where in it

PAINTS = {
    "bark": (92, 62, 40),
    "ink": (30, 30, 34),
    "cream": (250, 246, 228),
    "leaf": (60, 110, 50),
}
GRAIN = {"stone": 12.0, "meadow": 8.0, "sand": 5.0}
OVERSAMPLING = 2


@dataclass(frozen=True)
class Picture:
    """A rendered scene. `seen` masks are what is visible, `whole` what there would be."""

    scene: Scene
    image: UInt8[np.ndarray, "h w 3"]
    seen: Bool[np.ndarray, "o h w"]
    whole: Bool[np.ndarray, "o h w"]
    parts: dict[tuple[int, str], Bool[np.ndarray, "h w"]]


def render(scene: Scene, side: int = 96) -> Picture:
    """Paint a scene, back to front, `side` pixels square, and keep the truth about it."""
    image, masks = _paint(scene, side)
    owner = np.full((side * OVERSAMPLING,) * 2, -1)
    part_of: dict[tuple[int, str], Plane] = {}
    wholes = [np.zeros(owner.shape, bool) for _ in scene.things]
    for number, part, box, where in masks:
        for mask in part_of.values():
            mask[box] &= ~where
        part_of.setdefault((number, part), np.zeros(owner.shape, bool))[box] |= where
        owner[box][where] = number
        wholes[number][box] |= where
    return Picture(
        scene,
        image,
        _seen(owner, len(scene.things)),
        np.stack([_majority(whole) for whole in wholes]),
        {key: _majority(mask) for key, mask in part_of.items()},
    )


def photograph(scene: Scene, side: int = 96) -> UInt8[np.ndarray, "h w 3"]:
    """The image alone, which is all that training needs: faster than `render`."""
    return _paint(scene, side)[0]


def _paint(scene: Scene, side: int) -> tuple[np.ndarray, list[Stroke]]:
    lot = np.random.default_rng((scene.seed, 2))
    canvas = _ground(scene.ground, side, lot).repeat(OVERSAMPLING, 0).repeat(OVERSAMPLING, 1)
    strokes: list[Stroke] = []
    for number, thing in enumerate(scene.things):
        box, u, v = _local(thing, len(canvas))
        main = _textured(thing, u, v, lot)
        for part, where, paint in SHAPES[thing.kind](u, v):
            tone = _tone(paint, main)
            canvas[box][where] = tone[where] if tone.ndim == 3 else tone
            strokes.append((number, part, box, where))
    image = _down(canvas)
    image += lot.standard_normal(image.shape, np.float32) * 3
    return image.clip(0, 255).astype(np.uint8), strokes


def _down(x: Plane) -> Plane:
    """Average squares of two by two."""
    rows = x[0::2] + x[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) / 4


def _seen(owner: Plane, count: int) -> Plane:
    """What is visible of each object; where two halve a pixel it shows the nearer one."""
    shares = np.stack([_down((owner == i).astype(np.float32)) for i in range(count)])
    nearest = count - 1 - shares[::-1].argmax(0)
    return (shares >= 0.5) & (nearest == np.arange(count)[:, None, None])


def _majority(mask: Plane) -> Plane:
    return _down(mask.astype(np.float32)) >= 0.5


def _ground(name: str, side: int, lot: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    """A ground with a slope of light and a coarse grain."""
    tone = np.array(GROUNDS[name], np.float32) + lot.normal(0, 4, 3).astype(np.float32)
    slope = np.linspace(-1, 1, side, dtype=np.float32)
    light = lot.normal(0, 7) * slope[:, None] + lot.normal(0, 7) * slope[None]
    cells = lot.normal(0, GRAIN.get(name, 2.0), (24, 24)).astype(np.float32)
    times = -(-side // 24)
    grain = cells.repeat(times, 0).repeat(times, 1)[:side, :side]
    return tone + (light.astype(np.float32) + grain)[:, :, None]


def _local(thing: Thing, large: int) -> tuple[Box, Plane, Plane]:
    """The box of canvas around a thing, and its tilted coordinates there."""
    reach = thing.half * 1.35
    low = [max(0, int((c - reach) * large)) for c in (thing.y, thing.x)]
    high = [min(large, int((c + reach) * large) + 1) for c in (thing.y, thing.x)]
    y, x = (np.arange(a, b, dtype=np.float32) for a, b in zip(low, high, strict=True))
    dy = (((y + 0.5) / large - thing.y) / thing.half)[:, None]
    dx = (((x + 0.5) / large - thing.x) / thing.half)[None]
    cos, sin = np.float32(np.cos(thing.tilt)), np.float32(np.sin(thing.tilt))
    box = slice(low[0], high[0]), slice(low[1], high[1])
    return box, cos * dx + sin * dy, cos * dy - sin * dx


def _textured(thing: Thing, u: Plane, v: Plane, lot: np.random.Generator) -> Plane:
    """The thing's colour under its texture, over its box."""
    colour = (np.array(COLOURS[thing.colour]) + lot.normal(0, 9, 3)).astype(np.float32)
    light, dark = 0.35 * colour + 0.65 * 255, 0.42 * colour
    period = 0.066 / thing.half  # textures keep their grain whatever the size of the thing
    mark = TEXTURE[thing.texture](u / period, v / period, lot)
    second = light if thing.texture in {"striped", "dotted"} else dark
    return np.where(mark[:, :, None], second, colour)


def _tone(paint: str, main: Plane) -> Plane:
    if paint == "main":
        return main
    return 0.55 * main if paint == "dark" else np.array(PAINTS[paint], np.float32)


TEXTURE: dict[str, Callable[[Plane, Plane, np.random.Generator], Plane]] = {
    "plain": lambda p, _q, _lot: np.zeros(p.shape, bool),
    "striped": lambda p, q, _lot: ((p + q) * 0.71) % 1 < 0.42,
    "dotted": lambda p, q, _lot: (p % 1 - 0.5) ** 2 + (q % 1 - 0.5) ** 2 < 0.085,
    "checked": lambda p, q, _lot: (np.floor(p) + np.floor(q)) % 2 == 0,
    "speckled": lambda p, _q, lot: lot.random(p.shape, np.float32) < 0.28,
}


def _circle(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "disc", u**2 + v**2 < 0.86, "main"


def _ring(u: Plane, v: Plane) -> Iterator[Piece]:
    r = u**2 + v**2
    yield "band", (r < 0.90) & (r > 0.26), "main"


def _triangle(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "face", (v < 0.75) & (v > -0.95 + 1.75 * np.abs(u)), "main"


def _square(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "face", np.maximum(np.abs(u), np.abs(v)) < 0.80, "main"


def _star(u: Plane, v: Plane) -> Iterator[Piece]:
    angle, r = np.arctan2(u, -v), np.hypot(u, v)
    turn = np.abs((angle / (2 * np.pi / 5)) % 1 - 0.5) * 2  # 1 at a tip, 0 between two
    yield "face", r < 0.40 + 0.62 * turn**1.3, "main"


def _cross(u: Plane, v: Plane) -> Iterator[Piece]:
    a, b = np.abs(u), np.abs(v)
    yield "face", ((a < 0.30) & (b < 0.95)) | ((b < 0.30) & (a < 0.95)), "main"


def _house(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "wall", (np.abs(u) < 0.68) & (v > -0.12) & (v < 0.90), "main"
    yield "roof", (v < -0.08) & (v > -0.95 + 0.98 * np.abs(u)), "dark"
    yield "door", (np.abs(u) < 0.19) & (v > 0.34) & (v < 0.90), "cream"


def _tower(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "shaft", (np.abs(u) < 0.40) & (v > -0.62) & (v < 0.97), "main"
    teeth = (np.abs(u) < 0.52) & (v > -0.97) & (v < -0.50)
    yield "battlement", teeth & ((v > -0.70) | (np.abs(np.abs(u) - 0.26) > 0.13)), "dark"
    yield "window", (np.abs(u) < 0.13) & (np.abs(v + 0.12) < 0.20), "ink"


def _tree(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "trunk", (np.abs(u) < 0.15) & (v > 0.1) & (v < 0.98), "bark"
    crown = u**2 / 0.62 + (v + 0.32) ** 2 / 0.42 < 1
    yield "crown", crown, "main"


def _flower(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "stem", (np.abs(u) < 0.08) & (v > 0.0) & (v < 0.98), "leaf"
    angle, r = np.arctan2(u, -(v + 0.30)), np.hypot(u, v + 0.30)
    yield "petal", r < 0.40 + 0.27 * np.cos(5 * angle), "main"
    yield "heart", r < 0.19, "cream"


def _car(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "body", (np.abs(u) < 0.98) & (v > -0.05) & (v < 0.45), "main"
    cabin = (v > -0.55) & (v <= -0.05) & (np.abs(u + 0.05) < 0.52 + 0.25 * (v + 0.05))
    yield "body", cabin, "main"
    yield "pane", (v > -0.44) & (v < -0.12) & (np.abs(np.abs(u + 0.05) - 0.22) < 0.14), "cream"
    wheels = (np.abs(u) - 0.55) ** 2 + (v - 0.45) ** 2 < 0.068
    yield "wheel", wheels, "ink"


def _boat(u: Plane, v: Plane) -> Iterator[Piece]:
    yield "hull", (v > 0.32) & (v < 0.85) & (np.abs(u) < 1.10 - 0.62 * v), "main"
    yield "sail", (v < 0.24) & (u > -0.08) & (v > -0.95 + 1.35 * (u + 0.08)), "cream"
    yield "hull", (np.abs(u + 0.14) < 0.06) & (v > -0.97) & (v < 0.34), "main"


SHAPES: dict[str, Callable[[Plane, Plane], Iterator[Piece]]] = {
    "circle": _circle,
    "ring": _ring,
    "triangle": _triangle,
    "square": _square,
    "star": _star,
    "cross": _cross,
    "house": _house,
    "tower": _tower,
    "tree": _tree,
    "flower": _flower,
    "car": _car,
    "boat": _boat,
}
