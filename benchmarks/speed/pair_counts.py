"""Pair counts: which of 8192 units are on together, sparse against a dense matmul.

Both count 16,384 positions of 12 units each. The dense twin multiplies 8192 × 8192 in float32,
some positions at a time; its counts are exact, since they stay below 2²⁴. Units are drawn
uniformly, which gives the most different pairs and so is the worst case for sparse counting; the
second row draws them by Zipf's law.
"""

import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from legenda.core.codes import Codes
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_survey import FLOOR

UNITS, POSITIONS, SLOTS = 8192, 16384, 12
CHUNK = 2048
"""So many positions are dense at once."""
COLUMNS = 512
"""D is compared in float64 for so many units."""


def drawn(law: str, seed: int = 0) -> Codes:
    """Codes whose units are equally frequent, or by Zipf's law."""
    lot = torch.Generator().manual_seed(seed)
    rank = torch.arange(1, UNITS + 1, dtype=torch.float32)
    share = torch.ones(UNITS) if law == "uniform" else 1 / rank
    index = torch.multinomial(share.expand(POSITIONS, -1), SLOTS, generator=lot)
    weight = torch.rand(POSITIONS, SLOTS, generator=lot) + 0.01
    return Codes(index[None], weight[None], UNITS)


def dense(codes: Codes, both: bool) -> tuple[Tensor, Tensor | None]:
    """The published products: C, and D if `both`."""
    counts, sums = torch.zeros(UNITS, UNITS), torch.zeros(UNITS, UNITS) if both else None
    for start in range(0, POSITIONS, CHUNK):
        rows = slice(start, start + CHUNK)
        z = Codes(codes.index[:, rows], codes.weight[:, rows], UNITS).dense()[0]
        on = (z > FLOOR).float()
        counts.addmm_(on.T, on)
        if sums is not None:
            sums.addmm_(z.T, on)
    return counts, sums


def worst(found: SparsePairs, codes: Codes) -> float:
    """The largest relative difference of D from a dense float64 product, over some units."""
    z = torch.zeros(POSITIONS, UNITS, dtype=torch.float32)
    z.scatter_(1, codes.index[0], codes.weight[0])
    on = (z[:, :COLUMNS] > FLOOR).double()
    exact = torch.zeros(UNITS, COLUMNS, dtype=torch.float64)
    for rows in torch.arange(POSITIONS).split(CHUNK):
        exact.addmm_(z[rows].double().T, on[rows])
    ours = torch.from_numpy(found.weighted[:, :COLUMNS].toarray())
    return float(((ours - exact).abs() / exact.abs().clamp(min=1e-300)).max())


def measured(law: str, rounds: int, both: bool) -> tuple[list[Row], str]:
    """Rows of one law; the dense twin runs once, between our rounds."""
    codes, ours = drawn(law), []
    SparsePairs.of(codes)
    for _ in range(rounds // 2):
        ours.append(_seconds(lambda: SparsePairs.of(codes)))
    began = time.perf_counter()
    counts, _ = dense(codes, both)
    slow = time.perf_counter() - began
    for _ in range(rounds - rounds // 2):
        ours.append(_seconds(lambda: SparsePairs.of(codes)))
    found = SparsePairs.of(codes)
    equal = bool(np.array_equal(found.together.toarray(), counts.numpy().astype(np.int64)))
    ratio, gap = slow / median(ours), worst(found, codes)
    held = sum(
        m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in (found.together, found.weighted)
    )
    what = "C and D" if both else "C (ours: C and D)"
    goal = "≥100×, exactly equal"
    rows = [
        Row(f"{law}: {what}, dense over sparse", ratio, "x", goal, ratio >= 100, rounds),
        Row(f"{law}: C equal in every entry", float(equal), "", "exactly equal", equal, UNITS**2),
        Row(
            f"{law}: D, largest relative difference from float64",
            gap,
            "",
            "1e-12",
            gap <= 1e-12,
            UNITS * COLUMNS,
        ),
        Row(
            f"{law}: memory of C and D",
            held / 2**20,
            "MiB",
            "",
            None,
            found.together.nnz,
            control=2 * 4 * UNITS**2 / 2**20,
        ),
    ]
    return rows, f"{law}: dense {slow:.2f} s, sparse {median(ours):.4f} s (slowest {max(ours):.4f})"


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure() -> Measurement:
    """The row of issue 4 about pair counts."""
    rounds = 3 if quick() else 10
    laws = [("uniform", not quick())] if quick() else [("uniform", True), ("zipf", False)]
    found = [measured(law, rounds, both) for law, both in laws]
    note = f"load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()} (sparse products use one)"
    return Measurement(
        "pair-counts",
        [row for rows, _ in found for row in rows],
        [0],
        (*(n for _, n in found), note),
    )
