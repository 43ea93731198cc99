"""An atlas of a million units: how long it takes to open, and to find a page of fifty.

Opening is measured in processes of their own, from the path to models, dictionaries and counts by
state. Searches are drawn at random as a person types them: words of names by the law that the names
themselves are drawn by, whole or cut short, alone or in pairs; kinds, states, certainties and
scores; in every order. Each is timed once. The twin asks the same of the same tables without a
thought, `LIKE '%word%'` and a sort. Pages are compared with a full sort of everything that fits.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.million import SETS, SHARES, WORDS, million, words
from benchmarks.table import HERE, Measurement, Row, quick
from legenda.atlas import search_ways
from legenda.atlas.search import ORDERS, Query, search
from legenda.atlas.store import Atlas

CHILD = """import sys, time
from legenda.atlas.store import Atlas
from legenda.atlas.summary import summary
began = time.perf_counter()
with Atlas(sys.argv[1]) as atlas:
    summary(atlas)
    print(time.perf_counter() - began)"""


def queries(count: int, seed: int = 0) -> dict[str, list[Query]]:
    """Searches by what they ask for; `all of it` mixes everything."""
    lot, known = np.random.default_rng(seed), words()
    share = 1 / np.arange(1, WORDS + 1)

    def word() -> str:
        whole = known[lot.choice(WORDS, p=share / share.sum())]
        return whole if lot.random() < 0.5 else whole[: lot.integers(1, len(whole))]

    def one(of: list[Any]) -> Any:
        return of[lot.integers(len(of))]

    kinds, states = [kind for _, kind, _ in SETS], list(SHARES)
    draw: dict[str, Callable[[], Query]] = {
        "name": lambda: Query(" ".join(word() for _ in range(lot.integers(1, 3)))),
        "kind": lambda: Query(kind=one(kinds), state=one([None, *states])),
        "certainty": lambda: Query(certainty=float(lot.random()), order=one(["certainty", "score"])),
        "score": lambda: Query(score=float(lot.random()), order=one(["certainty", "score"])),
        "all of it": lambda: Query(
            word(), one([None, *kinds]), one([None, "named"]), None,
            one([None, float(lot.random())]), one([None, float(lot.random())]), one(list(ORDERS)),
        ),
    }  # fmt: skip
    return {name: [make() for _ in range(count)] for name, make in draw.items()}


def measure() -> Measurement:
    """The row of issue 6 about a million units."""
    count, asked = (50_000, 20) if quick() else (1_000_000, 200)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        path = million(Path(folder) / "million.atlas", count)
        built = time.perf_counter() - began
        opening = [opened(path) for _ in range(3 if quick() else 9)]
        with Atlas(path) as atlas:
            rows = [
                _open_row(opening),
                *_searches(atlas, asked),
                _equal(atlas, 5 if quick() else 20),
            ]
        size = path.joinpath("atlas.db").stat().st_size
    notes = (
        f"{count:,} units, {size / 1e6:.0f} MB, made in {built:.0f} s; load {os.getloadavg()[0]:.2f}",
        "between: for opening the least and the most, for searches the median and the most",
    )  # fmt: skip
    return Measurement("atlas-open", rows, [0, 1], notes)


def opened(path: Path) -> float:
    """Seconds to open an atlas in a new process, and to count its units by state."""
    command = [sys.executable, "-c", CHILD, str(path)]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _open_row(seconds: list[float]) -> Row:
    value, between = median(seconds) * 1e3, (min(seconds) * 1e3, max(seconds) * 1e3)
    goal = "" if quick() else "<200 ms"
    return Row("open and count", value, "ms", goal, between[1] < 200 if goal else None, len(seconds), between)  # noqa: E501 # fmt: skip


def _searches(atlas: Atlas, count: int) -> list[Row]:
    """The 95th percentile of each kind of search, with the median of the twin beside it."""
    rows: list[Row] = []
    goal = "" if quick() else "<50 ms"
    for name, some in queries(count).items():
        seconds = np.array([_timed(lambda q=q: search(atlas, q)) for q in some]) * 1e3
        slow = [_timed(lambda q=q: naive(atlas, q)) for q in some[:: max(1, count // 5)]]
        p50, p95, most = np.percentile(seconds, (50, 95, 100))
        met = bool(p95 < 50) if goal else None
        said = f"search by {name}, 95 in 100"
        rows.append(Row(said, float(p95), "ms", goal, met, count, (float(p50), float(most)), median(slow) * 1e3))  # noqa: E501 # fmt: skip
    return rows


def naive(atlas: Atlas, query: Query) -> list[Any]:
    """The twin: every unit looked at, what fits sorted."""
    parts, values = ["1"], []
    for word in query.text.split():
        parts.append("(u.name LIKE ? OR u.label LIKE ?)")
        values += [f"%{word}%"] * 2
    for part, value in (
        ("s.kind = ?", query.kind), ("+u.state = ?", query.state),
        ("+u.certainty >= ?", query.certainty), ("+u.score >= ?", query.score),
    ):  # fmt: skip
        if value is not None:
            parts.append(part)
            values.append(value)
    order = "u.set_id, u.number" if query.order == "number" else f"+u.{query.order} DESC"
    asked = f"""SELECT u.id FROM units u JOIN sets s ON s.id = u.set_id
      WHERE {" AND ".join(parts)} ORDER BY {order} LIMIT 51"""
    return atlas.all(asked, *values)


def _equal(atlas: Atlas, count: int) -> Row:
    """Whether pages are those of a full sort, over all kinds of searches."""
    some = [replace(q, offset=3) for group in queries(count, seed=1).values() for q in group]
    quickly = [[row["id"] for row in search(atlas, q).rows] for q in some]
    few, search_ways.FEW = search_ways.FEW, 10**9
    try:
        slowly = [[row["id"] for row in search(atlas, q).rows] for q in some]
    finally:
        search_ways.FEW = few
    same = sum(a == b for a, b in zip(quickly, slowly, strict=True))
    return Row("pages equal to a full sort", same, "", f"{len(some)}", same == len(some), len(some))


def _timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
