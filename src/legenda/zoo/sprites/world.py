"""Sprites: one shape on a plain ground, drawn from factors that are all known.

Two worlds. *grey* has the factors of dSprites: shape, size, orientation, x and y, white on black.
*colour* adds the hue of the shape and the brightness of the ground. A picture is a pure function
of its factors, and the factors of picture i are a pure function of the seed.

References
----------
Matthey, Higgins, Hassabis, Lerchner. dSprites: disentanglement testing sprites dataset. 2017.
The factors of the grey world and their numbers of levels; the shapes here are our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from legenda.errors import BadInput, near

Factors = Int[np.ndarray, "b f"]

SHAPES = ("square", "ellipse", "heart")
FINER = 3
"""Pictures are drawn so many times finer, and averaged down."""


@dataclass(frozen=True)
class World:
    """What can vary, in how many levels, and what each level means.

    Parameters
    ----------
    name: grey or colour.
    levels: values of each factor, in order.
    channels: 1 or 3.
    attributes: what each factor is called in `core.attribute`; empty where no one name fits.
    """

    name: str
    levels: dict[str, tuple[float, ...]] = field(repr=False)
    channels: int
    attributes: dict[str, tuple[str, ...]] = field(repr=False)

    @property
    def factors(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.levels)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many levels each has."""
        return tuple(len(v) for v in self.levels.values())

    def sample(self, count: int, seed: int = 0) -> Factors:
        """Levels drawn independently and evenly."""
        lot = np.random.default_rng(seed)
        return np.stack([lot.integers(0, n, count) for n in self.counts], 1)

    def values(self, factors: Factors) -> Float[np.ndarray, "b f"]:
        """What the levels mean."""
        columns = [np.asarray(v)[factors[:, i]] for i, v in enumerate(self.levels.values())]
        return np.stack(columns, 1)

    def draw(self, factors: Factors, side: int = 64) -> UInt8[Tensor, "b c h w"]:
        """Pictures of these levels, in bytes."""
        parts = [self._drawn(part, side) for part in np.array_split(factors, -(-len(factors) // 256) or 1)]  # fmt: skip # noqa: E501
        return torch.cat(parts)

    def _drawn(self, factors: Factors, side: int) -> UInt8[Tensor, "b c h w"]:
        named = dict(zip(self.factors, torch.from_numpy(self.values(factors)).float().T, strict=True))  # fmt: skip # noqa: E501
        cover = covered(named, side)[:, None]
        if self.channels == 1:
            return (cover * 255).round().byte()
        ground = named["background"][:, None, None, None]
        paint = hue_to_rgb(named["hue"])[:, :, None, None]
        return ((cover * paint + (1 - cover) * ground) * 255).round().byte()


def covered(named: dict[str, Tensor], side: int) -> Float[Tensor, "b h w"]:
    """How much of each pixel the shape covers."""
    fine = side * FINER
    axis = (torch.arange(fine) + 0.5) / fine * 2 - 1
    u = axis[None, None, :] - named["x"][:, None, None]
    v = axis[None, :, None] - named["y"][:, None, None]
    turn, size = named["orientation"][:, None, None], named["size"][:, None, None]
    right = (u * turn.cos() + v * turn.sin()) / size
    down = (-u * turn.sin() + v * turn.cos()) / size
    kinds = torch.stack([square(right, down), ellipse(right, down), heart(right, down)])
    chosen = kinds[named["shape"].long(), torch.arange(len(kinds[0]))].float()
    return torch.nn.functional.avg_pool2d(chosen[:, None], FINER)[:, 0]


def square(right: Tensor, down: Tensor) -> Tensor:
    """Where a square of half side 0.72 lies."""
    return torch.maximum(right.abs(), down.abs()) < 0.72


def ellipse(right: Tensor, down: Tensor) -> Tensor:
    """An ellipse, twice as tall as it is wide."""
    return (right / 0.5).pow(2) + down.pow(2) < 1


def heart(right: Tensor, down: Tensor) -> Tensor:
    """A heart, its point below."""
    x, y = right * 1.25, -down * 1.25 + 0.1
    return (x.pow(2) + y.pow(2) - 1).pow(3) < x.pow(2) * y.pow(3)


def hue_to_rgb(hue: Float[Tensor, " b"]) -> Float[Tensor, "b 3"]:
    """Fully saturated colours; hue in turns."""
    shifts = torch.tensor([0.0, 2 / 3, 1 / 3])
    return (((hue[:, None] + shifts) % 1 * 6 - 3).abs() - 1).clamp(0, 1)


def _steps(low: float, high: float, count: int, end: bool = True) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, count, endpoint=end).tolist())


GREY = World(
    "grey",
    {
        "shape": (0.0, 1.0, 2.0),
        "size": _steps(0.16, 0.32, 6),
        "orientation": _steps(0.0, 2 * np.pi, 40, end=False),
        "x": _steps(-0.5, 0.5, 32),
        "y": _steps(-0.5, 0.5, 32),
    },
    1,
    {
        "shape": ("roundness", "convexity", "aspect", "elongation", "symmetry", "balance"),
        "size": ("size",),
        "orientation": ("orientation", "slant", "aspect"),
        "x": ("x",),
        "y": ("y",),
    },
)
COLOUR = World(
    "colour",
    {
        "shape": (0.0, 1.0, 2.0),
        "size": _steps(0.24, 0.46, 8),
        "orientation": _steps(0.0, np.pi / 2, 16, end=False),
        "x": _steps(-0.45, 0.45, 24),
        "y": _steps(-0.45, 0.45, 24),
        "hue": _steps(0.0, 2 / 3, 12),
        "background": _steps(0.0, 0.75, 8),
    },
    3,
    {
        **GREY.attributes,
        "hue": ("hue", "warmth"),
        "background": ("background", "brightness", "contrast"),
    },
)
WORLDS = {world.name: world for world in (GREY, COLOUR)}


def world_of(name: str) -> World:
    """A world by name."""
    if name not in WORLDS:
        raise BadInput(
            f"there is no world of sprites {name!r}.{near(name, WORLDS)} "
            f"Known: {', '.join(WORLDS)}."
        )
    return WORLDS[name]


@dataclass(frozen=True)
class Drawn:
    """Pictures with the truth about them.

    Parameters
    ----------
    world: what they show.
    factors: level of each factor in each picture.
    pictures: bytes.
    """

    world: World
    factors: Factors = field(repr=False)
    pictures: UInt8[Tensor, "b c h w"] = field(repr=False)

    def pixels(
        self, rows: Sequence[int] | Tensor | slice = slice(None)
    ) -> Float[Tensor, "b c h w"]:
        """Some of them, as colours from 0 to 1."""
        return self.pictures[rows].float() / 255


def drawn(world: World, count: int, seed: int = 0, side: int = 64) -> Drawn:
    """Pictures by lot."""
    factors = world.sample(count, seed)
    return Drawn(world, factors, world.draw(factors, side))
