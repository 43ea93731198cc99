"""What the shipped concepts of `zoo:scenes` find in scenes whose every factor is known.

`make truth ROW=concepts-scenes`. Held-out scenes; beside the shipped dictionary stand random
directions and principal axes (each split into its two sides) with as many units on. A patch shows a
factor where a twentieth of it or more does. A unit marks a factor where half of its mass or more
lies on patches that show it, and its name is right where the word may be said of such a factor.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.core.units import Units
from legenda.corpus.surveying import survey
from legenda.describe.naming import Name
from legenda.describe.vocabulary import Vocabulary
from legenda.dictionaries.pca import PCA
from legenda.dictionaries.random_atoms import RandomAtoms
from legenda.dictionaries.storage import About, save_dictionary
from legenda.models.seeing import open_seeing
from legenda.score.factor_recovery import FactorRecovery
from legenda.score.grounding import Grounding, map_iou
from legenda.score.name_accuracy import NameAccuracy
from legenda.score.reconstruction import reconstruction, tally
from legenda.tasks.concept_folder import ConceptFolder, Origin, concept_folder
from legenda.tasks.name_concepts import name_concepts, vocabulary_of
from legenda.zoo.concepts import RECIPES
from legenda.zoo.scenes.concept_pictures import HELD_OUT, TRAIN, DrawnScenes, cover, factors, masks
from legenda.zoo.scenes.world import KINDS

CUTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of a unit's largest weight, of which the best is chosen with the unit, on other scenes."""
APART = 10_000
"""Scenes from here on chose nothing; the first of the held-out ones checked the names."""
MARKS, SHOWS = 0.5, 0.05
FAMILIES = {"round shape": "round", "angular shape": "angular"}
ASPECTS = ("kind", "colour", "texture", "ground", "family", "part")


def measure() -> Measurement:
    """Factors, maps and names, beside random and PCA."""
    count = 96 if quick() else 600
    model: Any = open_seeing("zoo:scenes@patches")
    folder = concept_folder("zoo:scenes")
    ours, _ = folder.dictionary()
    scenes = DrawnScenes(HELD_OUT + APART, count)
    known = factors()
    shares = cover(scenes, known)
    acts, sample = embedded(model, scenes), embedded(model, DrawnScenes(TRAIN, 200)).flatten(0, 1)
    k = 3
    books = {
        "legenda": ours,
        "PCA": PCA(2 * acts.shape[-1], signed=False).fit(sample),
        "random": RandomAtoms(len(ours), k).fit(sample),
    }
    rows: list[Row] = []
    for name, book in books.items():
        codes = limited(book.encode(acts), k if name == "PCA" else None)
        sys.stderr.write(f"{name}\n")
        rows += of_book(name, book, codes, acts, shares, scenes, known)
    shown = (shares >= SHOWS).float()
    rows += of_names("legenda", folder.names(), ours.encode(acts), shown, known)
    for name in () if quick() else ("PCA", "random"):
        sys.stderr.write(f"names of {name}\n")
        codes = limited(books[name].encode(acts), k if name == "PCA" else None)
        rows += of_names(name, named(name, books[name], model), codes, shown, known)
    notes = (
        f"{count} scenes from seed {HELD_OUT + APART} on; {len(known)} factors",
        "recovered: the best unit and cut for a factor, chosen on one half of the scenes, has an IoU of .5 or more with it on the other; its control exchanges the scenes of every unit",
        "map IoU, locality and consistency are with masks at the patches' own size, not widened",
    )
    return Measurement("concepts-scenes", rows, [0], notes)


@torch.no_grad()
def embedded(model: Any, scenes: DrawnScenes) -> Tensor:
    """Patches of all scenes."""
    parts = range(0, len(scenes), 32)
    every = [[scenes.open(i) for i in range(s, min(s + 32, len(scenes)))] for s in parts]
    return torch.cat([model.acts(model.pixels(part)) for part in every])


def limited(codes: Codes, most: int | None) -> Codes:
    """The strongest slots only."""
    if most is None or codes.weight.shape[-1] <= most:
        return codes
    best = codes.weight.topk(most, dim=-1)
    return Codes(codes.index.gather(-1, best.indices), best.values, codes.size)


