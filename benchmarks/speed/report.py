"""A report of 1,000 units: what it weighs, how soon it is seen, and whether it stays smooth.

The atlas is drawn: 1,500 pictures are crops of three photographs, 700 concepts have eight exemplars
each among them, with maps, and 300 latents a sheet of 5 × 7 frames. Times are of headless Chromium,
on a file.
"""

import io
import tempfile
import time
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

import legenda
from benchmarks.table import Measurement, Row, quick
from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    PictureEntry,
    RelationEntry,
    Said,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas
from legenda.atlas.write import (
    put_exemplars,
    put_model,
    put_picture,
    put_reading,
    put_relations,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score
from legenda.show.report import report

WORDS = (
    "fur bark wheel sky brick leaf water glass sand rope paper stone cloth grass metal hair".split()
)  # noqa: E501
PICTURES, CONCEPTS, LATENTS = 1500, 700, 300
VISITS = 40


def measure() -> Measurement:
    """Build an atlas, write its report, and look at it."""
    share = 8 if quick() else 1
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Atlas(place / "drawn.atlas", write=True) as atlas:
            fill(atlas, PICTURES // share, CONCEPTS // share, LATENTS // share)
            units = int(atlas.value("SELECT count(*) FROM units"))
            began = time.perf_counter()
            text = report(atlas)
            seconds = time.perf_counter() - began
        page = place / "report.html"
        page.write_text(text, "utf-8")
        size = page.stat().st_size / 1e6
        paints, loads, longest, visited = looked_at(page, 3 if quick() else 7)
    rows = [
        Row(f"page of {units:,} units", size, "MB", "<20 MB", size < 20, units),
        Row("first paint", median(paints), "ms", "<1000 ms", median(paints) < 1000, len(paints)),
        Row("loaded whole", median(loads), "ms", "", None, len(loads)),
        Row("longest task after load, views turned and scrolled", longest, "ms", "<=100 ms", longest <= 100, visited),
        Row("writing it", seconds, "s", "", None, 1),
    ]  # fmt: skip
    return Measurement("report", rows, [0], ("a longest task of 0 ms: none took 50 ms or more",))


def fill(atlas: Atlas, pictures: int, concepts: int, latents: int) -> None:
    """The drawn atlas."""
    draw = np.random.default_rng(0)
    model = put_model(atlas, ModelEntry("zoo:drawn", "drawn", "patches", "1", "aa" * 16))
    feature = put_set(atlas, SetEntry(model, "matryoshka", "concept", concepts, "bb" * 16))
    moved = put_set(atlas, SetEntry(model, "latents", "latent", latents, "cc" * 16))
    settings = {f"setting {i}": i / 7 for i in range(24)}
    study = put_study(
        atlas, StudyEntry("drawn", "A drawn study", settings, {"legenda": "0.1.0"}, "legenda run")
    )
    with atlas.writing():
        seen = [put_picture(atlas, photograph(draw, i)) for i in range(pictures)]
        ids = put_units(atlas, [named(draw, feature, i, "concept") for i in range(concepts)])
        turned = put_units(atlas, [named(draw, moved, i, "latent") for i in range(latents)])
    with Writer(atlas, study) as writer:
        exemplars(atlas, draw, ids, seen)
        for unit in ids:
            writer.add(explained(draw, unit, None))
        for unit in turned:
            writer.add(explained(draw, unit, sheet(draw)))
    with atlas.writing():
        codes = put_evidence(atlas, [coded(draw, concepts) for _ in seen[:200]])
        for picture, one in zip(seen, codes, strict=False):
            put_reading(atlas, picture, feature, one)
        put_relations(atlas, study, [
            RelationEntry("is-a", a, b, .8, 100, .7, .9, .1)
            for a in ids[::3] for b in ids[1::97] if a != b
        ])  # fmt: skip


def photograph(draw: np.random.Generator, number: int, side: int = 320) -> PictureEntry:
    """A crop of a photograph, as a JPEG."""
    held = io.BytesIO()
    crop(draw, side).save(held, "JPEG", quality=88)
    words = " and ".join(draw.choice(WORDS, 2))
    return PictureEntry(f"{number:05}.jpg", words, side, side, "image/jpeg", held.getvalue())


def crop(draw: np.random.Generator, side: int) -> Image.Image:
    """A square of one of three photographs."""
    source = photographs()[int(draw.integers(3))]
    wide = int(draw.integers(200, min(source.size)))
    left, top = (int(draw.integers(0, most - wide)) for most in source.size)
    return source.crop((left, top, left + wide, top + wide)).resize((side, side))


@cache
def photographs() -> list[Image.Image]:
    """Two that ship with scikit-learn, and one that ships here."""
    from sklearn.datasets import load_sample_images

    own = Path(legenda.__file__).parent / "zoo" / "pictures" / "chelsea.jpg"
    found = [Image.fromarray(one) for one in load_sample_images().images]
    return [*found, Image.open(own).convert("RGB")]


def named(draw: np.random.Generator, set_id: int, number: int, kind: str) -> UnitEntry:
    """A unit, mostly with a name."""
    sure = float(draw.beta(4, 2))
    said = " ".join(draw.choice(WORDS, 2)) if sure > 0.4 else ""
    state = "named" if said else "abstained"
    return UnitEntry(set_id, number, f"{kind} {number}", state, said, "" if said else "too unsure",
                     sure, max(0.0, sure - .1), min(1.0, sure + .1), sure * .9, {"fires": number})  # fmt: skip # noqa: E501


def exemplars(atlas: Atlas, draw: np.random.Generator, units: list[int], seen: list[int]) -> None:
    """For each unit eight pictures that turn it on, with their maps."""
    maps = [torch.from_numpy(draw.gamma(0.3, size=(8, 14, 14)).astype(np.float32)) for _ in units]
    facts = {"grid": [14, 14], "unit": "activation"}
    with atlas.writing():
        held = put_evidence(atlas, [EvidenceEntry("exemplars", {"maps": m}, facts) for m in maps])
        for unit, evidence in zip(units, held, strict=True):
            chosen = draw.choice(len(seen), 8, replace=False)
            put_exemplars(
                atlas, unit, [(seen[p], 1 - i / 10) for i, p in enumerate(chosen)], evidence
            )


def sheet(draw: np.random.Generator) -> EvidenceEntry:
    """Frames that change from left to right, as soft as what an autoencoder draws."""
    soft = [crop(draw, 20).resize((64, 64), Image.Resampling.BICUBIC) for _ in range(10)]
    ends = np.stack([np.asarray(one, float) for one in soft]).reshape(2, 5, 64, 64, 3)
    steps = [ends[0] * (1 - t) + ends[1] * t for t in np.linspace(0, 1, 7)]
    images = torch.from_numpy(np.stack(steps, 1).astype(np.uint8)).movedim(4, 2).contiguous()
    return EvidenceEntry("sheet", {"images": images, "values": torch.linspace(-3, 3, 7)})


def coded(draw: np.random.Generator, units: int) -> EvidenceEntry:
    """Which units are on in a picture, at each of 14 × 14 positions."""
    index = torch.from_numpy(draw.integers(0, units, (196, 4)).astype(np.int32))
    weight = torch.from_numpy(draw.gamma(1, size=(196, 4)).astype(np.float32))
    facts = {"grid": [14, 14], "frame": [0, 0, 320, 320]}
    return EvidenceEntry("codes", {"index": index, "weight": weight}, facts)


def explained(
    draw: np.random.Generator, unit: int, evidence: EvidenceEntry | None
) -> ExplanationEntry:
    """Five candidates and two scores."""
    said = tuple(Said(" ".join(draw.choice(WORDS, 6)), "measured", 0.8, 0.7, 0.9) for _ in range(5))
    scores = tuple(Score(name, .8, (.7, .9), 20, control=.3, control_interval=(.2, .4))
                   for name in ("name check", "right sheet"))  # fmt: skip
    return ExplanationEntry(
        f"drawn {unit}", f"unit {unit}", "Drawn", unit, None, evidence, said, scores
    )  # noqa: E501


def looked_at(page: Path, rounds: int) -> tuple[list[float], list[float], float, int]:
    """First paints, loads, the longest task while views are turned and scrolled, and how many."""
    from playwright.sync_api import sync_playwright

    from tests.show.browser import CHROMIUM, FLAGS, TASKS

    paints, loads = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for turn in range(rounds):
            shown = browser.new_page(viewport={"width": 1280, "height": 900})
            shown.goto(page.as_uri(), wait_until="load")
            shown.wait_for_selector("html[data-ready=yes]", state="attached")
            shown.wait_for_timeout(200)
            paints.append(
                shown.evaluate("performance.getEntriesByName('first-paint')[0].startTime")
            )
            loads.append(
                shown.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            )
            if turn == rounds - 1:
                shown.evaluate(TASKS)
                visited = turned(shown)
                shown.wait_for_timeout(200)
                longest = float(shown.evaluate("window.longest"))
            shown.close()
        browser.close()
    return paints, loads, longest, visited


def turned(shown: Any) -> int:
    """Go through views, search, and scroll each to its end; how many were seen."""
    views = shown.eval_on_selector_all(
        "script[data-view]", "all => all.map(one => one.dataset.view)"
    )
    step = max(1, len(views) // VISITS)
    chosen = [v for v in views if "/" not in v] + [v for v in views if "/" in v][::step]
    chosen += ["units?q=fur", "units?q=sand&state=named&order=score", "units?offset=50", "overview"]
    for view in chosen:
        shown.evaluate(f"location.hash = {view!r}")
        shown.wait_for_timeout(60)
        for _ in range(4):
            shown.mouse.wheel(0, 900)
            shown.wait_for_timeout(20)
    return len(chosen)
