"""Naming 8192 units by 20,000 words: seconds after the words are embedded, against a loop.

The twin takes one unit at a time: its cosines with all words, CSLS from the nearest of both, and
the best six; for family weights, a dense code of all units for each unit, as published. It runs on
a few units, and its time is scaled to all of them.
"""

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.table import Measurement, Row, quick
from legenda.corpus.unit_survey import Exemplars, UnitSurvey
from legenda.describe.centred_naming import CentredNaming
from legenda.describe.contrastive_naming import ContrastiveNaming
from legenda.describe.family_naming import FamilyNaming
from legenda.describe.naming import Name, named
from legenda.describe.unit_vectors import Naming, UnitEvidence, VanillaNaming
from legenda.describe.vocabulary import Vocabulary, everyday

UNITS, WIDTH, SLOTS, EXEMPLARS = 8192, 512, 12, 30
METHODS: dict[str, Naming] = {
    "centred": CentredNaming(),
    "vanilla": VanillaNaming(),
    "family": FamilyNaming(),
    "contrastive": ContrastiveNaming(),
}


def measure() -> Measurement:
    """The row of issue 4 about naming."""
    short = quick()
    torch.set_num_threads(2)
    units, few, rounds = (1024, 16, 1) if short else (UNITS, 64, 5)
    evidence, words, vocabulary = world(units)
    rows = []
    seconds = {name: [] for name in METHODS}
    found = {}
    for _ in range(rounds):
        for name, method in METHODS.items():
            found[name], took = timed(lambda m=method: named(evidence, vocabulary, words, m))
            seconds[name].append(took)
    for name, took in seconds.items():
        goal, ok = ("<10 s", median(took) < 10) if not short else ("", None)
        rows.append(
            Row(
                f"naming {units} units by {len(words)} words, {name}",
                median(took),
                "s",
                goal,
                ok,
                rounds,
            )
        )
    for name, loop in (("centred", centred_loop), ("family", family_loop)):
        slow, took = timed(lambda f=loop: f(evidence, words, few))
        ratio = took / few * units / median(seconds[name])
        same = agreement(slow, found[name], vocabulary)
        rows.append(Row(f"a loop over units against blocks, {name}", ratio, "x", "", None, few))
        rows.append(Row(f"same word as the loop, {name}", same, "share", "1", same == 1, few))
    notes = [
        f"load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}; with abstention (2048 shuffled units) and top six"
    ]
    notes += ["quick: 1024 units, one round"] if short else []
    return Measurement("naming", rows, [0], tuple(notes))  # fmt: skip


def world(units: int) -> tuple[UnitEvidence, Tensor, Vocabulary]:
    """Atoms, words and a survey of plausible sparsity, drawn by lot."""
    vocabulary = everyday()
    lot = torch.Generator().manual_seed(0)
    words = normalize(torch.randn(len(vocabulary), WIDTH, generator=lot), dim=1)
    pick = torch.randint(len(words), (units,), generator=lot)
    atoms = normalize(words[pick] + 0.05 * torch.randn(units, WIDTH, generator=lot), dim=1)
    bias = 0.1 * torch.randn(WIDTH, generator=lot)
    return UnitEvidence(atoms, bias, survey(units)), words, vocabulary


def survey(units: int) -> UnitSurvey:
    """Each unit with 11 others at each of its exemplars, and 100 in its counts."""
    lot = np.random.default_rng(0)
    index = lot.integers(units, size=(units, EXEMPLARS, SLOTS))
    index[:, :, 1:6] = index[:, :1, 1:6]  # some are on at all exemplars
    index[:, :, 0] = np.arange(units)[:, None]
    weight = lot.exponential(size=index.shape)
    row = np.repeat(np.arange(units), 105)
    column = np.concatenate([lot.integers(units, size=(units, 100)), index[:, 0, 1:6]], 1).ravel()
    share = np.concatenate([np.full((units, 100), 0.05), np.full((units, 5), 0.9)], 1).ravel()
    total = np.full(units, 1000.0)
    pairs = sparse.coo_array((share * 1000, (row, column)), shape=(units, units)).tocsr()
    pairs.setdiag(total)
    active = np.full(units, 1000)
    return UnitSurvey(
        "bench/sae", (14, 14), ("0",), 10**6, active, active, total, total, total,
        np.array([0.0, 1.0]), active[:, None],
        Exemplars(weight[:, :, 0], index[:, :, 0] * 0, index[:, :, 0] * 0, index, weight),
        pairs.astype(np.int64), pairs,
    )  # fmt: skip


def centred_loop(evidence: UnitEvidence, words: Tensor, few: int) -> list[int]:
    """CSLS, one unit at a time; what each word needs to know of all units is not in the loop."""
    units = normalize(evidence.atoms + evidence.offset - evidence.mean, dim=1)
    told = normalize(words - words.mean(0), dim=1)
    hub = torch.cat([(part @ units.T).topk(10, 1).values.mean(1) for part in told.split(500)])
    best = []
    for unit in units[:few]:
        cosine = torch.cosine_similarity(unit[None], told)
        own = cosine.topk(10).values.mean()
        best.append(int((2 * cosine - hub - own).topk(6).indices[0]))
    return best


def family_loop(evidence: UnitEvidence, words: Tensor, few: int) -> list[int]:
    """Family weights with a dense code of all units for each unit."""
    held, k = evidence.asked("the twin"), len(evidence)
    weighted, dense, best = held.weighted, [], []
    for unit in range(few):
        code = np.zeros(k)
        for index, weight in zip(
            held.exemplars.index[unit], held.exemplars.weight[unit], strict=True
        ):
            np.add.at(code, index, weight / EXEMPLARS)
        dense.append(code)
    length = np.mean([np.linalg.norm(code) for code in dense])
    for unit, code in enumerate(dense):
        share = weighted[[unit]].toarray()[0] / weighted[unit, unit]
        family = share * (share > 0.75) * code
        family *= 1.33 * length / np.linalg.norm(family)
        v = torch.from_numpy(family).float() @ evidence.atoms + evidence.offset
        best.append(int(torch.cosine_similarity(v[None], words).topk(6).indices[0]))
    return best


def agreement(slow: list[int], found: tuple[Name, ...], vocabulary: Vocabulary) -> float:
    """How often both give the same best word."""
    same = [vocabulary.words[w] == found[i].candidates[0][0] for i, w in enumerate(slow)]
    return sum(same) / len(same)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds."""
    start = perf_counter()
    found = run()
    return found, perf_counter() - start
