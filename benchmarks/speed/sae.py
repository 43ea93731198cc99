"""Sparse autoencoders: rows learned per second, 512 → 8192 units, 12 on, 4096 rows a step.

Ours against overcomplete's TopK and dictionary_learning's BatchTopK, each as it is, on the same
rows, from the same atoms, for the same steps at the same rate, in turns on the same processor. The
peers live in an environment of their own, whose interpreter `LEGENDA_PEERS` names; without it only
the dense literal twin is compared. Rows are sums of 12 of 1024 atoms and a little noise, about
their mean. Aux-k: none in TopK; in BatchTopK both wait for 10 M rows, so that no unit is dead, and
once more with 4,096 rows, a step, so that some are.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.table import Measurement, Row, quick
from legenda.dictionaries.autoencoder import Learner, SparseAutoencoder
from legenda.dictionaries.auxiliary import Revival
from legenda.dictionaries.batch_top_k import BatchTopK, together
from legenda.dictionaries.course import Lesson
from legenda.dictionaries.selection import native
from legenda.dictionaries.top_k import TopK
from legenda.train.loop import Schedule

WIDTH, UNITS, K, BATCH, ATOMS = 512, 8192, 12, 4096, 1024
LR, SOON, DEAD = 1e-3, 4096, 256
POOL = 12
Seconds = tuple[float, float]
"""By the clock, and of the processor, which waits for nobody else."""
PEER = Path(__file__).parent / "peers" / "sae.py"
GOAL, EQUAL = "≥3× (aim ≥4×)", "equal FVU ±2 %"


def drawn(count: int, seed: int) -> Tensor:
    """Rows Σ z d and noise, about their mean."""
    lot = torch.Generator().manual_seed(900 + seed)
    atoms = normalize(torch.randn(ATOMS, WIDTH, generator=torch.Generator().manual_seed(77)), dim=1)
    which = torch.rand(count, ATOMS, generator=lot).topk(K, dim=1).indices
    weight = 1 + 0.3 * torch.randn(count, K, generator=lot)
    noise = 0.02 * torch.randn(count, WIDTH, generator=lot)
    return bags(which, weight, atoms) + noise - K / ATOMS * atoms.sum(0)


def bags(which: Tensor, weight: Tensor, atoms: Tensor) -> Tensor:
    """Σ z d, row by row."""
    return torch.nn.functional.embedding_bag(which, atoms, mode="sum", per_sample_weights=weight)


@dataclass
class Ours:
    """One of our dictionaries in training."""

    lesson: Lesson
    pool: Tensor
    done: int = 0

    @classmethod
    def of(cls, learner: Learner, pool: Tensor) -> "Ours":
        plan = Schedule(100_000, LR, 0, 0.0, 0.0, betas=(0.9, 0.999), fused=True)
        sample = pool.flatten(0, 1)[: 2 * UNITS]
        return cls(Lesson("ours", learner, sample, plan, {"seed": "0"}), pool)

    @property
    def module(self) -> SparseAutoencoder:
        return self.lesson.module

    def steps(self, count: int) -> Seconds:
        """What so many steps took."""
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.lesson.step(self.pool[self.done % len(self.pool)], 100_000)
            self.done += 1
        return time.perf_counter() - began, time.process_time() - busy

    @torch.no_grad()
    def fvu(self, held: Tensor) -> float:
        """Of rows that were held out, with codes as while learning."""
        learner: Any = self.module.learner
        if isinstance(learner, BatchTopK):
            index, weight = together(learner, self.module, held).slots()
        else:
            index, weight = learner.slots(self.module, held)
        made = bags(index, weight, self.module.atoms) + self.module.bias
        return float((held - made).square().sum() / (held - held.mean(0)).square().sum())


class Twin:
    """The literal dense step: codes k wide, plain autograd, Adam as torch does it by default."""

    def __init__(self, module: SparseAutoencoder, pool: Tensor):
        self.parts = [p.detach().clone().requires_grad_() for p in module.parameters()]
        self.optimizer, self.pool, self.done = torch.optim.Adam(self.parts, lr=LR), pool, 0

    def steps(self, count: int) -> Seconds:
        """What so many steps took."""
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(count):
            encoder, offset, decoder, bias = self.parts
            x = self.pool[self.done % len(self.pool)]
            a = torch.relu((x - bias) @ encoder.T + offset)
            best = a.topk(K, dim=1)
            z = torch.zeros_like(a).scatter(1, best.indices, best.values)
            loss = (x - z @ decoder - bias).square().sum(1).mean()
            loss.backward()
            grad: Any = decoder.grad
            with torch.no_grad():
                grad -= (grad * decoder).sum(1, keepdim=True) * decoder
            torch.nn.utils.clip_grad_norm_(self.parts, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            with torch.no_grad():
                decoder /= decoder.norm(dim=1, keepdim=True)
            self.done += 1
        return time.perf_counter() - began, time.process_time() - busy


class Peer:
    """A library in its own interpreter, asked line by line."""

    def __init__(self, python: str, library: str, folder: Path):
        self.process = subprocess.Popen(
            [python, str(PEER), library, str(folder)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.answer()

    def answer(self) -> dict[str, float]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended without an answer")
        return json.loads(line)

    def ask(self, line: str) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def steps(self, count: int) -> Seconds:
        """What so many steps took."""
        answer = self.ask(f"steps {count}")
        return answer["seconds"], answer["processor"]

    def close(self) -> None:
        self.process.communicate()


def turns(sides: dict[str, Callable[[int], Seconds]], rounds: int, each: int) -> dict[str, Seconds]:
    """Rows per second of each side, the median over rounds; who begins changes with the round."""
    for steps in sides.values():
        steps(1)
    found: dict[str, list[Seconds]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            found[name].append(sides[name](each))
    return {
        name: (each * BATCH / median(s[0] for s in v), each * BATCH / median(s[1] for s in v))
        for name, v in found.items()
    }


def contest(
    python: str, library: str, learner: Learner, pool: Tensor, held: Tensor, after: int, size: tuple[int, int]
) -> tuple[list[Row], str]:  # fmt: skip # noqa: E501
    """Ours against one library: ratios with and without bfloat16, and both FVU."""
    ours, exact = Ours.of(learner, pool), Ours.of(replace(learner, half=False), pool)  # type: ignore[type-var]
    with tempfile.TemporaryDirectory() as folder:
        about = {"width": WIDTH, "units": UNITS, "k": K, "lr": LR, "after": after}
        (Path(folder) / "about.json").write_text(json.dumps(about))
        for name, value in {"rows": pool, "held": held, "start": ours.module.atoms}.items():
            np.save(Path(folder) / f"{name}.npy", value.numpy())
        peer = Peer(python, library, Path(folder))
    speed = turns({"ours": ours.steps, "exact": exact.steps, "peer": peer.steps}, *size)
    mine, theirs = ours.fvu(held), peer.ask("fvu")["fvu"]
    peer.close()
    same = all(
        torch.equal(p, q)
        for p, q in zip(ours.module.parameters(), exact.module.parameters(), strict=True)
    )  # noqa: E501
    dead = float((ours.module.get_buffer("silent") >= after).double().mean())
    name = f"{type(learner).__name__} against {library}" + ("" if after > SOON else ", units dead")
    gap, steps = mine / theirs - 1, size[0] * size[1] + 1
    said = ", ".join(f"{side} {v[0]:.0f} ({v[1]:.0f})" for side, v in speed.items())
    note = (
        f"{name}: rows per second, and per second of the processor: {said}; exact is ours without "
        f"bfloat16 (same bits: {same}); FVU after {steps} steps {mine:.4f} and {theirs:.4f}; dead "
        f"units {dead:.1%}"
    )
    return [
        *ratios(name, speed, "peer", size[0]),
        Row(f"{name}: FVU over theirs, less 1", gap, "", EQUAL, abs(gap) <= 0.02, BATCH),
    ], note


def ratios(name: str, speed: dict[str, Seconds], other: str, rounds: int) -> list[Row]:
    """Ours over the other by the clock, by the processor, and without bfloat16."""
    clock, busy = (speed["ours"][i] / speed[other][i] for i in (0, 1))
    return [
        Row(f"{name}: rows per second", clock, "x", GOAL, clock >= 3, rounds),
        Row(f"{name}: per second of the processor", busy, "x", "", None, rounds),
        Row(
            f"{name}: without bfloat16", speed["exact"][0] / speed[other][0], "x", "", None, rounds
        ),
    ]


def against_twin(pool: Tensor, size: tuple[int, int]) -> list[Row]:
    """Our TopK against the literal dense step in this process."""
    learner = TopK(UNITS, K, revive=None)
    ours, exact = Ours.of(learner, pool), Ours.of(replace(learner, half=False), pool)
    twin = Twin(ours.module, pool)
    speed = turns({"ours": ours.steps, "exact": exact.steps, "twin": twin.steps}, *size)
    return ratios("TopK against the dense twin", speed, "twin", size[0])


def measure() -> Measurement:
    """The row of issue 4 about training."""
    size = (2, 1) if quick() else (4, 5)
    pool = torch.stack([drawn(BATCH, seed) for seed in range(POOL)])
    held, python = drawn(BATCH, 10_000), os.environ.get("LEGENDA_PEERS", "")
    rows, notes = [], []
    revive = Revival(after=SOON, most=DEAD)
    for library, learner, after in (
        ("overcomplete", TopK(UNITS, K, revive=None), 10_000_000),
        ("dictionary_learning", BatchTopK(UNITS, K), 10_000_000),
        ("dictionary_learning", BatchTopK(UNITS, K, revive), SOON),
    ):
        if python:
            found, note = contest(python, library, learner, pool, held, after, size)
            rows += found
            notes.append(note)
    if not python:
        notes.append(
            "LEGENDA_PEERS is not set, so that overcomplete and dictionary_learning were not "
            "compared: name the interpreter of an environment that holds both."
        )
    rows += against_twin(pool, size)
    notes.append(
        f"bfloat16 native: {native(pool.device)}; load {os.getloadavg()[0]:.2f}, threads "
        f"{torch.get_num_threads()}; aux-k: none in TopK, after 10 M rows in BatchTopK (no unit "
        f"dead), after {SOON} rows with {DEAD} units in the third contest, on both sides"
    )
    return Measurement("sae", rows, [0], tuple(notes))
