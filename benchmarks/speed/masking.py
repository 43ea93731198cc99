"""Masking curves: seconds against the published loops, at equal masks and equal drops.

The twin is the official order of work: one image, one count and one method at a time; ids are
looked up position by position, squares blackened pixel by pixel, and the clean picture judged
again for each. Left out in its favour: it reads no file, and pixels are blackened in an array.
Judges have random weights, since time does not depend on them; their batch statistics are those
of the pictures, so that they react to what is masked.
"""

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from benchmarks.speed.m2ib import interleaved
from benchmarks.table import Measurement, Row, quick
from legenda.core.codebook import Codebook
from legenda.intervene.squares import Squares, squares
from legenda.intervene.tokens import Painter
from legenda.score.masking import MaskingCurve
from legenda.score.masks import Order, at_random, by_score, gone_by_id
from legenda.zoo.photos.mobilenet import MobileNetV2

GRID, CELL, ENTRIES, CLASSES, BLACK = (16, 16), 2, 512, 10, -1.0
HOW = MaskingCurve(Squares(GRID, BLACK), mode="id")
PUBLISHED = 16
"""Pixels to a side of a published square."""


def painter(cell: int = CELL) -> Painter:
    """A codebook whose entries are squares of pixels; of 2 × 2 for pictures of 32 × 32."""
    lot = torch.Generator().manual_seed(0)
    book = Codebook(torch.rand(ENTRIES, 3 * cell**2, generator=lot) * 2 - 1)
    return Painter(book, lambda acts: pixel_shuffle(acts.mT.unflatten(2, GRID), cell))


def grids(count: int) -> Tensor:
    """Tokens of which some are frequent and most are rare, as in pictures."""
    share = 1 / torch.arange(1, ENTRIES + 1).double()
    lot = torch.Generator().manual_seed(1)
    return torch.multinomial(share.expand(count, -1), 256, replacement=True, generator=lot)


def judges() -> dict[str, nn.Module]:
    """MobileNetV2 on pictures enlarged to 64 × 64, and a small network on them as they are."""
    torch.manual_seed(0)
    small = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in ((3, 32), (32, 64), (64, 128))),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES),
    )  # fmt: skip
    large = nn.Sequential(Resize(64), MobileNetV2(classes=CLASSES))
    return {
        "MobileNetV2 at 64 px": awake(large, painter()(grids(64))),
        "a small CNN at 32 px": awake(small, painter()(grids(64))),
    }


def awake(judge: nn.Module, pictures: Tensor) -> nn.Module:
    """A judge that has seen some pictures."""
    for module in judge.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # what is kept is the statistics of the one batch it sees
    with torch.no_grad():
        judge.train()(pictures)
    return judge.eval().requires_grad_(False)


