"""What `zoo:scenes` knows of scenes it has never seen.

Retrieval: among 256 pictures and their captions, which caption fits this picture best?
Distractors: a true text against every text that differs from it in one attribute of one
thing and is false of the picture; right only if the true text beats them all. The text is
the caption of the whole picture, or (harder, since it tests what belongs to what) a phrase
about one thing among several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from legenda.core.interval import Interval, wilson
from legenda.models.dual import Dual
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.words import Claim, holds, say
from legenda.zoo.scenes.world import COLOURS, KINDS, TEXTURES, Scene, Thing, draw

WAYS = 256
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "kind": tuple(KINDS),
    "texture": TEXTURES[1:],  # plain is never said
}


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
    for kind, make in (("caption", changed_captions), ("phrase", changed_phrases)):
        for attribute in ATTRIBUTES:
            cases = [make(scene, attribute) for scene in scenes]
            name = f"{kind}, {attribute} against all others"
            found.append(distractors(name, dual, images, cases))
    return found


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


def distractors(
    name: str, dual: Dual, images: torch.Tensor, cases: Sequence[Sequence[str]]
) -> Share:
    """How often a case's first text fits its picture better than all others of the case."""
    rows: dict[str, int] = {}
    numbered = [[rows.setdefault(text, len(rows)) for text in case] for case in cases]
    embedded, right, ways = dual.embed_text(list(rows)), 0, []
    for image, ids in zip(images, numbered, strict=True):
        if len(ids) > 1:
            cosine = embedded[ids] @ image
            right += int(cosine[0] > cosine[1:].max())
            ways.append(1 / len(ids))
    return Share(name, right, len(ways), float(np.mean(ways)))


def picked(scene: Scene) -> Thing:
    """One thing of a scene, by lot."""
    return scene.things[np.random.default_rng((scene.seed, 5)).integers(len(scene.things))]


def changed_captions(scene: Scene, attribute: str) -> list[str]:
    """The caption, then those that give one thing another value of the attribute."""
    thing = picked(scene)
    if getattr(thing, attribute) not in ATTRIBUTES[attribute]:
        return []
    told = scene.caption()
    found = [told]
    for value in ATTRIBUTES[attribute]:
        other = replace(thing, **{attribute: value})
        things = tuple(other if t is thing else t for t in scene.things)
        caption = replace(scene, things=things).caption()
        if caption != told:
            found.append(caption)
    return found


def changed_phrases(scene: Scene, attribute: str) -> list[str]:
    """A phrase of one thing, then its neighbours in one attribute that are false of the scene."""
    thing = picked(scene)
    if getattr(thing, attribute) not in ATTRIBUTES[attribute]:
        return []
    claim: Claim = {"kind": thing.kind, "colour": thing.colour}
    if attribute == "texture":
        claim["texture"] = thing.texture
    others = [{**claim, attribute: v} for v in ATTRIBUTES[attribute] if v != claim[attribute]]
    false = [c for c in others if not any(holds(c, t) for t in scene.things)]
    return [say(claim), *map(say, false)]
