"""Drawn scenes as a corpus, and the truth about every patch of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from legenda.zoo.scenes.render import photograph, render
from legenda.zoo.scenes.words import family
from legenda.zoo.scenes.world import COLOURS, GROUNDS, KINDS, PARTS, TEXTURES, draw

TRAIN, HELD_OUT = 4_000_000, 5_000_000
"""First seeds; neither the model's training scenes nor any that its settings were chosen on."""
SIDE, GRID = 96, 12


@dataclass(frozen=True)
class DrawnScenes:
    """Scenes number `first` to `first + count`: the protocol of `corpus.pictures`."""

    first: int
    count: int

    @property
    def digest(self) -> str:
        """A short identity: scenes are functions of their seeds."""
        return f"scenes-{self.first}-{self.count}"

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return f"scene {self.first + i}"

    def label(self, i: int) -> str | None:
        """The caption."""
        return draw(self.first + i).caption()

    def open(self, i: int) -> Image.Image:
        """Scene i, painted."""
        return Image.fromarray(photograph(draw(self.first + i)))


def factors() -> list[tuple[str, str]]:
    """Everything that a patch can show: (aspect, value), such as (kind, car), (part, wheel)."""
    families = sorted({family(kind) for kind in KINDS})
    return (
        [("kind", k) for k in KINDS]
        + [("colour", c) for c in COLOURS]
        + [("texture", t) for t in TEXTURES if t != "plain"]
        + [("ground", g) for g in GROUNDS]
        + [("family", f) for f in families]
        + [("part", p) for parts in PARTS.values() for p in parts]
    )


def masks(seed: int, wanted: Sequence[tuple[str, str]]) -> Bool[np.ndarray, "f h w"]:
    """Where each factor is visible in scene number `seed`."""
    picture = render(draw(seed), SIDE)
    things, seen = picture.scene.things, picture.seen
    made = np.zeros((len(wanted), SIDE, SIDE), bool)
    for row, (aspect, value) in enumerate(wanted):
        if aspect == "ground":
            if picture.scene.ground == value:
                made[row] = ~seen.any(0)
        elif aspect == "part":
            for (number, part), where in picture.parts.items():
                if part == value:
                    made[row] |= where & seen[number]
        else:
            for thing, where in zip(things, seen, strict=True):
                shown = family(thing.kind) if aspect == "family" else getattr(thing, aspect)
                if shown == value:
                    made[row] |= where
    return made


def cover(
    scenes: DrawnScenes, wanted: Sequence[tuple[str, str]]
) -> Float[Tensor, "b n f"]:  # fmt: skip
    """Which share of each patch shows each factor."""
    side = SIDE // GRID
    rows = []
    for i in range(len(scenes)):
        whole = masks(scenes.first + i, wanted).reshape(len(wanted), GRID, side, GRID, side)
        rows.append(whole.mean((2, 4), dtype=np.float32).reshape(len(wanted), -1).T)
    return torch.from_numpy(np.stack(rows))
