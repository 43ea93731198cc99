"""Drawn scenes with a sentence each, and the concepts that the sentence names: a planted truth.

A scene holds several things; the sentence says colour and kind of one, and fits no other. True of
what it names are the colour, the kind, and what the kind is (a house is a building).
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from PIL import Image

from legenda.tasks.atlas_concept_pictures import Shown
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.words import family, holds, say
from legenda.zoo.scenes.world import Scene, Thing, draw

FIRST, THINGS = 6_000_000, 3
"""The first seed; no other scene of the zoo has such."""


class Told(NamedTuple):
    """A scene, what is said of it, and which words are true of what that names."""

    shown: Shown
    sentence: str
    true: tuple[str, ...]


def told_scenes(
    count: int, known: Collection[str] = (), first: int = FIRST, things: int = THINGS
) -> list[Told]:
    """Scenes whose sentence names something that a concept is called by; `known` names concepts."""
    found: list[Told] = []
    seed = first
    while len(found) < count:
        scene = draw(seed, things, things)
        seed += 1
        which = named_in(scene)
        if which is None or len(scene.things) < things:
            continue
        true = (which.colour, which.kind, *family(which.kind).split())
        if not known or set(true) & set(known):
            sentence = say({"colour": which.colour, "kind": which.kind})
            shown = Shown(
                Image.fromarray(photograph(scene)), f"scene {scene.seed}", scene.caption()
            )
            found.append(Told(shown, sentence, true))
    return found


def named_in(scene: Scene) -> Thing | None:
    """A thing by lot, if colour and kind fit no other."""
    which = scene.things[int(np.random.default_rng((scene.seed, 6)).integers(len(scene.things)))]
    claim = {"colour": which.colour, "kind": which.kind}
    return which if sum(holds(claim, thing) for thing in scene.things) == 1 else None
