"""Scenes of one thing, with their factors: kind, colour, texture, size, x, y and ground."""

from dataclasses import dataclass, field

import numpy as np
import torch

from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.world import COLOURS, GROUNDS, KINDS, Scene, draw
from legenda.zoo.sprites.world import Drawn, World, drawn

LEVELS = 8
"""Sizes and places are cut into so many levels of equal width."""
APART = 10_000_000
"""Seeds of scenes begin here, times the seed of the world."""


@dataclass(frozen=True)
class SceneWorld:
    """The factors of a scene of one thing, and what each is called when it is measured."""

    name: str = "scenes"
    channels: int = 3
    factors: tuple[str, ...] = ("kind", "colour", "texture", "size", "x", "y", "background")
    attributes: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "kind": ("roundness", "convexity", "aspect", "elongation", "symmetry", "balance", "holes", "count"),  # noqa: E501
            "colour": ("hue", "warmth", "saturation", "object_brightness"),
            "texture": ("texture",),
            "size": ("size", "stroke"),
            "x": ("x",),
            "y": ("y",),
            "background": ("background", "background_warmth", "brightness", "contrast"),
        }
    )  # fmt: skip


@dataclass(frozen=True)
class DrawnScenes:
    """Pictures of scenes with the truth about them, as `Drawn` holds sprites."""

    factors: np.ndarray = field(repr=False)
    pictures: torch.Tensor = field(repr=False)

    def pixels(self) -> torch.Tensor:
        """Colours from 0 to 1."""
        return self.pictures.float() / 255


def seen(world: World | SceneWorld, count: int, seed: int, side: int) -> Drawn | DrawnScenes:
    """Pictures of a world, by lot."""
    if isinstance(world, World):
        return drawn(world, count, seed, side)
    scenes = [draw(APART * seed + i, 1) for i in range(count)]
    pictures = torch.stack([torch.from_numpy(photograph(scene, side)) for scene in scenes])
    return DrawnScenes(levels(scenes), pictures.permute(0, 3, 1, 2).contiguous())


def levels(scenes: list[Scene]) -> np.ndarray:
    """The level of every factor; a ground by its brightness, so that it can grow."""
    grounds = sorted(GROUNDS, key=lambda g: sum(GROUNDS[g]))
    textures = sorted({scene.things[0].texture for scene in scenes})
    one = [scene.things[0] for scene in scenes]
    columns = [
        [list(KINDS).index(t.kind) for t in one],
        [list(COLOURS).index(t.colour) for t in one],
        [textures.index(t.texture) for t in one],
        cut([t.half for t in one]), cut([t.x for t in one]), cut([t.y for t in one]),
        [grounds.index(scene.ground) for scene in scenes],
    ]  # fmt: skip
    return np.stack([np.asarray(column, np.int64) for column in columns], 1)


def cut(values: list[float]) -> list[int]:
    """Levels of equal width."""
    found = np.asarray(values)
    low, high = found.min(), found.max() + 1e-9
    return ((found - low) / (high - low) * LEVELS).astype(int).tolist()
