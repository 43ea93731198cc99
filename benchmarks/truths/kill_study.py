"""Killed at any moment: a study ends with the atlas of one that was not.

A process that has imported all it needs forks for each run of a small study (24 units: sheets,
names, silence, scores and two failures); the run is killed (SIGKILL) after a time drawn uniformly
between nothing and what a whole run takes, and another goes on in the same folder, until as many
kills as asked for have hit a run that was still going. Every atlas that came to its end is compared
with that of a run that was not killed: by the digest of what it says, and by the number of
explanations beyond one for each unit. The control is the same digest without one explanation. So that kills find something written, it writes as often as
a second of work would in a study thirty times as long.
"""

import tempfile
from pathlib import Path

from benchmarks.table import Measurement, Row, quick
from legenda.atlas.store import Atlas
from legenda.core.interval import wilson
from tests.corpus.survey_world import Nursery
from tests.study_world import UNITS, digest, sound, twice

JOB = "tests.study_world:one_study"
KILLS, FEW = 95, 10
"""The tests kill five more."""


def measure() -> Measurement:
    """Kills of a study."""
    kills = FEW if quick() else KILLS
    with tempfile.TemporaryDirectory() as folder, Nursery(JOB) as nursery:
        whole, finished = nursery.killed(0, Path(folder), kills, seed=0)
        expected = digest(whole)
        same = sum(digest(other) == expected for other in finished)
        doubled = sum(twice(other) for other in [whole, *finished])
        damaged = sum(not sound(other) for other in [whole, *finished])
        spoilt = sum(digest(without_one(other)) == expected for other in finished)
    rows = [
        Row(
            "runs that were killed and run again, and equal one that was not",
            same / len(finished),
            "share",
            "1",
            same == len(finished),
            len(finished),
            wilson(same, len(finished)),
            spoilt / len(finished),
        ),
        Row(
            "kills that hit a run",
            kills,
            "",
            "100 at random times, 5 of them in the tests",
            None if quick() else kills >= KILLS,
            kills,
        ),
        Row(
            "explanations that are there twice",
            doubled,
            "",
            "0",
            doubled == 0,
            (len(finished) + 1) * UNITS,
        ),
        Row(
            "atlases with damage, or with half an entry",
            damaged,
            "",
            "0",
            damaged == 0,
            len(finished) + 1,
        ),
    ]
    return Measurement("kill-study", rows, [0])


def without_one(folder: Path) -> Path:
    """An atlas that has lost one explanation, as a kill must not leave it."""
    with Atlas(folder, write=True) as atlas, atlas.writing() as base:
        base.execute("DELETE FROM explanations WHERE id = (SELECT max(id) FROM explanations)")
    return folder
