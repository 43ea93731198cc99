"""Killed at any moment: surveys and trainings end with the bits of those that were not.

A process that has imported all it needs forks for each run; the run is killed (SIGKILL) after a
time drawn uniformly between nothing and what a whole run takes, and another goes on in the same
folder, until as many kills as asked for have hit a run that was still going. Every folder that
came to its end is compared, by the SHA-256 of all its files, with that of a run that was not
killed. The header of a safetensors file may say the same in any order, so it is sorted first.
"""

import json
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import torch

from benchmarks.table import Measurement, Row, quick
from legenda.core.interval import wilson
from legenda.corpus.rows import ArrayRows
from legenda.dictionaries.course import fit
from legenda.dictionaries.top_k import TopK
from legenda.train.loop import Schedule
from tests.corpus.survey_world import Nursery

JOBS = {
    "survey": "tests.corpus.survey_world:one_survey",
    "training": "benchmarks.truths.kill:one_training",
}


def one_training(folder: Path) -> None:
    """What is killed: two dictionaries over 400 steps, with a checkpoint every 10."""
    lot = torch.Generator().manual_seed(0)
    rows = torch.randn(4096, 16, generator=lot)
    learners = {"narrow": TopK(64, k=4), "wide": TopK(128, k=2)}
    plan = Schedule(steps=400, warmup=20, weight_decay=0.0)
    fit(learners, ArrayRows(rows), plan, batch=256, seed=0, folder=folder, every=10)


def measure() -> Measurement:
    """Kills of both kinds of work."""
    kills = 10 if quick() else 100
    rows = []
    with tempfile.TemporaryDirectory() as folder, Nursery(*JOBS.values()) as nursery:
        for number, name in enumerate(JOBS):
            rows += killed(nursery.killed, number, name, Path(folder) / name, kills)
    return Measurement("kill", rows, [0, 1])


def killed(
    kill: Callable[..., tuple[Path, list[Path]]], number: int, name: str, folder: Path, kills: int
) -> list[Row]:
    """Rows of one kind of work."""
    whole, finished = kill(number, folder, kills, seed=number)
    expected = contents(whole)
    same = sum(contents(other) == expected for other in finished)
    ok = same == len(finished)
    return [
        Row(
            f"{name}: runs that were killed and resumed, and equal one that was not",
            same / len(finished),
            "share",
            "bit-identical",
            ok,
            len(finished),
            wilson(same, len(finished)),
        ),
        Row(
            f"{name}: kills that hit a run",
            kills,
            "",
            "100 at random times",
            None if quick() else kills >= 100,
            kills,
        ),
        Row(f"{name}: files compared in each", len(expected)),
    ]


def contents(folder: Path) -> dict[str, str]:
    """A checksum of what each file of a folder says."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            length = int.from_bytes(data[:8], "little")
            header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True)
            data = header.encode() + data[8 + length :]
        found[path.name] = sha256(data).hexdigest()
    return found
