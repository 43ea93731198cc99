"""M2IB and its rivals on collages of cut-outs with known masks: `make truth ROW=m2ib-photos`."""

import sys

import numpy as np
import torch
from PIL import Image

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.contest import Cases, contest
from benchmarks.truths.m2ib_scenes import notes, text_methods
from benchmarks.truths.sanity_rows import sanity_rows
from legenda.agreement import units
from legenda.core.interval import bootstrap, wilson
from legenda.core.target import Similarity
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.score.mismatch import MismatchAUROC
from legenda.score.words import ForeignWordFirst
from legenda.zoo.photos.collage import Stamp, collage, stamps


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(line + "\n")


def measure() -> Measurement:
    """Localisation, faithfulness, sanity, words and the flag, on test families only."""
    dual = open_model("zoo:photos")
    assert isinstance(dual, Dual)
    few = quick()
    cases = collage_cases(dual, "test", 2 if few else 16)
    rows, _ = contest(cases, 16, say, {})
    rows += sanity_rows(cases, say, 2 if few else 4, 0)
    rows += noun_rows(dual, "test")
    rows += mismatch_rows(dual)
    left = "sanity rows leave out methods of hundreds of passes: see m2ib-scenes"
    return Measurement("m2ib-photos", rows, [0], (left, *notes()))


def collage_cases(dual: Dual, part: str, count: int) -> Cases:
    """Collages of two to four cut-outs; the sentence is the title of one of them."""
    stock = stamps(part=part)
    pictures, texts, masks, named = [], [], [], []
    for seed in range(10 * count):
        picture, placed = collage(seed, stock)
        if len(pictures) == count:
            break
        if len(placed) < 2 or not all(p.mask.any() for p in placed):
            continue
        which = int(np.random.default_rng((seed, 9)).integers(len(placed)))
        layers = np.zeros((4, *picture.shape[:2]), bool)
        layers[: len(placed)] = [p.mask for p in placed]
        pictures.append(Image.fromarray(picture))
        texts.append(placed[which].caption)
        masks.append(layers)
        named.append(which)
    return Cases(
        dual, dual.pixels(pictures), texts, torch.from_numpy(np.stack(masks)), torch.tensor(named)
    )


def noun_rows(dual: Dual, part: str) -> list[Row]:
    """Of `a photo of a NAME`, does a word of the name come first, and not `a`, `photo`, `of`?"""
    stock = stamps(part=part)[: 12 if quick() else 200]
    image = dual.embed_images(dual.pixels([pictured(i, s) for i, s in enumerate(stock)]))
    texts = [f"a photo of a {stamp.name}" for stamp in stock]
    ids, target = dual.ids(texts), Similarity("the picture", image)
    name = torch.zeros(ids.shape, dtype=torch.bool)
    for i, text in enumerate(texts):
        for word in dual.words.words(text)[4:]:
            name[i, list(word.positions)] = True
    rows, opened = [], units(dual.text, ids)
    for way, method in text_methods(dual, dual.reference and dual.reference.at("text", 3)).items():
        found = method(opened, ids, target)
        measured = ForeignWordFirst(name)
        each = measured.each(opened, ids, target, found)
        rows.append(Row(f"a word of the name first: {way}", float(each.mean()), "share", "", None, len(each), bootstrap(each), float(measured.chance(found).mean())))  # fmt: skip # noqa: E501
    return rows


def pictured(seed: int, stamp: Stamp) -> Image.Image:
    """One stamp on a background."""
    return Image.fromarray(collage(seed, [stamp], n=1)[0])


def mismatch_rows(dual: Dual) -> list[Row]:
    """The flag on single stamps with their own title against another's."""
    assert dual.reference is not None
    stock = stamps(part="test")[: 24 if quick() else 200]
    image = dual.embed_images(dual.pixels([pictured(i, s) for i, s in enumerate(stock)]))
    text = dual.embed_text([s.caption for s in stock])
    matched = dual.reference.standing(image, text)
    swapped = dual.reference.standing(image, text.roll(1, 0))
    found = MismatchAUROC()(-matched, -swapped)
    rows = [Row("mismatch flag, stamps and titles", found.value, "AUROC", "aim ≥0.9", found.value >= 0.9, len(stock), found.interval, found.control)]  # fmt: skip # noqa: E501
    for name, values in (("matched flagged", matched), ("swapped flagged", swapped)):
        count = int((values <= dual.reference.threshold).sum())
        rows.append(Row(name, count / len(values), "share", "", None, len(values), wilson(count, len(values))))  # fmt: skip # noqa: E501
    return rows
