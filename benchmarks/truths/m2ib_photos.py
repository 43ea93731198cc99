"""M2IB and its rivals on collages of cut-outs with known masks: `make truth ROW=m2ib-photos`."""

import sys

import numpy as np
import torch
from PIL import Image

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.contest import Cases, contest
from benchmarks.truths.sanity_rows import sanity_rows
from legenda.core.interval import auroc, auroc_interval, wilson
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.zoo.photos.collage import collage, stamps


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(line + "\n")


def measure() -> Measurement:
    """Localisation, faithfulness, sanity and the mismatch flag, on test families only."""
    dual = open_model("zoo:photos")
    assert isinstance(dual, Dual)
    few = quick()
    cases = collage_cases(dual, "test", 2 if few else 10)
    rows, _ = contest(cases, 16, say, {})
    rows += sanity_rows(cases, say, 2 if few else 4)
    rows += mismatch_rows(dual)
    return Measurement("m2ib-photos", rows, [0])


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


def mismatch_rows(dual: Dual) -> list[Row]:
    """The flag on single stamps with their own title against another's."""
    assert dual.reference is not None
    stock = stamps(part="test")[: 24 if quick() else 200]
    drawn = [collage(i, [stamp], n=1)[0] for i, stamp in enumerate(stock)]
    image = dual.embed_images(dual.pixels([Image.fromarray(d) for d in drawn]))
    text = dual.embed_text([s.caption for s in stock])
    matched = dual.reference.standing(image, text)
    swapped = dual.reference.standing(image, text.roll(1, 0))
    area, between = auroc(matched, swapped), auroc_interval(matched, swapped)
    rows = [Row("mismatch flag, stamps and titles", area, "AUROC", "aim ≥0.9", area >= 0.9, len(stock), between, 0.5)]  # fmt: skip # noqa: E501
    for name, values in (("matched flagged", matched), ("swapped flagged", swapped)):
        count = int((values <= dual.reference.threshold).sum())
        rows.append(Row(name, count / len(values), "share", "", None, len(values), wilson(count, len(values))))  # fmt: skip # noqa: E501
    return rows
