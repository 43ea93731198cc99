"""The names of the shipped concepts on held-out pictures, and steering by them.

A name is checked in three ways: does its word rank patches as the unit does; is the word in the
title or the tags of the one picture that a unit is mostly on in; does adding the unit make pictures
that lack it more like the word. The first and the last follow in part from how names are chosen
(a word near the atom), which is why other units' names stand beside them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.table import Row, quick
from benchmarks.truths.photos_activations import (
    PAIRS,
    Seen,
    cached,
    coded,
    say,
    strongest,
)
from legenda.core.codes import Codes
from legenda.core.interval import bootstrap, wilson
from legenda.core.model import Edit, Run
from legenda.core.units import Units
from legenda.describe.name_check import HeldOut, checked, summary
from legenda.describe.naming import Name
from legenda.describe.vocabulary import Vocabulary, everyday
from legenda.describe.word_embeddings import TEMPLATES, embedded
from legenda.intervene.edits import steer
from legenda.models.dense import pooled
from legenda.tasks.concept_folder import ConceptFolder
from legenda.tasks.steer import steered
from legenda.types import Acts
from legenda.zoo.photos.fetch import home
from legenda.zoo.photos.pairs import listed

TOP, MOSTLY = 10, 0.5
"""A unit is mostly on in one title if more than this share of its strongest patches are there."""
STEERED = 20


def name_rows(model: Any, folder: ConceptFolder, ours: Any, held: Seen) -> list[Row]:
    """Coverage, and how well names tell where their units are on."""
    names, alive = folder.names(), folder.survey().active > 0
    named = [n for n in names if n.word and alive[n.unit]]
    rows = [Row("names: coverage of units that are ever on", len(named) / int(alive.sum()), "share", "", None, int(alive.sum()), wilson(len(named), int(alive.sum())))]  # fmt: skip # noqa: E501
    some = by_lot(named, 64 if quick() else len(named))
    words = everyday().words
    drawn = [words[i] for i in torch.randperm(len(words), generator=torch.Generator().manual_seed(0))[: 64 if quick() else 1000].tolist()]  # fmt: skip # noqa: E501
    vocabulary = Vocabulary.of([n.word or "" for n in some], "names").with_words(Vocabulary.of(drawn, "everyday words"))  # fmt: skip # noqa: E501
    vectors = embedded(vocabulary, model.embed_text, model.templates or TEMPLATES, cached() / "words", encoder=str(model.ref))  # fmt: skip # noqa: E501
    few = held.spread(100 if quick() else 335)
    patches = HeldOut(coded(ours, few.acts), few.acts.float(), torch.tensor(few.numbers))
    found = checked(some, patches, vocabulary, vectors)
    say("names: checked")
    total = summary(found)
    checks = [n.check for n in found if n.check and n.check.auroc == n.check.auroc]
    rows += [
        Row("names: AUROC on held-out patches; control: another unit's name", total.names[0], "AUROC", "", None, total.n, total.names[1], total.shuffled[0]),
        Row("names: AUROC; control: a word by lot", total.names[0], "AUROC", "", None, total.n, total.names[1], total.random[0]),
    ]  # fmt: skip # noqa: E501
    for told, control in (("another unit's name", "shuffled"), ("a word by lot", "random")):
        gap = torch.tensor([c.auroc - getattr(c, control) for c in checks], dtype=torch.float64)
        sure = sum(c.interval[0] > getattr(c, control) for c in checks)
        rows += [
            Row(f"names: AUROC above {told}", float(gap.mean()), "AUROC", "", None, len(gap), bootstrap(gap)),
            Row(f"names: share with the whole interval above {told}", sure / len(gap), "share", "", None, len(gap), wilson(sure, len(gap))),
        ]  # fmt: skip # noqa: E501
    return rows


def by_lot(names: list[Name], count: int, seed: int = 0) -> list[Name]:
    """So many of them, in their order."""
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    return [names[i] for i in sorted(order[:count].tolist())]


def title_rows(folder: ConceptFolder, ours: Any, held: Seen) -> list[Row]:
    """Is a unit's word in the title or tags of the pictures that it is strongest on in?"""
    part = held.of(*PAIRS)
    texts, titles, words = said_of(part), part.titles, folder.words()
    single, several = {}, {}
    for unit, best in exemplars(coded(ours, part.acts)).items():
        if unit in words and len(best) == TOP:
            several[unit] = [texts[i] for i in dict.fromkeys(best)]
            most = max(best, key=lambda i: sum(titles[i] == titles[j] for j in best))
            if sum(titles[most] == titles[j] for j in best) > MOSTLY * TOP:
                single[unit] = [texts[most]]
    return [
        hit_row(f"names: in the title or tags that most of the {TOP} strongest patches in emoji, stamps and drawings share", single, words),
        hit_row(f"names: in the title or tags of any of the {TOP} strongest patches", several, words),
    ]  # fmt: skip # noqa: E501


