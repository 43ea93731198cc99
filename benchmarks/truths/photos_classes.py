"""Fruit and CIFAR-10 told apart through concepts: by a linear probe, and by description.

Of the pictures that concepts were fitted to a fifth chooses the penalty and the rate; test pictures
are those held out. Descriptors were written before any was tried, and none was changed.
"""

from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.table import Row, quick
from benchmarks.truths.photos_activations import (
    FRUIT,
    PHOTOGRAPHS,
    Seen,
    say,
    strongest,
    through,
)
from legenda.concepts.description import compared
from legenda.concepts.probe import LinearProbe, Probe, shuffled_accuracy
from legenda.core.interval import bootstrap
from legenda.zoo.photos.concept_pictures import CLASSES

SPARED = 0.02
"""So much accuracy on validation pictures may be lost where fewer concepts are wanted."""
MEAN, MAX = "mean of patches, no bottleneck", "strongest of each axis, no bottleneck"
KINDS = {
    "apple": ("royal gala", "pink lady", "granny smith", "red delicious", "golden delicious"),
    "melon": ("watermelon", "cantaloupe", "honeydew melon", "galia melon"),
    "pear": ("conference", "anjou", "kaiser"),
    "satsuma": ("satsumas",),
    "orange": ("orange",),
}
LOOKS = {
    "fruit": {
        "apple": ("a round body", "red or green shiny skin", "a short thin stem", "a small hollow at the top"),
        "melon": ("a large heavy body", "a thick rind", "green stripes or a pale net on its skin", "juicy flesh with seeds"),
        "pear": ("a narrow neck", "a wide bottom", "green or brown skin", "a woody stem"),
        "satsuma": ("loose thin peel", "a small flattened body", "deep orange colour", "easily parted segments"),
        "orange": ("a round body", "bright orange colour", "thick dimpled peel", "a navel at one end"),
    },
    "CIFAR-10": {
        "airplane": ("two wings", "a tail fin", "the sky behind it", "jet engines", "a long metal body"),
        "automobile": ("four wheels", "headlights", "a windshield", "painted doors", "a road below it"),
        "bird": ("feathers", "a beak", "two thin legs", "wings", "small round eyes"),
        "cat": ("pointed ears", "whiskers", "soft fur", "a small pink nose", "a long tail"),
        "deer": ("antlers", "a brown coat", "long thin legs", "a forest around it", "a short tail"),
        "dog": ("a long snout", "hanging ears", "fur", "a wet black nose", "a collar"),
        "frog": ("green wet skin", "bulging eyes", "long bent hind legs", "a wide mouth", "webbed feet"),
        "horse": ("a mane", "hooves", "a long face", "strong legs", "a saddle or a meadow"),
        "ship": ("a hull", "water around it", "masts or funnels", "a deck", "a bow"),
        "truck": ("a cargo bed", "large wheels", "a high cab", "a front grille", "a trailer"),
    },
}  # fmt: skip


