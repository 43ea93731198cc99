"""Cases drawn from the scenes world: who is named, where it is, and how a word could differ."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from benchmarks.truths.contest import Cases
from legenda.models.dual import Dual
from legenda.zoo.scenes import Picture, Scene, draw, render
from legenda.zoo.scenes.words import holds, say
from legenda.zoo.scenes.world import COLOURS, KINDS, TEXTURES


def naming_cases(dual: Dual, first_seed: int, count: int, objects: int = 3) -> Cases:
    """Pictures of `objects` things; the phrase is `a COLOUR KIND` and fits one of them only."""
    pictures, texts, named = [], [], []
    for picture, which in _unambiguous(first_seed, count, objects):
        thing = picture.scene.things[which]
        pictures.append(picture)
        texts.append(say({"colour": thing.colour, "kind": thing.kind}))
        named.append(which)
    return Cases(
        dual,
        dual.pixels([Image.fromarray(p.image) for p in pictures]),
        texts,
        torch.from_numpy(np.stack([p.seen for p in pictures])),
        torch.tensor(named),
    )


def _unambiguous(first_seed: int, count: int, objects: int) -> Iterator[tuple[Picture, int]]:
    seed = first_seed
    while count:
        scene = draw(seed, objects, objects)
        seed += 1
        which = int(np.random.default_rng((scene.seed, 6)).integers(len(scene.things)))
        claim = {"colour": scene.things[which].colour, "kind": scene.things[which].kind}
        if len(scene.things) == objects and sum(holds(claim, t) for t in scene.things) == 1:
            count -= 1
            yield render(scene), which


@dataclass(frozen=True)
class WordCase:
    """A caption true of one picture, its foil true of another; they differ in one word."""

    scene: Scene
    other: Scene
    caption: str
    word: str
    attribute: str

    @property
    def foil(self) -> str:
        """The caption with the other word."""
        return self.other.caption()


def word_cases(first_seed: int, count: int) -> list[WordCase]:
    """Scenes of one to three things, one attribute of one of them changed."""
    found: list[WordCase] = []
    seed = first_seed
    while len(found) < count:
        scene = draw(seed, 3)
        seed += 1
        lot = np.random.default_rng((scene.seed, 7))
        which = int(lot.integers(len(scene.things)))
        attribute = ("colour", "kind", "texture")[len(found) % 3]
        options = {"colour": COLOURS, "kind": KINDS, "texture": TEXTURES[1:]}[attribute]
        thing = scene.things[which]
        old = getattr(thing, attribute)
        others = [o for o in options if o != old and "orange" not in (o, old)]
        if old not in options or not others:
            continue
        changed = replace(thing, **{attribute: str(lot.choice(others))})
        things = tuple(changed if i == which else t for i, t in enumerate(scene.things))
        caption = scene.caption()
        if caption.split().count(old) == 1:
            found.append(WordCase(scene, replace(scene, things=things), caption, old, attribute))
    return found
