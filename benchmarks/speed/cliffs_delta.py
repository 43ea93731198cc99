"""Cliff's δ of two samples: seconds against two nested loops.

The twin compares every pair in Python, as the official code does.
"""

import os
from statistics import median

import torch
from torch import Tensor

from benchmarks.speed.m2ib import interleaved
from benchmarks.table import Measurement, Row, quick
from legenda.core.effect import cliffs_delta

N, CALLS = 1000, 20
"""Values on each side, and calls of ours to one of the twin's."""


def measure() -> Measurement:
    """The row of issue 3 about effect sizes."""
    few, lot = quick(), torch.Generator().manual_seed(0)
    x = torch.randint(40, (N,), generator=lot) + 1  # counts of cells, many of them tied
    y = torch.randint(40, (N,), generator=lot)
    slow, fast = twin(x, y), cliffs_delta(x, y)
    seconds = interleaved(
        {"twin": lambda: twin(x, y), "ours": lambda: [cliffs_delta(x, y) for _ in range(CALLS)]},
        rounds=2 if few else 15,
    )
    theirs, ours = median(seconds["twin"]), median(seconds["ours"]) / CALLS
    notes = [
        f"seconds at n = {N}: twin {theirs:.4f}, ours {ours:.6f} (over {CALLS} calls); "
        f"load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}"
    ]
    if few:
        notes.append("quick: 2 repetitions of the double loop, not 15")
    rows = [
        Row(
            "one sort against two nested loops",
            theirs / ours,
            "x",
            "≥100×",
            theirs / ours >= 100,
            len(seconds["ours"]),
        ),
        Row("difference of the two values", abs(fast - slow), "", "0", fast == slow, N),
    ]
    return Measurement("cliffs-delta", rows, [0], tuple(notes))


def twin(x: Tensor, y: Tensor) -> float:
    """Every pair, one at a time, on plain numbers, which loops are quickest with."""
    xs, ys, won, lost = x.tolist(), y.tolist(), 0, 0
    for one in xs:
        for other in ys:
            if one > other:
                won += 1
            elif one < other:
                lost += 1
    return (won - lost) / (len(xs) * len(ys))