def probe_rows(books: dict[str, Any], train: Seen, held: Seen, words: dict[int, str]) -> tuple[list[Row], list[str]]:  # fmt: skip # noqa: E501
    """Probes on what each picture shows most of every unit, beside those without a bottleneck."""
    rows, notes = [], []
    for task, source in (("fruit", FRUIT), ("CIFAR-10", PHOTOGRAPHS)):
        known, test = train.of(source), held.of(source)
        names = sorted(set(known.titles))
        lot = torch.Generator().manual_seed(0)
        order = torch.randperm(len(known), generator=lot)
        apart, fit = order[: len(known) // 5], order[len(known) // 5 :]
        truth, asked = known.labels(names), test.labels(names)
        right: dict[str, Tensor] = {}
        sides = [features(books, part) for part in (known, test)]
        for way, x in sides[0].items():
            how, y = settings(), sides[1][way]
            found = how(x[fit], truth[fit], names, (x[apart], truth[apart]))
            share, around, n = found.accuracy(y, asked)
            chance = shuffled_accuracy(how, found, x[fit], truth[fit], (y, asked))[0]
            rows.append(Row(f"{task}, probe: {way}", share, "accuracy", "", None, n, around, chance))  # fmt: skip # noqa: E501
            right[way] = (found.logits(y).argmax(1) == asked).double()
            if way == "concepts":
                rows += counted(task, how, found, x[fit], truth[fit], y, asked)
                notes += [f"{task}, {line}" for line in reasons(found, y, asked, words)]
            say(f"{task}, probe: {way}: {share:.3f} {found.chosen}")
        for way in (MEAN, MAX, "random"):
            gap = right["concepts"] - right[way]
            rows.append(Row(f"{task}, probe: concepts − {way}", float(gap.mean()), "accuracy", "", None, len(gap), bootstrap(gap)))  # fmt: skip # noqa: E501
    return rows, notes


def features(books: dict[str, Any], part: Seen) -> dict[str, Float[Tensor, "b f"]]:
    """What probes are given, by way."""
    found = {name: strongest(book, part.acts) for name, book in books.items()}
    mean, most = (torch.cat([of(p.float()) for p in part.acts.split(64)]) for of in (
        lambda p: normalize(p.mean(1), dim=1), lambda p: p.amax(1),
    ))  # fmt: skip
    return {**found, MEAN: mean, MAX: most}


def settings() -> LinearProbe:
    """A sweep; the rates suit weights that begin at 0 and activations well below 1."""
    if quick():
        return LinearProbe(l1=(0.0, 1e-3), lr=(3e-2,), epochs=100)
    return LinearProbe(l1=(0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.1, 0.3), lr=(3e-2, 1e-1), epochs=100)


def counted(
    task: str, how: LinearProbe, found: Probe, x: Tensor, truth: Tensor, y: Tensor, asked: Tensor
) -> list[Row]:
    """How many concepts a class takes, and how far one gets with fewer."""
    near = [t for t in found.tried if t.accuracy >= found.chosen.accuracy - SPARED]
    least = min(near, key=lambda t: t.weights)
    weight = how.learned(x, truth, len(found.classes), least.l1, least.lr)
    share, around, n = Probe(weight, found.classes, (), least).accuracy(y, asked)
    each = (found.weight.abs() > 1e-4).sum(1).double()
    few = (weight.abs() > 1e-4).sum(1).double()
    return [
        Row(f"{task}, probe: concepts per class", float(each.mean()), f"of {x.shape[1]}", n=len(each), interval=bootstrap(each)),
        Row(f"{task}, probe: fewest concepts that lose at most {SPARED:g} in validation", share, "accuracy", "", None, n, around),
        Row(f"{task}, probe: concepts per class then", float(few.mean()), f"of {x.shape[1]}", n=len(few), interval=bootstrap(few)),
    ]  # fmt: skip # noqa: E501


def reasons(found: Probe, y: Tensor, asked: Tensor, words: dict[int, str]) -> list[str]:
    """The three concepts that add most to each class, over its own test pictures."""
    lines = []
    for c, name in enumerate(found.classes):
        own = y[asked == c]
        if len(own):
            best = found.added(own, name).mean(0).topk(3)
            said = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            lines.append(f"{name} ← " + ", ".join(f"{words.get(u, f'unit {u}')} {v:.2f}" for u, v in said))  # fmt: skip # noqa: E501
    return lines


def description_rows(model: Any, books: dict[str, Any], held: Seen) -> list[Row]:
    """Classification by description: with the name in each sentence, and by looks alone."""

    @cache
    def embedded(texts: tuple[str, ...]) -> Tensor:
        return model.embed_text(texts)

    coarse = {fine: kind for kind, several in KINDS.items() for fine in several}
    tasks: dict[str, tuple[Seen, list[str], dict[str, str]]] = {
        "fruit": (held.of(FRUIT), list(KINDS), coarse),
        "CIFAR-10": (held.of(PHOTOGRAPHS), list(CLASSES), {c: c for c in CLASSES}),
    }
    rows = []
    for task, (part, names, known) in tasks.items():
        labels = torch.tensor([names.index(known[title]) for title in part.titles])
        for way, book in (("no bottleneck", None), *books.items()):
            images = normalize(through(book, part.acts).mean(1), dim=1)
            for told, template in (("named and described", "{name}, which has {descriptor}"), ("described only", "something that has {descriptor}")):  # fmt: skip # noqa: E501
                found = compared(images, labels, LOOKS[task], lambda t: embedded(tuple(t)), template, 3 if quick() else 10)  # fmt: skip # noqa: E501
                title = f"{task}, {told}, {way}"
                dealt = sum(found.dealt) / len(found.dealt)
                rows.append(Row(title, found.accuracy, "accuracy", "", None, found.images, found.interval, dealt))  # fmt: skip # noqa: E501
                if told.startswith("named") and book is None or way == "concepts":
                    rows.append(Row(f"{title}: above dealt descriptors", found.gain, "accuracy", "", None, found.images, found.gain_interval))  # fmt: skip # noqa: E501
                if told.startswith("named"):
                    rows.append(Row(f"{task}, named only, {way}", found.names, "accuracy", "", None, found.images))  # fmt: skip # noqa: E501
    return rows
