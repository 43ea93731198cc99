"""An atlas of a million units, quickly: names of a few words, certainties, scores, four kinds.

Names are drawn by Zipf's law from 4,000 invented words, so that some words are in tens of
thousands of names and most in a few. Sixty in a hundred units have a name.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from legenda.atlas.entries import ModelEntry, SetEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set

SETS = (("codebook", "token", 1), ("latents", "latent", 1), ("sae", "concept", 5), ("mlp", "neuron", 3))  # noqa: E501 # fmt: skip
"""Dictionary, kind, and its share of tenths."""
SHARES = {"named": 0.6, "abstained": 0.2, "inactive": 0.1, "dead": 0.05, "unread": 0.05}
WORDS, CHUNK = 4000, 50_000
SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "si", "to", "ve", "do", "fa", "gu", "ho", "pi")
ROW = """INSERT INTO units (set_id, number, label, state, name, said, why, certainty, low, high,
  score, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def million(folder: Path, count: int = 1_000_000, seed: int = 0) -> Path:
    """Write the atlas; where it is there already, nothing is done."""
    if (folder / "atlas.db").exists():
        return folder
    lot = np.random.default_rng(seed)
    with Atlas(folder, write=True) as atlas:
        model = put_model(atlas, ModelEntry("made:up", "made up", "everywhere"))
        with atlas.writing() as base, indexed_afterwards(base):
            for dictionary, kind, tenths in SETS:
                size = count * tenths // 10
                found = put_set(atlas, SetEntry(model, dictionary, kind, size))
                for start in range(0, size, CHUNK):
                    base.executemany(ROW, rows(found, kind, start, min(CHUNK, size - start), lot))
    return folder


@contextmanager
def indexed_afterwards(base: Any) -> Iterator[None]:
    """Take indexes and triggers of units away, and make at once what they would have made."""
    asked = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'units' AND sql NOTNULL"
    held = base.execute(f"{asked} AND type IN ('index', 'trigger')").fetchall()
    for kind, name, _ in held:
        base.execute(f"DROP {kind} {name}")
    yield
    base.execute("INSERT INTO tallies SELECT set_id, state, count(*) FROM units GROUP BY 1, 2")
    base.execute("INSERT INTO words (words) VALUES ('rebuild')")
    for _, _, made in held:
        base.execute(made)


def words() -> list[str]:
    """Invented words, each another; the first are the frequent ones."""
    n = len(SYLLABLES)
    spelled = ((i, i // n, i // n**2, i * 7) for i in range(WORDS))
    return ["".join(SYLLABLES[j % n] for j in one) for one in spelled]


def rows(
    set_id: int, kind: str, start: int, count: int, lot: np.random.Generator
) -> Iterator[tuple]:
    """Rows of units, drawn many at once."""
    known = words()
    share = 1 / np.arange(1, WORDS + 1)
    drawn = lot.choice(WORDS, (count, 3), p=share / share.sum())
    states = lot.choice(list(SHARES), count, p=list(SHARES.values()))
    sure, score = lot.random(count).round(4), lot.random(count).round(4)
    for i in range(count):
        state, c = str(states[i]), float(sure[i])
        name = " ".join(known[j] for j in drawn[i]) if state == "named" else ""
        why = "its answers disagree" if state == "abstained" else ""
        numbers = (c, max(0.0, c - 0.1), min(1.0, c + 0.1), float(score[i]))
        if state in ("dead", "unread"):
            numbers = (None, None, None, None)
        yield (set_id, start + i, f"{kind} {start + i}", state, name, name, why, *numbers, "{}")


if __name__ == "__main__":
    began = time.perf_counter()
    million(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
    print(f"{time.perf_counter() - began:.1f} s")
