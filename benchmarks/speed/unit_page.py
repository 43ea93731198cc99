"""A unit's page from the studio, as readers at the client see it.

The server is a process of its own. Each reader asks for the page of a unit by lot, takes it whole,
and asks for the next at once: a closed loop, over a connection that is kept. One atlas has 1,000
units of which all is held that a page shows, the other a million with names and numbers alone.
"""

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from benchmarks.million import million
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
    put_relations,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score

START = "import sys; from legenda.cli.studio import studio; from pathlib import Path; studio(Path(sys.argv[1]), port='0', json=True)"  # noqa: E501
READERS, MANY = 8, 32
PICTURES, EXEMPLARS, RELATIONS = 64, 8, 6


class Heard(NamedTuple):
    """Seconds of every answer, how many were errors, and answers a second in all."""

    seconds: np.ndarray
    errors: int
    rate: float


def measure() -> Measurement:
    """The row of issue 6 about the unit page."""
    short, rows = quick(), []
    count, each = (100_000, 40) if short else (1_000_000, 150)
    with tempfile.TemporaryDirectory() as place:
        small, large = thousand(Path(place) / "thousand"), million(Path(place) / "million", count)
        for folder, units in ((small, 1000), (large, count)):
            with Server(folder) as port:
                heard(port, units, 2, 30, seed=99)  # the first answers read the disk
                alone = heard(port, units, 1, each, seed=1)
                eight = heard(port, units, READERS, each, seed=2)
                many = heard(port, units, MANY, max(10, each // 4), seed=3)
            rows += told(units, alone, eight, many)
    load = f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return Measurement("unit-page", rows, [0, 1, 2, 3], (load,))


def told(units: int, alone: Heard, eight: Heard, many: Heard) -> list[Row]:
    """What was measured over one atlas."""
    ms = 1000 * np.quantile(eight.seconds, 0.95)
    n, name = len(eight.seconds), f"{units:,} units"
    return [
        Row(f"{name}, {READERS} readers: 95th percentile", ms, "ms", "<50 ms", bool(ms < 50), n),
        Row(f"{name}, {READERS} readers: median", 1000 * float(np.median(eight.seconds)), "ms", "", None, n),
        Row(f"{name}, {READERS} readers: answers", eight.rate, "a second", "", None, n),
        Row(f"{name}, 1 reader: median", 1000 * float(np.median(alone.seconds)), "ms", "", None, len(alone.seconds)),
        Row(f"{name}, {MANY} readers: errors", many.errors, "", "none", many.errors == 0, len(many.seconds)),
        Row(f"{name}, {MANY} readers: 95th percentile", 1000 * float(np.quantile(many.seconds, 0.95)), "ms", "", None, len(many.seconds)),
    ]  # fmt: skip


class Server:
    """The studio over a folder, as a process of its own; its port inside `with`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> int:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(self.folder)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        return int(json.loads(self.process.stdout.readline())["url"].rstrip("/").rpartition(":")[2])

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)


def heard(port: int, units: int, readers: int, each: int, seed: int) -> Heard:
    """What readers hear who ask for pages by lot, each for so many."""
    seconds: list[list[float]] = [[] for _ in range(readers)]
    errors = [0] * readers
    wait = threading.Barrier(readers + 1)

    def read(reader: int) -> None:
        lot = np.random.default_rng((seed, reader))
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        wire.connect()
        wait.wait()
        for number in lot.integers(1, units + 1, each):
            begun = perf_counter()
            wire.request("GET", f"/unit/{number}")
            answer = wire.getresponse()
            whole = answer.read()
            seconds[reader].append(perf_counter() - begun)
            errors[reader] += answer.status != 200 or not whole.rstrip().endswith(b"</html>")
        wire.close()

    threads = [threading.Thread(target=read, args=(i,)) for i in range(readers)]
    for thread in threads:
        thread.start()
    wait.wait()
    begun = perf_counter()
    for thread in threads:
        thread.join()
    took = perf_counter() - begun
    short = readers * each - sum(map(len, seconds))  # a reader that broke off was not answered
    return Heard(np.concatenate(seconds), sum(errors) + short, readers * each / took)


def thousand(folder: Path, count: int = 1000, seed: int = 0) -> Path:
    """An atlas in which everything is held that the page of a unit shows."""
    lot, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with Atlas(folder, write=True) as atlas, atlas.writing():
        model = put_model(atlas, ModelEntry("made:up", "made up", "everywhere"))
        found = put_set(atlas, SetEntry(model, "concepts", "concept", count))
        sure = lot.random(count)
        units = put_units(atlas, [
            UnitEntry(found, i, f"concept {i}", "named", f"name {i}", "", float(c), float(0.9 * c),
                      float(min(1, 1.1 * c)), float(c), {"fires": i, "score": "name check"})
            for i, c in enumerate(sure)
        ])  # fmt: skip
        seen = [put_picture(atlas, picture(lot, i)) for i in range(PICTURES)]
        study = put_study(
            atlas,
            StudyEntry("concepts", "Concepts", {"seed": seed}, {"legenda": "x"}, "legenda fit"),
        )
        maps = put_evidence(atlas, [
            EvidenceEntry("exemplars", {"maps": torch.rand(EXEMPLARS, 14, 14, generator=noise)}, {"grid": [14, 14], "unit": "activation"})
            for _ in units
        ])  # fmt: skip
        for unit, evidence in zip(units, maps, strict=True):
            chosen = lot.choice(seen, EXEMPLARS, replace=False)
            put_exemplars(
                atlas, unit, [(int(p), 1 - 0.1 * k) for k, p in enumerate(chosen)], evidence
            )
        put_relations(atlas, study, [
            RelationEntry("co-occurs", unit, int(other), 2.0, 80, 1.5, 2.5, 1.0)
            for unit in units for other in lot.choice(units, RELATIONS, replace=False) if other != unit
        ])  # fmt: skip
        with Writer(atlas, study) as writer:
            for unit in units:
                writer.add(explained(unit, noise))
    return folder


def picture(lot: np.random.Generator, number: int) -> PictureEntry:
    """A picture of coloured squares."""
    pixels = np.kron(lot.integers(0, 255, (8, 8, 3)), np.ones((28, 28, 1))).astype("uint8")
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "WEBP", quality=80)
    return PictureEntry(
        f"picture {number}", f"squares, number {number}", 224, 224, "image/webp", held.getvalue()
    )


def explained(unit: int, noise: torch.Generator) -> ExplanationEntry:
    """A sheet, candidates, and scores beside controls."""
    sheet = EvidenceEntry("sheet", {
        "images": (torch.rand(4, 5, 3, 16, 16, generator=noise) * 255).to(torch.uint8),
        "values": torch.linspace(-2, 2, 5)}, {"caption": f"unit {unit}"})  # fmt: skip
    scores = tuple(
        Score(name, 0.8, (0.7, 0.9), 20, control=0.2, control_interval=(0.1, 0.3))
        for name in ("name check", "right sheet among four", "drop")
    )
    said = tuple(
        Said(f"candidate {i} of {unit}", "vocabulary", 0.8 - 0.1 * i, 0.5, 0.9) for i in range(4)
    )
    return ExplanationEntry(
        f"unit {unit}", f"unit {unit}", "Naming", unit, None, sheet, said, scores
    )
