"""Close-ups of scenes: a window of 32 pixels on one thing, with the truth about it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from legenda.zoo.scenes.render import photograph, render
from legenda.zoo.scenes.world import Scene, Thing, draw

SIDE = 32
JITTER = 5.0
"""The thing lies in the middle, give or take so many pixels."""


@dataclass(frozen=True)
class CloseUp:
    """The window, the thing that it is about, and where that is seen in it."""

    thing: Thing
    image: UInt8[np.ndarray, "h w 3"]
    seen: Bool[np.ndarray, "h w"]


def close_up(seed: int, scene: Scene | None = None) -> CloseUp:
    """Window number `seed`, with its mask; on a scene of one to three things."""
    scene, which, box = _framed(seed, scene)
    picture = render(scene, 2 * SIDE)
    return CloseUp(scene.things[which], picture.image[box], picture.seen[which][box])


def picture_of(seed: int, scene: Scene | None = None) -> tuple[Thing, UInt8[np.ndarray, "h w 3"]]:
    """The thing and its window without a mask, which training needs: faster than `close_up`."""
    scene, which, box = _framed(seed, scene)
    return scene.things[which], photograph(scene, 2 * SIDE)[box]


def _framed(seed: int, scene: Scene | None) -> tuple[Scene, int, tuple[slice, slice]]:
    """The scene, which of its things is looked at, and the window."""
    scene = scene or draw(seed, 3)
    lot = np.random.default_rng((seed, 11))
    which = int(lot.integers(len(scene.things)))
    thing = scene.things[which]
    centre = np.array([thing.y, thing.x]) * 2 * SIDE + lot.uniform(-JITTER, JITTER, 2)
    top, left = np.clip(np.round(centre - SIDE / 2), 0, SIDE).astype(int)
    return scene, which, (slice(top, top + SIDE), slice(left, left + SIDE))
