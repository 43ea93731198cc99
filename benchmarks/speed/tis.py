"""Token importance on the published CNN: seconds per noisy batch against the slow twin.

The twin is the official procedure: for each noisy copy of the batch, one backward pass
through the whole batch per image, with a graph of the gradient kept.
"""

import os
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.m2ib import interleaved
from benchmarks.table import Measurement, Row, quick
from legenda.concepts.extractors import PUBLISHED
from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.explain.positions import normal
from legenda.explain.token_importance import TokenImportance

GRID, WIDTH, CLASSES, ENTRIES = (16, 16), 256, 1000, 16384


def published_units(extractor: str = "cnn") -> Units:
    """An extractor of the published size over a codebook of the published size, random weights."""
    torch.manual_seed(0)
    book = Codebook(torch.randn(ENTRIES, WIDTH))
    net = PUBLISHED[extractor].build(WIDTH, GRID, CLASSES)
    concepts = tuple(map(str, range(CLASSES)))
    return Units(ConceptModel(net, book, concepts, GRID, name=extractor, ref=extractor), book)


def measure() -> Measurement:
    """The row of issue 3 about token importance."""
    few = quick()
    count, draws = (3 if few else 25), (1 if few else 4)
    units, lot = published_units(), torch.Generator().manual_seed(1)
    x = torch.randint(ENTRIES, (count, 256), generator=lot)
    labels = tuple(torch.randint(CLASSES, (count,), generator=lot).tolist())
    one, more = TokenImportance(draws=1), TokenImportance(draws=draws, batch=max(25, count))
    slow = twin(units, x, labels, one)
    fast = one(units, x, Logit(labels)).scores
    gap = float((fast - slow).abs().max() / slow.abs().max())
    seconds = interleaved(
        {
            "twin": lambda: twin(units, x, labels, one),
            "ours": lambda: more(units, x, Logit(labels)),
        },
        rounds=1 if few else 3,
    )
    theirs, ours = median(seconds["twin"]), median(seconds["ours"]) / draws
    notes = [
        f"seconds per noisy batch of {count}: twin {theirs:.2f}, ours {ours:.3f} (over {draws}); "
        f"load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}"
    ]
    if few:
        notes.append("quick: 3 images, for which (1+B)/2 is 2, not 13")
    goal, equal = "≥11× (aim ≥15×)", "≤1e-5 in float32"
    rows = [
        Row("one backward pass per batch against one per image", theirs / ours, "x", goal if not few else "", theirs / ours >= 11 if not few else None, len(seconds["ours"])),
        Row("largest difference over largest value", gap, "", equal, gap <= 1e-5, count),
    ]  # fmt: skip # noqa: E501
    return Measurement("tis", rows, [0, 1], tuple(notes))


def twin(units: Units, x: Tensor, labels: tuple[int, ...], how: TokenImportance) -> Tensor:
    """The published order of work, with the range of each image and largest absolute slopes."""
    model: Any = units.model
    acts = model.acts(x)
    width = acts.amax((1, 2)) - acts.amin((1, 2))
    sigma = (how.scale * width)[:, None, None]
    noise = normal((acts.shape[1], how.draws, acts.shape[2]), how.seed).transpose(0, 1)
    total = torch.zeros_like(acts)
    for epsilon in noise:
        noisy = (acts + sigma * epsilon).requires_grad_()
        logits = model.logits(noisy)
        for i, label in enumerate(labels):
            (slope,) = torch.autograd.grad(logits[i, label], [noisy], create_graph=True)
            total[i] += slope[i].detach() / how.draws
    return total.abs().amax(2)