class Resize(nn.Module):
    """Pictures stretched to a size."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, (self.size, self.size), mode="bilinear")


def measure() -> Measurement:
    """The row of issue 3 about masking."""
    few = quick()
    count, rounds = (4, 1) if few else (24, 3)
    ratios, equal, notes = [], [], []
    for name, judge in judges().items():
        ratio, note = timed(name, judge, CELL, HOW, count, rounds)
        ratios.append(
            Row(
                f"batched against one at a time, {name}",
                ratio,
                "x",
                "" if few else "≥10×",
                None if few else ratio >= 10,
                rounds,
            )
        )
        equal += equality(name, judge)
        notes.append(note)
    head = f"{count} images × {len(HOW.counts)} counts × 2 methods"
    notes.append(f"{head}; load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}")
    rows = [*ratios, *equal, *published_size(1 if few else 4, rounds)]
    return Measurement("masking", rows, [0, 1, 2], tuple(notes))  # fmt: skip


def published_size(count: int, rounds: int) -> list[Row]:
    """Pictures of 256 × 256 before a judge of 224 × 224, which fills the processor by itself."""
    torch.manual_seed(0)
    large = nn.Sequential(Resize(224), MobileNetV2(classes=CLASSES))
    large = awake(large, painter(PUBLISHED)(grids(8)))
    ratio, _ = timed("", large, PUBLISHED, replace(HOW, batch=1), count, rounds)
    name = "pictures of 256 px, MobileNetV2 at 224 px, a batch of 1: clean logits kept, no loops"
    return [Row(name, ratio, "x", "", None, rounds), squares_alone(rounds)]


def task(count: int) -> tuple[Tensor, dict[str, Order], Tensor]:
    """Tokens, two orders of their positions, and classes."""
    lot = torch.Generator().manual_seed(2)
    tokens = grids(count)
    scores = torch.rand(tokens.shape, generator=lot)
    orders = {"target": by_score(tokens, scores), "random": at_random(tokens)}
    return tokens, orders, torch.randint(CLASSES, (count,), generator=lot)


def timed(
    name: str, judge: nn.Module, cell: int, how: MaskingCurve, count: int, rounds: int
) -> tuple[float, str]:
    """How many times faster we are, and the seconds."""
    tokens, orders, labels = task(count)
    paint = painter(cell)
    runs: dict[str, Callable[[], Any]] = {
        "twin": lambda: twin(judge, tokens, paint(tokens), orders, labels, cell),
        "ours": lambda: how(tokens, orders, paint, {"judge": judge}, labels),
    }
    seconds = {key: median(some) for key, some in interleaved(runs, rounds).items()}
    said = f"{name}: twin {seconds['twin']:.3f} s, ours {seconds['ours']:.4f} s"
    return seconds["twin"] / seconds["ours"], said


def equality(name: str, judge: nn.Module) -> list[Row]:
    """How far both are apart: by nothing in float64, by the rounding of batches in float32."""
    tokens, orders, labels = task(2)
    rows, n = [], len(tokens) * len(orders) * len(HOW.counts)
    for kind, goal in ((torch.float64, "≤1e-10"), (torch.float32, "")):
        network, paint = deepcopy(judge).to(kind), painter()
        paint = Painter(Codebook(paint.book.atoms.to(kind)), paint.decode)
        slow = twin(network, tokens, paint(tokens), orders, labels, CELL)
        found = HOW(tokens, orders, paint, {"judge": network}, labels)
        fast = torch.stack([found[method, "judge"].drop() for method in orders])
        gap = float((fast - slow).abs().max() / slow.abs().max())
        said = f"largest difference over largest drop, {name}, {str(kind)[6:]}"
        rows.append(Row(said, gap, "", goal, gap <= 1e-10 if goal else None, n))
    return rows


@torch.no_grad()
def twin(
    judge: nn.Module,
    tokens: Tensor,
    pictures: Tensor,
    orders: dict[str, Order],
    labels: Tensor,
    cell: int,
) -> Tensor:
    """The published order of work: drops of the logit (methods, counts, images)."""
    drops = torch.zeros(len(orders), len(HOW.counts), len(tokens), dtype=torch.float64)
    for i, label in enumerate(labels.tolist()):
        for s, count in enumerate(HOW.counts):
            for m, order in enumerate(orders.values()):
                black = blackened(tokens[i], pictures[i], order.positions[i, :count], cell)
                clean, masked = judge(pictures[i : i + 1]), judge(black[None])
                drops[m, s, i] = float(clean[0, label]) - float(masked[0, label])
    return drops


def blackened(tokens: Tensor, picture: Tensor, best: Tensor, cell: int) -> Tensor:
    """One picture with black squares wherever one of the best ids stands, pixel by pixel."""
    ids, row = set(tokens[best].tolist()), tokens.tolist()
    pixels = picture.clone().numpy()
    for p, token in enumerate(row):
        if token in ids:
            r, c = divmod(p, GRID[1])
            for y in range(r * cell, (r + 1) * cell):
                for x in range(c * cell, (c + 1) * cell):
                    pixels[:, y, x] = BLACK
    return torch.from_numpy(pixels)


def squares_alone(rounds: int) -> Row:
    """The masks without judges, at the published 256 × 256 pixels in squares of 16 × 16."""
    tokens, orders, _ = task(4)
    order, pictures = orders["target"], painter(PUBLISHED)(tokens)
    best = order.positions[:, :25]
    runs: dict[str, Callable[[], Any]] = {
        "twin": lambda: [blackened(*one, PUBLISHED) for one in zip(tokens, pictures, best, strict=True)],
        "ours": lambda: squares(pictures, gone_by_id(tokens, order, 25), GRID, BLACK),
    }  # fmt: skip
    assert torch.equal(torch.stack(runs["twin"]()), runs["ours"]())
    seconds = interleaved(runs, rounds)
    ratio = median(seconds["twin"]) / median(seconds["ours"])
    return Row("squares alone, 256 px, 25 positions by id", ratio, "x", "", None, rounds)
