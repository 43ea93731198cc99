"""Open-vocabulary segmentation of collages of cut-outs that no part of the model has seen."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.table import Row, quick
from benchmarks.truths.photos_activations import say
from legenda.core.interval import bootstrap
from legenda.tasks.segment import Segments, mean_iou, segment
from legenda.zoo.photos.collage import Placed, collage, stamps

NOBODY = -1
"""Of a pixel outside all masks: it is left out."""


def segment_rows(model: Any, books: dict[str, Any]) -> list[Row]:
    """MIoU over the names in each picture, and how exactly contributions add up."""
    cases = collages(10 if quick() else 120)
    pictures = [Image.fromarray(picture) for picture, _ in cases]
    acts = torch.cat([model.acts(model.pixels(pictures[i : i + 32])) for i in range(0, len(pictures), 32)])  # fmt: skip # noqa: E501
    ways = {"no bottleneck": None, **books}
    found: dict[str, list[float]] = {way: [] for way in ways}
    said = [[p.name for p in placed] for _, placed in cases]
    texts = dict(zip(names := sorted({n for own in said for n in own}), model.embed_text([f"a photo of a {n}" for n in names]), strict=True))  # fmt: skip # noqa: E501
    worst, chance, lot = 0.0, [], np.random.default_rng(0)
    for (_, placed), own, one in zip(cases, said, acts.split(1), strict=True):
        truth = told(placed)
        for way, book in ways.items():
            through = book is not None
            used = book if through else books["concepts"]
            parts = segment(used, one, own, torch.stack([texts[n] for n in own]), through)
            found[way].append(mean_iou([labels(parts, model.grid, truth.shape)], [truth], own)[0])
            worst = max(worst, missed(parts)) if way == "concepts" else worst
        dealt = lot.integers(0, len(own), len(acts[0])).reshape(model.grid)
        coarse = np.kron(dealt, np.ones((truth.shape[0] // model.grid[0],) * 2, int))
        chance.append(mean_iou([coarse], [truth], own)[0])
    say("collages: done")
    rows = []
    for way, values in found.items():
        each = torch.tensor(values, dtype=torch.float64)
        rows.append(Row(f"collages, mIoU: {way}", float(each.mean()), "IoU", "", None, len(each), bootstrap(each), float(np.mean(chance))))  # fmt: skip # noqa: E501
    for other in ("no bottleneck", "random"):
        gap = torch.tensor(found["concepts"], dtype=torch.float64) - torch.tensor(found[other], dtype=torch.float64)  # fmt: skip # noqa: E501
        rows.append(Row(f"collages, mIoU: concepts − {other}", float(gap.mean()), "IoU", "", None, len(gap), bootstrap(gap)))  # fmt: skip # noqa: E501
    rows.append(Row("collages: largest error of contributions that add up to a logit", worst, "cosine", "≤ 1e-5", worst <= 1e-5, len(cases)))  # fmt: skip # noqa: E501
    return rows


def collages(count: int) -> list[tuple[np.ndarray, list[Placed]]]:
    """Two cut-outs or more each, all of them visible."""
    stock, found, seed = stamps(part="test"), [], 0
    while len(found) < count:
        picture, placed = collage(seed, stock)
        seed += 1
        if len(placed) > 1 and all(p.mask.any() for p in placed):
            found.append((picture, placed))
    return found


def told(placed: list[Placed]) -> Int[np.ndarray, "h w"]:
    """Which name is right at each pixel."""
    truth = np.full(placed[0].mask.shape, NOBODY)
    for number, one in enumerate(placed):
        truth[one.mask] = number
    return truth


def labels(found: Segments, grid: tuple[int, int], size: tuple[int, ...]) -> Int[np.ndarray, "h w"]:
    """Logits of patches as labels of pixels."""
    maps = interpolate(found.logits.mT.unflatten(2, grid), size, mode="bilinear")
    return maps[0].argmax(0).numpy()


def missed(found: Segments) -> float:
    """How far what concepts and bias add is from the mean logit of a segment, at most."""
    own = found.labels[..., None] == torch.arange(len(found.classes))
    mean: Tensor = (found.logits.double() * own).sum(1) / own.sum(1).clamp(min=1)
    return float((found.added.double().sum(1) + found.rest - mean).abs()[found.size > 0].max())
