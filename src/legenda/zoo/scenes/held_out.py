"""What `zoo:scenes` knows of scenes it has never seen.

Retrieval: among 256 pictures and their captions, which caption fits this picture best?
Distractors: a phrase about one thing, against every phrase that differs in one attribute
and is false of the whole picture; right only if the true phrase beats them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from legenda.core.interval import Interval, wilson
from legenda.models.dual import Dual
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.words import Claim, holds, say
from legenda.zoo.scenes.world import COLOURS, KINDS, TEXTURES, Scene, draw

WAYS = 256


@dataclass(frozen=True)
class Share:
    """A share of successes, with Wilson's interval and the share of pure chance."""

    name: str
    right: int
    n: int
    chance: float

    @property
    def value(self) -> float:
        return self.right / self.n

    @property
    def interval(self) -> Interval:
        return wilson(self.right, self.n)


def held_out(dual: Dual, first_seed: int, groups: int = 4) -> list[Share]:
    """All figures, over `groups` × 256 scenes from `first_seed` on."""
    scenes = list(distinct(first_seed, groups * WAYS))
    pictures = [Image.fromarray(photograph(s)) for s in scenes]
    images = torch.cat(
        [dual.embed_images(dual.pixels(pictures[i : i + 64])) for i in range(0, len(scenes), 64)]
    )
    texts = dual.embed_text([s.caption() for s in scenes])
    found = retrieval(images, texts)
    return found + [distractors(dual, images, scenes, a) for a in ("colour", "kind", "texture")]


def distinct(first_seed: int, count: int) -> Iterator[Scene]:
    """Scenes with captions all different, drawn in order from a seed."""
    seen: set[str] = set()
    seed = first_seed
    while len(seen) < count:
        scene = draw(seed)
        seed += 1
        if scene.caption() not in seen:
            seen.add(scene.caption())
            yield scene


def retrieval(images: torch.Tensor, texts: torch.Tensor) -> list[Share]:
    """R@1, R@5 both ways within groups of 256; a tie with another counts against."""
    ranks: dict[str, list[torch.Tensor]] = {"image to text": [], "text to image": []}
    for x, t in zip(images.split(WAYS), texts.split(WAYS), strict=True):
        cosine = x @ t.mT
        own = cosine.diagonal()
        ranks["image to text"].append((cosine >= own[:, None]).sum(1))
        ranks["text to image"].append((cosine >= own[None]).sum(0))
    return [
        Share(f"R@{k} {way}", int((torch.cat(r) <= k).sum()), len(images), k / WAYS)
        for way, r in ranks.items()
        for k in (1, 5)
    ]


def distractors(dual: Dual, images: torch.Tensor, scenes: list[Scene], attribute: str) -> Share:
    """One true phrase per scene against all phrases false of it that differ in `attribute`."""
    right = total = 0
    ways: list[int] = []
    phrases: dict[str, int] = {}
    cases: list[tuple[int, list[int]]] = []
    for i, scene in enumerate(scenes):
        claims = one_attribute(scene, attribute)
        if len(claims) > 1:
            cases.append((i, [phrases.setdefault(say(c), len(phrases)) for c in claims]))
            ways.append(len(claims))
    embedded = dual.embed_text(list(phrases))
    for i, ids in cases:
        cosine = embedded[ids] @ images[i]
        right += int(cosine[0] > cosine[1:].max())
        total += 1
    return Share(
        f"{attribute} against all others", right, total, float(np.mean(1 / np.array(ways)))
    )


def one_attribute(scene: Scene, attribute: str) -> list[Claim]:
    """A true claim of one thing (drawn by lot), then its false neighbours in `attribute`."""
    lot = np.random.default_rng((scene.seed, 5))
    thing = scene.things[lot.integers(len(scene.things))]
    claim = {"kind": thing.kind, "colour": thing.colour}
    if attribute == "texture":
        if thing.texture == "plain":
            return []
        claim["texture"] = thing.texture
    options = {"colour": COLOURS, "kind": KINDS, "texture": [t for t in TEXTURES if t != "plain"]}
    others = [{**claim, attribute: o} for o in options[attribute] if o != claim[attribute]]
    return [claim, *(c for c in others if not any(holds(c, t) for t in scene.things))]