def exemplars(codes: Codes) -> dict[int, list[int]]:
    """The pictures of each unit's strongest patches, the strongest first."""
    image, position, slot = (codes.weight > 0).nonzero(as_tuple=True)
    weight, unit = codes.weight[image, position, slot], codes.index[image, position, slot]
    found: dict[int, list[int]] = {}
    for i in np.lexsort((-weight.numpy(), unit.numpy())).tolist():
        own = found.setdefault(int(unit[i]), [])
        if len(own) < TOP:
            own.append(int(image[i]))
    return found


def hit_row(title: str, found: Mapping[int, list[str]], words: Mapping[int, str]) -> Row:
    """Share of units whose word is there; control: another unit's word."""
    units = list(found)
    hits = sum(any(said(words[u], text) for text in found[u]) for u in units)
    others = [words[u] for u in units[1:] + units[:1]]
    chance = sum(any(said(w, t) for t in found[u]) for u, w in zip(units, others, strict=True))
    share, dealt = (n / len(units) if units else float("nan") for n in (hits, chance))
    return Row(title, share, "share", "", None, len(units), wilson(hits, len(units)), dealt)  # fmt: skip # noqa: E501


def said_of(part: Seen) -> list[str]:
    """Title and tags of each picture of a pair."""
    vocabulary = frozenset((home() / "minilm" / "vocab.txt").read_text("utf-8").split("\n"))
    tags = {pair.picture: pair.caption for pair in listed(home() / "pairs", vocabulary)}
    return [tags[part.pictures.key(i)] for i in part.numbers]


def said(word: str, text: str) -> bool:
    """Whether a text holds a word whole, with or without an s at the end.

    Examples
    --------
    >>> said("balloon", "Hot-air balloons. sky"), said("air", "hair"), said("hot air", "Hot-air")
    (True, False, True)
    """
    spoken, asked = ([w.removesuffix("s") for w in re.findall(r"[^\W\d_]+", t.lower())] for t in (text, word))  # fmt: skip # noqa: E501
    return any(spoken[i : i + len(asked)] == asked for i in range(len(spoken)))


@dataclass(frozen=True, eq=False)
class Patches:
    """A model that is given patches instead of pictures."""

    model: Any
    name: str = "patches"
    ref: str = "patches"
    grid: tuple[int, int] | None = None

    def embed_text(self, texts: list[str]) -> Float[Tensor, "t e"]:
        return self.model.embed_text(texts)

    def acts(self, x: Acts) -> Acts:
        return x

    def run(self, x: Acts, edit: Edit | None = None) -> Run:
        acts = x if edit is None else edit(x)
        return Run(acts, lambda: pooled(acts))


def steer_rows(model: Any, folder: ConceptFolder, ours: Any, held: Seen) -> list[Row]:
    """Units added to pictures that lack them, as strongly as they are on in their exemplars."""
    few = held.spread(60 if quick() else 200)
    peaks, values = strongest(ours, few.acts), torch.from_numpy(folder.survey().exemplars.value)
    alive = [n for n in folder.names() if n.word and float(values[n.unit, 0]) > 0]
    chosen = by_lot(alive, STEERED, 1)
    texts = [n.word or "" for n in chosen]
    units, own, other = Units(Patches(model), ours), [], []
    for place, name in enumerate(chosen):
        lacking = (peaks[:, name.unit] == 0).nonzero()[:, 0]
        x = few.acts[lacking[:: max(1, len(lacking) // 16)][:16]].float()
        by = float(values[name.unit][values[name.unit] > 0].double().mean())
        found = steered(units, x, [steer(name.unit, by)], texts, 8, name.unit)
        gain = (found.after - found.random.mean(0)).mean(0)
        own.append(float(gain[place]))
        apart = [i for i, text in enumerate(texts) if text != texts[place]]
        other.append(float(gain[apart].mean()))
    mine, its = (torch.tensor(side, dtype=torch.float64) for side in (own, other))
    up = int((mine > 0).sum())
    return [
        Row("steering: likeness to the unit's word above random directions; control: words of the others", float(mine.mean()), "cosine", "", None, len(mine), bootstrap(mine), float(its.mean())),
        Row("steering: likeness to the unit's word above that to words of the others", float((mine - its).mean()), "cosine", "", None, len(mine), bootstrap(mine - its)),
        Row("steering: units whose word gains more than by random directions", up / len(mine), "share", "", None, len(mine), wilson(up, len(mine))),
    ]  # fmt: skip # noqa: E501
