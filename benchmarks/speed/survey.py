"""The survey: one pass for all 8192 units against a bare forward pass, at ViT-B/16 shapes.

Weights are random, since time does not depend on them; pictures are noise and lie in memory, so
that neither side waits for a disk. The bare pass runs the network alone, on pixels that are ready,
in the same batches. Peak memory is that of a process of its own that surveys N or 4 N pictures,
recording all codes, with one layer of the network in place of twelve, pictures of 112 pixels and
shards of 8. What is held grows with the
pairs of units that were ever on together, so the corpus of 4 N holds each picture of N four times;
4 N different pictures are told beside it.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.table import Measurement, Row, quick
from legenda.core.model import Edit, Rerun, Run
from legenda.core.units import Units
from legenda.corpus.picture_pass import SHARD, PicturePass
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.surveying import survey
from legenda.corpus.unit_statistics import UnitStatistics
from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.top_k import TopK

UNITS, SLOTS, WIDTH = 8192, 12, 768


class Vit(nn.Module):
    """A vision transformer of ViT-B/16 shapes, opened at its last layer."""

    name, ref, grid = "vit-b-16", "benchmarks.speed.survey:Vit", (14, 14)

    def __init__(self, layers: int = 12, side: int = 224):
        super().__init__()
        from transformers import ViTConfig, ViTModel

        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = ViTConfig(num_hidden_layers=layers, image_size=side)
            self.vit: Any = ViTModel(config, add_pooling_layer=False)
        self.eval()

    def pixels(self, pictures: list[Image.Image]) -> Tensor:
        """Pixels from -1 to 1."""
        arrays = np.stack([np.asarray(picture) for picture in pictures])
        return torch.from_numpy(arrays).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    @torch.no_grad()
    def acts(self, x: Tensor) -> Tensor:
        return self.vit(pixel_values=x).last_hidden_state

    def run(self, x: Tensor, edit: Edit | None = None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, acts[:, 0])

    def prefix(self, x: Tensor) -> Rerun:
        acts = self.acts(x)
        special = torch.zeros(acts.shape[:2], dtype=torch.bool)
        special[:, 0] = True
        return Rerun(self, x, acts, special, torch.ones_like(special))


@dataclass(frozen=True)
class Noise:
    """Pictures of noise, blurred to blotches of many sizes; after `different` they come again."""

    count: int
    different: int = 1_000_000
    side: int = 224

    @cached_property
    def held(self) -> list[Image.Image]:
        """All of them, decoded."""
        return [self.open(i) for i in range(self.count)]

    @property
    def digest(self) -> str:
        return repr(self)

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return str(i)

    def label(self, i: int) -> str | None:
        return None

    def open(self, i: int) -> Image.Image:
        lot = np.random.default_rng(i % self.different)
        fine = int(lot.integers(2, 57))
        blotches = Image.fromarray(lot.integers(0, 256, (fine, fine, 3), np.uint8))
        return blotches.resize((self.side, self.side), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Decoded:
    """Pictures that are in memory."""

    noise: Noise

    @property
    def digest(self) -> str:
        return self.noise.digest

    def __len__(self) -> int:
        return len(self.noise)

    def key(self, i: int) -> str:
        return self.noise.key(i)

    def label(self, i: int) -> str | None:
        return None

    def open(self, i: int) -> Image.Image:
        return self.noise.held[i]


def dictionary() -> SparseAutoencoder:
    """8192 random atoms, of which 12 are on."""
    lot = torch.Generator().manual_seed(0)
    atoms = nn.functional.normalize(torch.randn(UNITS, WIDTH, generator=lot), dim=1)
    learner = TopK(UNITS, SLOTS)
    return SparseAutoencoder(
        atoms.clone(), torch.zeros(UNITS), atoms, torch.zeros(WIDTH), learner, "topk"
    )


def measure() -> Measurement:
    """The rows of issue 4 about surveys."""
    count, rounds = (SHARD, 1) if quick() else (2 * SHARD, 3)
    pictures = Decoded(Noise(count))
    units = Units(Vit(), dictionary())
    found = rates(units, pictures, rounds)
    ratio = median(found["survey"]) / median(found["forward"])
    each = parts(units, pictures)
    rows = [
        Row(
            "a survey of all units over a bare forward pass",
            ratio,
            "x",
            "≤1.3×",
            ratio <= 1.3,
            count * rounds,
        ),
        *(
            Row(f"one shard: {name}", 1000 * seconds / SHARD, "ms per picture", n=SHARD)
            for name, seconds in each.items()
        ),
        *memory(),
    ]
    flops = 196 * WIDTH * UNITS * 2 / 1e9
    note = f"readings of {UNITS} units cost {flops:.2f} GFLOP a picture, the network about 35; forward {median(found['forward']):.2f} s, survey {median(found['survey']):.2f} s for {count} pictures; load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}"
    return Measurement("survey", rows, [0], (note,))


def rates(units: Units, pictures: Decoded, rounds: int) -> dict[str, list[float]]:
    """Seconds of the bare pass and of the survey, in turn, after a warm-up."""
    x: list[Tensor] = [units.model.pixels([p]) for p in pictures.noise.held]  # pyright: ignore
    batches = torch.cat(x).split(SHARD)
    runs: dict[str, Callable[[], Any]] = {
        "forward": lambda: [units.model.acts(batch) for batch in batches],
        "survey": lambda: survey(units, pictures),
    }
    units.model.acts(batches[0])
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def parts(units: Units, pictures: Decoded) -> dict[str, float]:
    """Seconds of each part of one shard."""
    going = PicturePass(units, pictures)
    seconds, at = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal at
        seconds[name], at = time.perf_counter() - at, time.perf_counter()

    x = torch.cat([p for i in range(SHARD) if isinstance(p := going.prepared(i), Tensor)])
    lap("pixels")
    prefix = units.prefix(x)
    lap("network")
    codes, mask = units.dictionary.encode(prefix.acts), ~prefix.special
    lap("codes")
    one = UnitStatistics.of(codes, mask=mask)
    lap("statistics")
    pairs = SparsePairs.of(codes, mask=mask)
    lap("pairs")
    one.merge(one)
    pairs.merge(pairs)
    lap("merging")
    return seconds


def memory() -> list[Row]:
    """Peak memory of processes of their own, N and 4 N pictures.

    A peak is the largest of many moments, and rises for the first thousand pictures or so
    (670 MB after 256, 786 after 1536, 793 after 3072 in one run); N lies beyond.
    """
    few, apart = (128, 128) if quick() else (2048, 256)
    (small, pairs), (large, same), (other, more) = (
        alone(few, apart),
        alone(4 * few, apart),
        alone(few, few),
    )
    growth, goal = large / small, "independent of the number of images (≤1.05×)"
    return [
        Row(
            f"peak memory, {4 * few} pictures over {few}",
            growth,
            "x",
            goal,
            growth <= 1.05,
            4 * few,
        ),
        Row(f"peak memory, {few} pictures; n: pairs seen", small, "MB", n=pairs),
        Row(f"peak memory, {4 * few} pictures; n: pairs seen", large, "MB", n=same),
        Row(f"peak memory, {few} different pictures; n: pairs seen", other, "MB", n=more),
    ]


def alone(count: int, different: int) -> tuple[float, int]:
    """Peak memory in megabytes, and pairs that were seen, of a survey in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.speed.survey", str(count), str(different)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, pairs = done.stdout.split()
    return float(peak), int(pairs)


def here(count: int, different: int) -> str:
    """A survey in this process: its peak memory, and the pairs that it saw."""
    with tempfile.TemporaryDirectory() as folder:
        units, pictures = Units(Vit(1, 112), dictionary()), Noise(count, different, 112)
        found = survey(units, pictures, folder, shard=8)
    said = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in said.splitlines() if "VmHWM" in line) / 1024
    return f"{peak} {found.together.nnz}"


if __name__ == "__main__":
    sys.stdout.write(here(int(sys.argv[1]), int(sys.argv[2])) + "\n")
