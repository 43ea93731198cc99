"""Explanations, gathered for at most a second: a kill costs that second, and never half an entry.

Their tensors go into one file, then all of their rows into one transaction. The second is counted
from the last writing, so that what took long to make is written as soon as it comes.
"""

import sqlite3
import time
from typing import Any

from legenda.atlas.entries import ExplanationEntry
from legenda.atlas.evidence import MANY, evidence_key, kept
from legenda.atlas.pack import clean, packed
from legenda.atlas.store import Atlas
from legenda.core.explanation import Score

HOLD = 1.0
"""Seconds that explanations are held before they are written, at most."""
MOST = 64 << 20
"""Bytes of tensors that are held, at most."""


class Writer:
    """Writes explanations of one study in shards, each at most a second after it came.

    Used with `with`: at its end, even one by an error, what was given is written.
    """

    def __init__(self, atlas: Atlas, study: int, hold: float = HOLD, most: int = MOST):
        self.atlas, self.study, self.hold, self.most = atlas, study, hold, most
        self.held: dict[str, ExplanationEntry] = {}
        self.bytes, self.since = 0, time.monotonic()

    def add(self, entry: ExplanationEntry) -> None:
        """Take one in; what is not written afterwards was made within the last second."""
        self.held[entry.key] = entry
        if entry.evidence:
            self.bytes += sum(a.numel() * a.element_size() for a in entry.evidence.arrays.values())
        late = time.monotonic() - self.since >= self.hold
        if late or self.bytes >= self.most or len(self.held) >= MANY:
            self.flush()

    def flush(self) -> None:
        """Write what is held, tensors first and then all rows; if that fails, it stays held."""
        self._write({key: one for key, one in self.held.items() if key not in self.atlas})
        self.held, self.bytes, self.since = {}, 0, time.monotonic()

    def _write(self, fresh: dict[str, ExplanationEntry]) -> None:
        if not fresh:
            return
        shown = {k: e.evidence for k, e in fresh.items() if e.evidence}
        named = {k: evidence_key(e) for k, e in shown.items()}
        with self.atlas.writing() as base:
            pieces = {named[k]: e for k, e in shown.items()}
            ids = kept(self.atlas, base, pieces, list(named.values()))
            where = dict(zip(named, ids, strict=True))
            for key, one in fresh.items():
                _explanation(base, self.study, one, where.get(key))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


def _explanation(
    base: sqlite3.Connection, study: int, one: ExplanationEntry, evidence: int | None
) -> None:
    made = base.execute(
        "INSERT OR IGNORE INTO explanations (key, study, unit, picture, target, by, evidence, "
        "facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (clean(one.key), study, one.unit, one.picture, clean(one.target), clean(one.by), evidence,
         packed(one.facts)),
    )  # fmt: skip
    if not made.rowcount:  # another writer was faster
        return
    base.executemany(
        "INSERT INTO descriptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (made.lastrowid, i, clean(d.text), clean(d.by), d.certainty, d.low, d.high,
             clean(d.abstained))
            for i, d in enumerate(one.descriptions)
        ],
    )  # fmt: skip
    base.executemany(
        "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_score(made.lastrowid, s) for s in one.scores],
    )


def _score(explanation: int | None, s: Score) -> tuple[Any, ...]:
    low, high = s.control_interval or (None, None)
    return (
        explanation, s.name, s.value, *s.interval, s.n, int(s.higher_is_better), s.control,
        low, high, s.unit,
    )  # fmt: skip
