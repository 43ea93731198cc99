"""What `zoo:vq` sees: photographs of CIFAR-10 and close-ups of drawn scenes, 32 pixels a side.

Both have one thing in the middle, and their 22 names are one label space. Photographs are
split as they come, but for the last 5,000 of the training part, which choose between
checkpoints; close-ups are split by seed.
"""

import json
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from legenda.errors import Missing
from legenda.zoo.photos.fetch import home
from legenda.zoo.photos.measure import CLASSES
from legenda.zoo.photos.packages import CIFAR
from legenda.zoo.scenes.world import KINDS
from legenda.zoo.vq.close_up import SIDE, picture_of

Part = Literal["training", "validation", "test"]
PHOTOGRAPHS = CLASSES
CONCEPTS = (*PHOTOGRAPHS, *KINDS)
"""Ten photographed classes, then twelve drawn kinds."""
SEEDS: dict[Part, int] = {"validation": 4_000_000, "test": 5_000_000, "training": 1_000_000_000}
"""Where the close-ups of each part begin; no scene of `zoo:scenes` has these seeds but in training."""  # noqa: E501
HELD_BACK = 5_000


@dataclass(frozen=True)
class Pictures:
    """Pictures as bytes, each with the number of what it shows in `CONCEPTS`."""

    images: UInt8[np.ndarray, "b h w 3"]
    labels: Int[Tensor, " b"]

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, rows: Tensor | slice = slice(None)) -> Float[Tensor, "b 3 h w"]:
        """As the network takes them, from -1 to 1."""
        return scaled(self.images[rows if isinstance(rows, slice) else rows.numpy()])

    def some(self, rows: Tensor) -> "Pictures":
        """A selection."""
        return Pictures(self.images[rows.numpy()], self.labels[rows])


def scaled(images: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Bytes as pixels from -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def photographs(part: Part, cache: Path | None = None) -> Pictures:
    """The photographs of a part, from the cache that `make data` fills."""
    folder = home(cache) / "pairs" / CIFAR.folder
    if not folder.is_dir():
        raise Missing(
            "the photographs of zoo:vq are CIFAR-10, which is not in the cache. "
            "Fetch them with `legenda zoo fetch vq`."
        )
    if part == "test":
        return _batches(folder, ["test_batch"], "test")
    whole = _batches(folder, [f"data_batch_{i}" for i in range(1, 6)], "train")
    cut = len(whole) - HELD_BACK
    rows = torch.arange(cut) if part == "training" else torch.arange(cut, len(whole))
    return whole.some(rows)


def _batches(folder: Path, names: list[str], part: str) -> Pictures:
    rows = []
    for name in names:
        with Image.open(folder / f"{name}.png") as file:
            rows.append(np.asarray(file.convert("RGB")).reshape(-1, SIDE, SIDE, 3))
    labels = json.loads((folder / f"{part}_lables.json").read_text("utf-8"))
    return Pictures(np.concatenate(rows), torch.tensor(labels))


def close_ups(part: Part, count: int, start: int = 0, pool: Executor | None = None) -> Pictures:
    """Close-ups number `start` and on of a part, painted by a pool where there is one."""
    first = SEEDS[part] + start
    paint = map if pool is None else pool.map
    parts = list(
        paint(_painted, range(first, first + count, 64), [first + count] * -(-count // 64))
    )
    images = np.concatenate([images for images, _ in parts])
    return Pictures(images, torch.tensor([label for _, labels in parts for label in labels]))


def _painted(first: int, end: int) -> tuple[np.ndarray, list[int]]:
    """Up to 64 close-ups and their labels."""
    made = [picture_of(seed) for seed in range(first, min(first + 64, end))]
    labels = [CONCEPTS.index(thing.kind) for thing, _ in made]
    return np.stack([image for _, image in made]), labels


def mixed(photos: Pictures, drawn: Pictures) -> Pictures:
    """Both, one after the other."""
    return Pictures(
        np.concatenate([photos.images, drawn.images]), torch.cat([photos.labels, drawn.labels])
    )


class Batches:
    """Batch number `step`: photographs by lot, turned around by chance, and the next close-ups.

    Close-ups are painted a few batches ahead.
    """

    def __init__(self, photos: Pictures, batch: int, seed: int, steps: int, pool: Executor):
        self.photos, self.batch, self.seed, self.steps, self.pool = photos, batch, seed, steps, pool
        self.ahead: dict[int, Future[Pictures]] = {}

    def __call__(self, step: int) -> Pictures:
        half = self.batch // 2
        for soon in range(step, min(step + 6, self.steps)):
            if soon not in self.ahead:
                start = self.seed * 1_000_000 + soon * half
                self.ahead[soon] = self.pool.submit(close_ups, "training", half, start)
        lot = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        photos = self.photos.some(
            torch.randint(len(self.photos), (self.batch - half,), generator=lot)
        )
        turned = (torch.rand(len(photos), generator=lot) < 0.5).numpy()
        photos.images[turned] = photos.images[turned, :, ::-1]
        return mixed(photos, self.ahead.pop(step).result())
