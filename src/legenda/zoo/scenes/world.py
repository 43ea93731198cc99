"""The world of scenes: everything that can be in a picture, and how one is drawn by lot.

A scene holds one to four objects on a ground. An object is a *kind* in a *colour* with a
*texture*, at a size, a place and a tilt; some kinds have *parts*. Kinds form a hierarchy
(a house is a building is a thing), so that is-a and part-of relations are known. Objects
may hide one another; of each at least half stays in sight.

Everything is a pure function of a seed: `draw(seed)` is the same scene for ever.
"""

from dataclasses import dataclass, field

import numpy as np

KINDS: dict[str, tuple[str, str]] = {
    "circle": ("round shape", "shape"),
    "ring": ("round shape", "shape"),
    "triangle": ("angular shape", "shape"),
    "square": ("angular shape", "shape"),
    "star": ("angular shape", "shape"),
    "cross": ("angular shape", "shape"),
    "house": ("building", "thing"),
    "tower": ("building", "thing"),
    "tree": ("plant", "thing"),
    "flower": ("plant", "thing"),
    "car": ("vehicle", "thing"),
    "boat": ("vehicle", "thing"),
}
"""Each kind with what it is, nearest first: the is-a truth of this world."""

PARTS: dict[str, tuple[str, ...]] = {
    "house": ("wall", "roof", "door"),
    "tower": ("shaft", "battlement", "window"),
    "tree": ("crown", "trunk"),
    "flower": ("petal", "heart", "stem"),
    "car": ("body", "pane", "wheel"),
    "boat": ("hull", "sail"),
}
"""The part-of truth: kinds not listed have no parts."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 130, 20),
    "yellow": (240, 212, 40),
    "green": (40, 160, 60),
    "cyan": (50, 200, 215),
    "blue": (40, 75, 205),
    "purple": (130, 50, 165),
    "pink": (245, 130, 185),
}
TEXTURES = ("plain", "striped", "dotted", "checked", "speckled")
SIZES: dict[str, tuple[float, float]] = {
    "small": (0.105, 0.130),
    "medium": (0.150, 0.185),
    "large": (0.215, 0.260),
}
"""Half the height of an object, as a share of the picture."""
GROUNDS: dict[str, tuple[int, int, int]] = {
    "paper": (242, 240, 236),
    "fog": (176, 180, 184),
    "sand": (222, 205, 170),
    "night": (24, 26, 40),
    "stone": (112, 110, 106),
    "meadow": (188, 206, 170),
}
RELATIONS = ("left of", "right of", "above", "below")


@dataclass(frozen=True)
class Thing:
    """One object: what it is, and where (centre and half-height as shares of the picture)."""

    kind: str
    colour: str
    texture: str
    size: str
    x: float
    y: float
    half: float
    tilt: float = 0.0

    def phrase(self, *, colour: bool = True, texture: bool = False, size: bool = False) -> str:
        """`a red house`, with the attributes asked for; a plain texture is not named."""
        words = [
            self.size if size else "",
            self.texture if texture and self.texture != "plain" else "",
            self.colour if colour else "",
            self.kind,
        ]
        return with_article(" ".join(w for w in words if w))


@dataclass(frozen=True)
class Scene:
    """Things from back to front on a ground; `seed` also fixes grain, jitter and speckle."""

    things: tuple[Thing, ...]
    ground: str
    seed: int = 0
    notes: dict[str, str] = field(default_factory=dict, compare=False, hash=False)

    def caption(self) -> str:
        """Every object with colour, texture and kind, from left to right, and the ground."""
        things = sorted(self.things, key=lambda t: t.x)
        return " and ".join(t.phrase(texture=True) for t in things) + f" on {self.ground}"

    def relation(self, first: Thing, second: Thing) -> str:
        """Where `first` lies from `second`, along the axis on which they differ most."""
        dx, dy = first.x - second.x, first.y - second.y
        if abs(dx) >= abs(dy):
            return "left of" if dx < 0 else "right of"
        return "above" if dy < 0 else "below"


def with_article(noun: str) -> str:
    """`a red car`, `an orange car`."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def draw(seed: int, most: int = 4, least: int = 1) -> Scene:
    """Draw a scene by lot: `least` to `most` objects, at least half of each in sight."""
    lot = np.random.default_rng((seed, 1))
    count = int(lot.integers(least, most + 1))
    things: list[Thing] = []
    for _ in range(60):
        if len(things) == count:
            break
        thing = _thing(lot)
        if all(_apart(thing, other) for other in things):
            things.append(thing)
    ground = str(lot.choice(list(GROUNDS)))
    return Scene(tuple(things), ground, seed)


def _thing(lot: np.random.Generator) -> Thing:
    size = str(lot.choice(list(SIZES)))
    half = float(lot.uniform(*SIZES[size]))
    x, y = (float(lot.uniform(half, 1 - half)) for _ in range(2))
    return Thing(
        kind=str(lot.choice(list(KINDS))),
        colour=str(lot.choice(list(COLOURS))),
        texture=str(lot.choice(TEXTURES)),
        size=size,
        x=x,
        y=y,
        half=half,
        tilt=float(lot.uniform(-0.3, 0.3)),
    )


def _apart(one: Thing, other: Thing) -> bool:
    """Far enough apart that the one in front hides at most about a third of the other."""
    gap = max(abs(one.x - other.x), abs(one.y - other.y))
    return gap > 0.62 * (one.half + other.half)
