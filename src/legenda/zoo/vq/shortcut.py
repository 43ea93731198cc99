"""A world with a planted shortcut: houses are mostly red and towers mostly blue.

A model that is to tell houses from towers can then look at the colour alone. In the training
part of the tied world a share of the things wear the colour of their kind, the others any of the
other colours; in the balanced world, and in everything that is measured on, colour says nothing
about kind.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from legenda.zoo.scenes.world import COLOURS, Scene, draw
from legenda.zoo.vq.close_up import close_up

KINDS = ("house", "tower")
TIED = {"house": "red", "tower": "blue"}
SHARE = 0.95


@dataclass(frozen=True)
class Planted:
    """Close-ups, the number of their kind in `KINDS`, their colours, and where the thing is."""

    images: UInt8[np.ndarray, "b h w 3"]
    labels: Int[Tensor, " b"]
    colours: tuple[str, ...]
    seen: Bool[np.ndarray, "b h w"]


def planted(first: int, count: int, tied: float = 1 / len(COLOURS)) -> Planted:
    """Close-ups from seed `first` on; `tied` of them wear the colour of their kind.

    At one in eight, the default, all colours are equally common in both kinds.
    """
    scenes = [scene_of(first + i, tied) for i in range(count)]
    made = [close_up(first + i, scene) for i, scene in enumerate(scenes)]
    return Planted(
        np.stack([m.image for m in made]),
        torch.tensor([KINDS.index(m.thing.kind) for m in made]),
        tuple(m.thing.colour for m in made),
        np.stack([m.seen for m in made]),
    )


def scene_of(seed: int, tied: float) -> Scene:
    """A scene of one thing, a house or a tower, in the colour of its kind by a chance of `tied`."""
    scene, lot = draw(seed, 1), np.random.default_rng((seed, 13))
    kind = KINDS[int(lot.integers(2))]
    others = [colour for colour in COLOURS if colour != TIED[kind]]
    colour = TIED[kind] if lot.random() < tied else str(lot.choice(others))
    return replace(scene, things=(replace(scene.things[0], kind=kind, colour=colour),))