def of_book(
    name: str, book: Any, codes: Codes, acts: Tensor, shares: Tensor, scenes: DrawnScenes,
    known: list[tuple[str, str]],
) -> list[Row]:  # fmt: skip
    """Rows of one dictionary."""
    truth = shares >= 0.5
    found = FactorRecovery(cuts=CUTS)(codes, truth)
    rows = [
        row(f"{name}: share of factors recovered", found.recovered),
        row(f"{name}: IoU with factors", found.overlap),
        row(f"{name}: AUROC of factors", FactorRecovery(by="auroc")(codes, truth).auroc),
    ]
    for aspect in ASPECTS:
        these = torch.tensor([i for i, (a, _) in enumerate(known) if a == aspect])
        values = found.each[these]
        values = values[~values.isnan()]
        rows.append(Row(f"{name}: {aspect}, mean IoU", float(values.mean()), n=len(values)))
    things = [f for f in known if f[0] == "kind"]
    grid = torch.stack(
        [torch.from_numpy(masks(scenes.first + i, things)) for i in range(len(scenes))]
    )
    how = Grounding(widened=False)
    overlaps = how.tally(codes, grid, (12, 12))
    grounded = how.scores(overlaps)
    rows += [
        row(f"{name}: locality of kinds", grounded.locality),
        row(f"{name}: consistency of kinds", grounded.consistency),
        row(f"{name}: impurity (nats)", grounded.impurity),
        row(f"{name}: map IoU of kinds", map_iou(overlaps).score),
    ]
    told = reconstruction(tally(acts, book.decode(codes), codes))
    rows += [
        row(f"{name}: FVU", told.fvu),
        row(f"{name}: L0", told.l0),
        row(f"{name}: dead share", told.dead),
    ]
    return rows


def named(name: str, book: Any, model: Any) -> Sequence[Name]:
    """Names that the units of another dictionary get, in the way of those that ship."""
    how = RECIPES["scenes"]
    words = vocabulary_of(how.words).with_words(
        Vocabulary.of(how.more, "its own world", "adjective")
    )
    cache = Path(os.environ.get("LEGENDA_CACHE") or Path.home() / ".cache" / "legenda")
    with tempfile.TemporaryDirectory() as place:
        folder = ConceptFolder(Path(place) / name)
        folder.begin(Origin(str(model.ref), "drawn scenes"))
        save_dictionary(folder.path, book, About(str(model.ref)))
        survey(Units(model, book), DrawnScenes(TRAIN, 1000), folder.path / "survey", per_image=1)
        kept = cache / "benchmarks" / "words"
        kept.mkdir(parents=True, exist_ok=True)
        (folder.path / "words").symlink_to(kept)
        held = DrawnScenes(HELD_OUT, 512)
        return name_concepts(folder, model, words, how.name, held).corrected.names


def of_names(
    name: str, given: Sequence[Name], codes: Codes, shares: Tensor, known: list[tuple[str, str]]
) -> list[Row]:  # fmt: skip
    """How right names are."""
    names = {n.unit: n.word for n in given}
    held = torch.zeros(codes.size, len(known))
    total = torch.zeros(codes.size)
    for index, weight, part in zip(codes.index, codes.weight, shares, strict=True):
        for slot in range(index.shape[1]):
            total.index_add_(0, index[:, slot], weight[:, slot])
            held.index_add_(0, index[:, slot], weight[:, slot, None] * part)
    purity = held / total.clamp(min=1e-9)[:, None]
    alive = total > 0
    said = [value for _, value in known]
    truth = {
        u: frozenset(said[f] for f in (purity[u] >= MARKS).nonzero()[:, 0].tolist())
        for u in range(codes.size)
        if alive[u]
    }
    names = {u: names.get(u) for u in truth}
    found = NameAccuracy()(names, truth, accepted(known))
    marking = sum(bool(its) for its in truth.values())
    aims: tuple[Any, Any] = (("≥ .95 (aim)", 0.95), ("≤ .05 (aim)", -0.05))
    aims = aims if name == "legenda" else ((), ())
    rows = [row(f"{name}: units named", found.coverage)]
    if found.accuracy.n:
        said = f"{name}: names right, of named units that mark a factor"
        rows.append(row(said, found.accuracy, *aims[0]))
    if found.false.n:
        rows.append(row(f"{name}: names false, of all named", found.false, *aims[1]))
    return [*rows, Row(f"{name}: units that mark a factor", marking / len(truth), n=len(truth))]


def accepted(known: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Words that may be said of a factor: itself, and of a kind what it is a kind of."""
    words: dict[str, set[str]] = {}
    for aspect, value in known:
        own = {value, FAMILIES.get(value, value)}
        if aspect == "kind":
            family = KINDS[value][0]
            own |= {FAMILIES.get(family, family), family.split()[-1]}
        if aspect == "family":
            own |= {value.split()[-1]}
        words.setdefault(value, set()).update(own)
    return words


def row(name: str, score: Score, goal: str = "", bound: float | None = None) -> Row:
    """A score as a row; a bound below 0 is one that is not to be exceeded."""
    ok = None if bound is None else (score.value >= bound if bound > 0 else score.value <= -bound)
    return Row(name, score.value, score.unit, goal, ok, score.n, score.interval, score.control)
