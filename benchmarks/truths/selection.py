"""How the defaults were chosen, on selection scenes only: `make truth ROW=m2ib-selection`."""

import sys
from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.m2ib_scenes import pixels
from benchmarks.truths.scene_cases import naming_cases, word_cases
from legenda.agreement import units
from legenda.core.interval import bootstrap, wilson
from legenda.core.target import Contrast, Similarity
from legenda.corpus.reference import Reference
from legenda.explain.bottleneck import InformationBottleneck
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.score.localisation import Pointing
from legenda.score.overlap import BestIoU
from legenda.score.words import ForeignWordFirst
from legenda.zoo.scenes.shipped import SELECTION_SEEDS

IMAGE_BETAS, WORD_BETAS = (0.3, 0.5, 1.0, 2.0), (0.03, 0.1, 0.3, 1.0)
BLURS = (0.0, 0.8, 1.0)


def measure() -> Measurement:
    """Pointing and mIoU over sites, prices and masks; word rank over sites and prices."""
    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual) and dual.reference is not None
    few = quick()
    rows = image_rows(dual, dual.reference, 2 if few else 48, (1.0,) if few else IMAGE_BETAS)
    rows += word_rows(dual, dual.reference, 6 if few else 120, (0.1,) if few else WORD_BETAS)
    rows.sort(key=lambda r: -r.value)
    return Measurement("m2ib-selection", rows, [SELECTION_SEEDS])


def image_rows(dual: Dual, reference: Reference, count: int, betas: tuple[float, ...]) -> list[Row]:
    """Strict pointing, with the best mIoU beside it, on pictures of three objects."""
    cases = naming_cases(dual, SELECTION_SEEDS, count)
    target, rows = cases.target, []
    tower: Any = dual.image
    for site, beta, (per, smooth) in product(
        tower.sites[:-1], betas, [("entry", 0.0), *(("token", blur) for blur in BLURS)]
    ):
        opened = replace(cases, dual=dual.at(image=site))
        settings: Any = {"beta": beta, "per": per, "smooth": smooth}
        how = InformationBottleneck(moments=reference.at("image", site), **settings)
        found = how(opened.units, cases.x, target)
        each = Pointing(cases.mask).each(opened.units, cases.x, target, found).float()
        iou = float(BestIoU(cases.mask).each(opened.units, cases.x, target, found).mean())
        name = f"image={site}, λ per {per}, blur {smooth:g}, β={beta:g} (mIoU {iou:.3f})"
        sys.stderr.write(f"{name}: {float(each.mean()):.3f}\n")
        rows.append(Row(name, float(each.mean()), "pointing", "", None, count, bootstrap(each)))
    return rows


def word_rows(dual: Dual, reference: Reference, count: int, betas: tuple[float, ...]) -> list[Row]:
    """How often the word that differs from a foil ranks first, by contrast and alone."""
    cases = word_cases(SELECTION_SEEDS + 100_000, count)
    ids = dual.ids([c.caption for c in cases])
    foreign = ids != dual.ids([c.foil for c in cases])
    here = Similarity("here", dual.embed_images(pixels(dual, [c.scene for c in cases])))
    there = Similarity("there", dual.embed_images(pixels(dual, [c.other for c in cases])))
    rows = []
    tower: Any = dual.text
    for site, beta in product(tower.sites[:-1], betas):
        model = dual.at(text=site).text
        how = InformationBottleneck(beta=beta, moments=reference.at("text", site))
        for way, target in (("contrast", Contrast(here, there)), ("alone", here)):
            opened = units(model, ids)
            each = ForeignWordFirst(foreign).each(opened, ids, target, how(opened, ids, target))
            share = float(each.mean())
            name = f"text={site}, {way}, β={beta:g}"
            rows.append(Row(name, share, "foreign word first", "", None, count, wilson(round(float(each.sum())), count)))  # fmt: skip # noqa: E501
    return rows
