"""Captions from concepts: what a picture shows, and where, said from its concepts alone.

The words are the names of the concepts that are on; an adjective goes with the noun whose map it
overlaps most. By a template, nothing is said that no concept says; through a language model the
same list, with places and strengths, is put into a sentence, with or without the picture. What the
model says beyond its list is its own: the share of its words that the list holds is told.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. Captions, and steering them, by concepts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from legenda.describe.chat import Chat
from legenda.tasks.image_concepts import ImageConcept
from legenda.zoo.scenes.world import with_article

SYSTEM = (
    "You write one plain sentence that says what a picture shows. You are told the concepts that a "
    "vision model found in it, each with its place and strength. Say only what the list supports."
)
MEETS = 0.3
"""An adjective belongs to a noun where so much of the smaller map lies in the larger."""


@dataclass(frozen=True)
class Caption:
    """A sentence, the concepts (units) it was made of, and who put it into words.

    `held` is the share of its telling words that are names of those concepts: 1 for a template.
    """

    text: str
    units: tuple[int, ...]
    by: str
    held: float


def caption(concepts: Sequence[ImageConcept], kinds: Mapping[str, str] | None = None, most: int = 5) -> Caption:  # fmt: skip # noqa: E501
    """A caption by template, of at most `most` different words; `kinds` tells adjectives.

    Units without a name say nothing; of two with one name the stronger is taken.
    """
    told = named(concepts, most)
    adjectives = [c for c in told if (kinds or {}).get(str(c.word)) == "adjective"]
    nouns = [c for c in told if c not in adjectives]
    said, used = [], []
    for noun in nouns:
        own = [a for a in adjectives if a not in used and overlap(a.map, noun.map) >= MEETS][:1]
        used += own
        words = " ".join([*(str(a.word) for a in own), str(noun.word)])
        said.append(f"{with_article(words)} {noun.place}")
    said += [f"something {a.word} {a.place}" for a in adjectives if a not in used]
    units = tuple(c.unit for c in told)
    if not said:
        return Caption("Nothing that has a name.", (), "template", 1.0)
    whole = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return Caption(whole[0].upper() + whole[1:] + ".", units, "template", 1.0)


def worded(concepts: Sequence[ImageConcept], chat: Chat, picture: Image.Image | None = None, most: int = 8) -> Caption:  # fmt: skip # noqa: E501
    """A caption that a language model makes of the same list."""
    told = named(concepts, most)
    lines = [f"- {c.word}: {c.place}, strength {c.strongest:.2f}" for c in told]
    asked = "Concepts:\n" + ("\n".join(lines) or "- none") + "\n\nThe sentence:"
    text = " ".join(chat(asked, [picture] if picture else [], SYSTEM).split())
    units = tuple(c.unit for c in told)
    return Caption(text, units, chat.model, held(text, [str(c.word) for c in told]))


def named(concepts: Sequence[ImageConcept], most: int) -> list[ImageConcept]:
    """The first concepts with a name, each name once."""
    first: dict[str, ImageConcept] = {}
    for concept in concepts:
        if concept.word:
            first.setdefault(concept.word.casefold(), concept)
    return list(first.values())[:most]


def overlap(one: Tensor, other: Tensor) -> float:
    """Which share of the smaller support lies in the larger."""
    a, b = one > 0, other > 0
    return float((a & b).sum() / min(int(a.sum()), int(b.sum())))


def held(text: str, words: Sequence[str]) -> float:
    """Share of the telling words of a sentence that some name holds."""
    known = {w for word in words for w in _words(word)}
    telling = [w for w in _words(text) if len(w) > 2 and w not in PLAIN]
    return sum(w in known for w in telling) / len(telling) if telling else 1.0


PLAIN = frozenset("the and are has for its two three one under there with shows picture image photo this that left right middle bottom above below over some something which from into near next side centre center".split())  # fmt: skip # noqa: E501


def _words(text: str) -> list[str]:
    return [w.removesuffix("s") for w in re.findall(r"[a-z]+", text.casefold())]
