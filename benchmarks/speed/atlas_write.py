"""Writing explanations with evidence: many to a file and a transaction, against one each.

An explanation has a map of 16 × 16 numbers, two candidates and a score with its control. The twin
writes a file and a transaction for each, both brought to the disk as carefully. What a kill would
cost is the age of the oldest explanation that is not yet on the disk when writing begins.
"""

import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from benchmarks.table import Measurement, Row, quick
from legenda.atlas.digest import content_digest
from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    Said,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.atlas.write import put_model, put_set, put_study, put_units
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score

UNITS = 1000
GOAL = 2000.0


@dataclass
class Watched(Writer):
    """A writer that notes how old what it held was when it came to write it."""

    atlas: Atlas
    study: int
    hold: float
    ages: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.atlas, self.study, self.hold)
        self.first = 0.0

    def add(self, entry: ExplanationEntry) -> None:
        """Note when the oldest came."""
        if not self.held:
            self.first = time.perf_counter()
        super().add(entry)

    def flush(self) -> None:
        """Note how old it is, and how long it takes."""
        if not self.held:
            return
        began = time.perf_counter()
        self.ages.append(began - self.first)
        super().flush()
        self.taken.append(time.perf_counter() - began)


def entries(count: int, units: list[int]) -> list[ExplanationEntry]:
    """Explanations, each another."""
    lot = torch.Generator().manual_seed(0)
    maps = torch.rand(count, 16, 16, generator=lot)
    said = (Said("a name", "measured", 0.9, 0.8, 0.95), Said("another", "measured", 0.6))
    score = Score("right", 0.9, (0.8, 1.0), 8, control=0.25, control_interval=(0.1, 0.4))
    return [
        ExplanationEntry(
            f"key {i}", f"unit {i % UNITS}", "InformationBottleneck", units[i % UNITS], None,
            EvidenceEntry("attribution", {"map": maps[i].clone()}, {"grid": [16, 16], "unit": "nats"}),
            said, (score,), {"cosine": 0.3},
        )
        for i in range(count)
    ]  # fmt: skip


def prepared(folder: Path) -> tuple[Atlas, int, list[int]]:
    """An empty atlas with units and a study."""
    atlas = Atlas(folder, write=True)
    with atlas.writing():
        model = put_model(atlas, ModelEntry("made:up", "made up"))
        found = put_set(atlas, SetEntry(model, "latents", "latent", UNITS))
        ids = put_units(atlas, (UnitEntry(found, i, f"latent {i}") for i in range(UNITS)))
        return atlas, put_study(atlas, StudyEntry("made", "Made up", {"seed": 0})), ids


def written(folder: Path, count: int, hold: float) -> tuple[float, Watched, str]:
    """Explanations a second, the writer, and the digest of the first hundred."""
    atlas, study, units = prepared(folder)
    with atlas:
        some = entries(count, units)
        began = time.perf_counter()
        writer = Watched(atlas, study, hold)
        with writer:
            _add(writer, some)
        seconds = time.perf_counter() - began
        damage = [one for one in verify(atlas) if one.damage]
        assert not damage, damage
        return count / seconds, writer, content_digest(atlas)


def _add(writer: Writer, some: Iterable[ExplanationEntry]) -> None:
    for one in some:
        writer.add(one)


def measure() -> Measurement:
    """The row of issue 6 about writing."""
    count, few, rounds = (2000, 100, 1) if quick() else (20_000, 400, 3)
    rates, slow, ages, taken = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            rate, writer, _ = written(Path(folder) / f"ours {i}", count, 1.0)
            rates.append(rate)
            ages += writer.ages
            taken += writer.taken
            slow.append(written(Path(folder) / f"twin {i}", few, 0.0)[0])
        same = {written(Path(folder) / f"same {hold}", few, hold)[2] for hold in (0.0, 1.0)}
    goal = "" if quick() else "≥2,000"
    rows = [
        Row("explanations a second", median(rates), "/s", goal, min(rates) >= GOAL if goal else None,
            rounds, (min(rates), max(rates)), median(slow)),
        Row("times the twin", median(rates) / median(slow), "x", "", None, rounds),
        Row("oldest that is not yet written", max(ages), "s", "≤1.05", max(ages) <= 1.05, len(ages)),
        Row("longest writing", max(taken), "s", "", None, len(taken)),
        Row("contents by both ways", len(same), "", "1", len(same) == 1, few),
    ]  # fmt: skip
    notes = (
        f"{count} with maps of 16 × 16 and {few} of the twin; load {os.getloadavg()[0]:.2f}",
        "between: the slowest and the quickest round",
    )
    return Measurement("atlas-write", rows, [0], notes)
