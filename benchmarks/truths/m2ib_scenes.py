"""M2IB and its rivals on scenes whose masks are known: `make truth ROW=m2ib-scenes`."""

import sys

import torch
from PIL import Image

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.contest import SLOW, between, contest
from benchmarks.truths.sanity_rows import sanity_rows
from benchmarks.truths.scene_cases import WordCase, naming_cases, word_cases
from legenda.agreement import units
from legenda.core.interval import wilson
from legenda.core.target import Contrast, Similarity, Target
from legenda.explain.random import Random
from legenda.explain.settings import explainer, for_tower
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.score.drop import ConfidenceDrop, ConfidenceIncrease
from legenda.score.insertion_deletion import Deletion, Insertion
from legenda.score.mismatch import MismatchAUROC
from legenda.score.words import ForeignWordFirst
from legenda.zoo.scenes import photograph
from legenda.zoo.scenes.held_out import distinct
from legenda.zoo.scenes.shipped import TEST_SEEDS


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(line + "\n")


def measure() -> Measurement:
    """Localisation, faithfulness, sanity, words and the mismatch flag (ROAR+: `m2ib-roar`)."""
    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual)
    few = quick()
    cases = naming_cases(dual, TEST_SEEDS, 4 if few else 48)
    rows, _ = contest(cases, 8, say, {"pointing": 0.95})
    rows += sanity_rows(cases, say, *((2, 0) if few else (12, 6)))
    rows += word_rows(dual, word_cases(TEST_SEEDS + 100_000, 6 if few else 150))
    rows += mismatch_rows(dual, 64 if few else 384)
    return Measurement("m2ib-scenes", rows, [TEST_SEEDS], notes())


def notes() -> tuple[str, ...]:
    """What a quick form leaves out."""
    return (f"quick: few pictures and samples, no ROAD; left out: {', '.join(SLOW)}",) * quick()


def pixels(dual: Dual, scenes: list) -> torch.Tensor:
    return dual.pixels([Image.fromarray(photograph(s)) for s in scenes])


def word_rows(dual: Dual, cases: list[WordCase]) -> list[Row]:
    """Does the word that differs from the foil rank first? Explained two ways."""
    here, there = pixels(dual, [c.scene for c in cases]), pixels(dual, [c.other for c in cases])
    texts = [c.caption for c in cases]
    ids, foreign = dual.ids(texts), None
    foreign = torch.zeros(ids.shape, dtype=torch.bool)
    for i, case in enumerate(cases):
        for word in dual.words.words(case.caption):
            if word.text == case.word:
                foreign[i, list(word.positions)] = True
    own, other = dual.embed_images(here), dual.embed_images(there)
    reference = dual.reference
    moments = reference and reference.at("text", dual.text.ref.rpartition("@")[2])
    opened = units(dual.text, ids)
    targets = {
        "against the foil's picture": Contrast(Similarity("here", own), Similarity("there", other)),
        "similarity alone": Similarity("here", own),
    }
    measured, rows = ForeignWordFirst(foreign), []
    for way, target in targets.items():
        for name, method in text_methods(dual, moments).items():
            found = method(opened, ids, target)
            each = measured.each(opened, ids, target, found)
            right = round(float(each.sum()))
            chance = float(measured.chance(found).mean())
            goal = "the word that differs from a foil caption ranks first"
            rows.append(
                Row(
                    f"foreign word first, {way}: {name}",
                    float(each.mean()),
                    "share",
                    goal if name == "m2ib" else "",
                    None,
                    len(each),
                    wilson(right, len(each)),
                    chance,
                )
            )
    return rows + removal_rows(dual, ids, targets["similarity alone"], moments)


def removal_rows(dual: Dual, ids: torch.Tensor, target: Target, moments) -> list[Row]:
    """What it costs to blank the words that a method names, by their mean act."""
    opened, rows = units(dual.text, ids), []
    blind = Random()(opened, ids, target)
    for measure in (Deletion(steps=6), Insertion(steps=6), ConfidenceDrop(), ConfidenceIncrease()):
        control = float(measure.each(opened, ids, target, blind).mean())
        for name, method in text_methods(dual, moments).items():
            each = measure.each(opened, ids, target, method(opened, ids, target)).detach().float()
            what = f"words, {measure.name}: {name}"
            rows.append(Row(what, float(each.mean()), measure.unit, "", None, len(each), between(each), control))  # fmt: skip # noqa: E501
    return rows


def text_methods(dual: Dual, moments) -> dict:
    """The methods that explain words."""
    names = ("m2ib", "nib", "saliency", "gradient_times_input", "integrated_gradients",
             "grad_cam", "occlusion", "chefer", "rise", "random")  # fmt: skip
    found = {}
    for name in names:
        at = (
            {"at": "site"}
            if name in {"saliency", "integrated_gradients", "occlusion", "kernel_shap", "rise"}
            else {}
        )  # noqa: E501
        at |= for_tower(dual.beta, "text", name, {})
        few = {"masks": 50 if quick() else 200} if name == "rise" else {}
        found[name] = explainer(name, moments, **at, **few)
    return found


def mismatch_rows(dual: Dual, count: int) -> list[Row]:
    """AUROC of the flag on matched against swapped captions, whole captions and phrases."""
    assert dual.reference is not None
    scenes = list(distinct(TEST_SEEDS + 200_000, count))
    image, rows = dual.embed_images(pixels(dual, scenes)), []
    for kind, texts in (
        ("whole captions", [s.caption() for s in scenes]),
        ("phrases of one object", [s.things[0].phrase() for s in scenes]),
    ):
        text = dual.embed_text(texts)
        matched = dual.reference.standing(image, text)
        swapped = dual.reference.standing(image, text.roll(1, 0))
        wrong = torch.tensor(
            [texts[i - 1] not in {t.phrase() for t in scenes[i].things} for i in range(count)]
        )
        found = MismatchAUROC()(-matched, -swapped[wrong])
        rows.append(Row(f"mismatch flag, {kind}", found.value, "AUROC", "aim ≥0.9", found.value >= 0.9, count, found.interval, found.control))  # fmt: skip # noqa: E501
        limit = dual.reference.threshold
        for name, values in (("matched flagged", matched), ("swapped flagged", swapped[wrong])):
            share = int((values <= limit).sum())
            rows.append(Row(f"{name}, {kind}", share / len(values), "share", "", None, len(values), wilson(share, len(values))))  # fmt: skip # noqa: E501
    return rows
