"""What the shipped concepts of `zoo:photos` are good for: `make truth ROW=concepts-photos`.

Held-out photographs of fruit and of CIFAR-10, cut-outs, emoji and clip art. Beside the shipped
dictionary stand principal axes in two sides and random directions, with as many units on, and,
where it makes sense, the activations themselves. Fruit of the same shops is in both parts; copies
of one photograph are left out (`photos_activations`). MobileNetV2 lies below the concepts; only the
small judge of `zoo:vq` is independent of them, and it gives no patches of this size.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.concepts_scenes import row
from benchmarks.truths.photos_activations import (
    AT_ONCE,
    Seen,
    books,
    coded,
    say,
    seen,
    strongest,
)
from benchmarks.truths.photos_classes import description_rows, probe_rows
from benchmarks.truths.photos_names import name_rows, steer_rows, title_rows
from benchmarks.truths.photos_segments import segment_rows
from legenda.corpus.rows import ArrayRows
from legenda.dictionaries.course import fit
from legenda.models.seeing import open_seeing
from legenda.score.c_squared import CSquared
from legenda.score.monosemanticity import Monosemanticity
from legenda.score.reconstruction import merged, reconstruction, tally
from legenda.score.stability import Stability
from legenda.tasks.concept_folder import concept_folder
from legenda.tasks.fit_concepts import FitSettings
from legenda.zoo.vq.close_up import SIDE
from legenda.zoo.vq.data import scaled
from legenda.zoo.vq.judges import small_cnn

STEPS = 600
"""Steps of each of the two short fits that stability is measured on."""
POSITIONS = 48


def measure(where: str | Path = "zoo:photos") -> Measurement:
    """All that is measured; `where` are the concepts."""
    folder, model = concept_folder(where), open_seeing("zoo:photos@patches")
    ours, _ = folder.dictionary()
    train, held = seen(model, "train"), seen(model, "held out")
    dictionaries, most = books(ours, train, held)
    say(f"{len(train)} and {len(held)} pictures; {most} units on in PCA and random")
    rows = reconstruction_rows(dictionaries, held)
    more, notes = probe_rows(dictionaries, train, held, folder.words())
    rows += more + description_rows(model, dictionaries, held)
    rows += segment_rows(model, dictionaries)
    rows += name_rows(model, folder, ours, held) + title_rows(folder, ours, held)
    rows += likeness_rows(model, dictionaries, held)
    rows += steer_rows(model, folder, ours, held)
    rows += [] if quick() else stability_rows(ours, train, held)
    told = (
        f"{len(train)} pictures of the training part, {len(held)} held out; {len(ours)} units; PCA and random have {most} on at a patch",
        "C² and monosemanticity by MobileNetV2, which lies below the concepts and has read no text; zoo:vq's judge is independent, small, and sees 32 pixels a side; their control has the same weights at places, or in pictures, dealt by lot",
        "control of probes: labels dealt by lot; of descriptions: descriptors dealt out anew; of mIoU: labels by lot; of titles: another unit's name",
    )  # fmt: skip
    return Measurement("concepts-photos", rows, [0], (*told, *notes))


def reconstruction_rows(dictionaries: dict[str, Any], held: Seen) -> list[Row]:
    """How much each gives back of held-out pictures; the control is random directions."""
    tallies = {}
    for name, book in dictionaries.items():
        parts = []
        for part in held.acts.split(AT_ONCE):
            with torch.no_grad():
                codes = book.encode(part.float())
                parts.append(tally(part.float(), book.decode(codes), codes))
        tallies[name] = merged(parts)
    rows = []
    for name, found in tallies.items():
        told = reconstruction(found, None if name == "random" else tallies["random"])
        rows += [row(f"{name}: {s.name}", s) for s in (told.fvu, told.cosine, told.l0, told.dead)]
    say("reconstruction: done")
    return rows


@torch.no_grad()
def likeness_rows(model: Any, dictionaries: dict[str, Any], held: Seen) -> list[Row]:
    """Are a unit's places, and its pictures, alike to encoders that know nothing of it?"""
    few = held.spread(60 if quick() else 335)
    pictures = [few.pictures.open(i) for i in few.numbers]
    parts = [pictures[i : i + 32] for i in range(0, len(pictures), 32)]
    places = torch.cat([model.module.places(model.pixels(part)) for part in parts])
    middle = places.mean((0, 1))
    embedded = {"MobileNetV2": places.mean(1), "zoo:vq's judge": judged(pictures)}
    rows = []
    for name, book in dictionaries.items():
        codes, peaks = coded(book, few.acts), strongest(book, few.acts)
        for told, features in (("", places), (", its mean taken away", places - middle)):
            maps = features.unflatten(1, model.grid)
            found = CSquared(top=10)(codes, model.grid, lambda i, maps=maps: maps[i])
            rows.append(row(f"{name}: C² by MobileNetV2{told}", found.score))
        for encoder, vectors in embedded.items():
            one = Monosemanticity()(peaks, vectors)
            rows.append(row(f"{name}: monosemanticity by {encoder}", one.score))
        say(f"likeness, {name}: done")
    return rows


@torch.no_grad()
def judged(pictures: list[Image.Image]) -> Tensor:
    """What the judge of `zoo:vq` has before its last layer."""
    small = [p.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for p in pictures]
    below = nn.Sequential(*list(small_cnn().children())[:-1])
    return below(scaled(np.stack([np.asarray(p) for p in small])))


def stability_rows(ours: Any, train: Seen, held: Seen) -> list[Row]:
    """Two short fits of the shipped kind from other seeds, matched atom by atom."""
    lot = torch.Generator().manual_seed(0)
    few = torch.randperm(train.acts.shape[1], generator=lot)[:POSITIONS]
    rows = ArrayRows(train.acts[:, few].flatten(0, 1).float())
    plan = FitSettings(steps=STEPS, lr=6e-4).plan()
    made = [
        fit({"again": ours.learner}, rows, plan, batch=2048, seed=seed)["again"] for seed in (0, 1)
    ]
    alive = [(strongest(one, held.acts) > 0).any(0) for one in made]
    found = Stability()([one.atoms for one in made], alive)
    say("stability: done")
    return [row(f"stability over 2 seeds, {STEPS} steps each", found.score)]
