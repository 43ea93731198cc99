"""Codebook search: a step over the rows of a region against the dense published form.

The twin holds a row for each of 256 positions over 16,384 entries, chooses everywhere by hard
Gumbel softmax with a straight-through gradient, and multiplies the gradient of 240 rows by zero.
Without an extractor, both ask a fixed linear read-out of the embeddings.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks.speed.m2ib import interleaved
from benchmarks.speed.tis import published_units
from benchmarks.table import Measurement, Row, quick
from legenda.core.codebook import Codebook
from legenda.core.model import Embedded
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.corpus.region import box
from legenda.explain.codebook_search import Choice, CodebookSearch
from legenda.explain.positions import AtSite
from legenda.zoo.vq.shipped import concept_model, open_vq

POSITIONS = box((16, 16), 7, 7, 4, 4)
Read = Callable[[Tensor], Tensor]


class Dense:
    """The published step: P over all positions, a mask on its gradient, Adam on all of it."""

    def __init__(self, book: Codebook, before: Tensor, read: Read, lr: float = 0.01):
        self.atoms, self.read = book.atoms, read
        self.p = torch.full((before.shape[1], len(book)), -300.0)
        self.p[torch.arange(before.shape[1]), before[0]] = 300.0
        lot = torch.Generator().manual_seed(0)
        self.p[list(POSITIONS)] = torch.randn(len(POSITIONS), len(book), generator=lot)
        self.p.requires_grad_()
        self.mask = torch.zeros(before.shape[1], 1)
        self.mask[list(POSITIONS)] = 1.0
        self.optimizer = torch.optim.Adam([self.p], lr=lr)

    def step(self) -> None:
        """One step down."""
        gumbel = -torch.empty_like(self.p).exponential_().log()
        soft = (self.p + gumbel).softmax(-1)
        hard = one_hot(soft.argmax(-1), soft.shape[-1]).to(soft)
        acts = (hard - soft.detach() + soft) @ self.atoms
        (grad,) = torch.autograd.grad(-self.read(acts[None]).sum(), [self.p])
        self.p.grad = grad * self.mask
        self.optimizer.step()


def readout(width: int) -> Read:
    """A fixed linear map of all embeddings to one number."""
    weight = torch.randn(256, width, generator=torch.Generator().manual_seed(2))
    return lambda acts: (acts * weight).sum((1, 2))


def linear(book: Codebook, before: Tensor) -> AtSite:
    """The place of a search before the linear read-out."""
    read = readout(book.atoms.shape[1])
    return AtSite(Embedded(book.embed(before), lambda acts: read(acts)[:, None]), Logit(0))


def ours(book: Codebook, place: AtSite, before: Tensor) -> Callable[[], None]:
    """Our step, one start."""
    state = Choice(CodebookSearch(POSITIONS, restarts=1), book, place, before)
    return lambda: state.step(0)


def measure() -> Measurement:
    """The rows of issue 3 about codebook search."""
    units, rounds = published_units(), 3 if quick() else 15
    book: Any = units.dictionary
    before = torch.randint(len(book), (1, 256), generator=torch.Generator().manual_seed(1))
    dense = Dense(book, before, readout(book.atoms.shape[1]))
    alone = timed({"dense": dense.step, "rows": ours(book, linear(book, before), before)}, rounds)
    rows = [
        Row("a step without the extractor, dense against rows", ratio(alone), "x", "≥10×", ratio(alone) >= 10, rounds),
        *whole("published CNN", units, before, rounds),
        *zoo(rounds),
        *memory(book, dense),
    ]  # fmt: skip # noqa: E501
    note = f"seconds per step without extractor: { {k: round(median(v), 5) for k, v in alone.items()} }; load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}"  # noqa: E501
    return Measurement("codebook-search", rows, [0, 1, 2], (note,))


def whole(name: str, units: Units, before: Tensor, rounds: int) -> list[Row]:
    """The whole step with an extractor."""
    book, model, target = units.dictionary, units.model, Logit(3)
    assert isinstance(book, Codebook)
    place = AtSite(units.prefix(before), target)
    dense = Dense(book, before, lambda acts: model.logits(acts)[:, 3])  # pyright: ignore
    found = timed({"dense": dense.step, "rows": ours(book, place, before)}, rounds)
    return [
        Row(
            f"the whole step with the {name}, dense against rows",
            ratio(found),
            "x",
            "",
            None,
            rounds,
        )
    ]  # noqa: E501


def zoo(rounds: int) -> list[Row]:
    """The whole step with the extractor of `zoo:vq`, over its own 512 entries."""
    vq = open_vq()
    model = concept_model(vq)
    before = torch.randint(len(vq.codebook), (1, 256), generator=torch.Generator().manual_seed(1))
    return whole("extractor of zoo:vq (512 entries)", Units(model, vq.codebook), before, rounds)


def memory(book: Codebook, dense: Dense) -> list[Row]:
    """The numbers that are optimised, and the peak memory of a process that takes three steps."""
    state = len(POSITIONS) * len(book) / dense.p.numel()
    peaks = {form: peak(form) for form in ("neither", "dense", "rows")}
    return [
        Row("optimised numbers, rows over dense", state, "share", "exactly 1/16", state == 1 / 16, dense.p.numel()),
        *(Row(f"peak memory of three steps, {form}", peaks[form] - peaks["neither"], "MB") for form in ("dense", "rows")),
    ]  # fmt: skip # noqa: E501


def peak(form: str) -> float:
    """Peak memory of a fresh process, in megabytes."""
    command = [sys.executable, "-m", "benchmarks.speed.codebook_search", form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def alone(form: str) -> float:
    """Three steps in this process; its peak memory in megabytes."""
    book = Codebook(torch.randn(16384, 256, generator=torch.Generator().manual_seed(0)))
    before = torch.randint(len(book), (1, 256), generator=torch.Generator().manual_seed(1))
    steps: dict[str, Callable[[], Callable[[], None]]] = {
        "dense": lambda: Dense(book, before, readout(256)).step,
        "rows": lambda: ours(book, linear(book, before), before),
    }
    if form in steps:
        step = steps[form]()
        for _ in range(3):
            step()
    said = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent held
    return next(int(line.split()[1]) for line in said.splitlines() if "VmHWM" in line) / 1024


def timed(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, interleaved, after one of each."""
    for run in runs.values():
        run()
    return interleaved(runs, rounds)


def ratio(found: dict[str, list[float]]) -> float:
    """How many times as long the dense step takes."""
    return median(found["dense"]) / median(found["rows"])


if __name__ == "__main__":
    sys.stdout.write(f"{alone(sys.argv[1])}\n")
