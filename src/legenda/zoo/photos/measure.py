"""What `zoo:photos` can do on pictures whose families it has never seen: retrieval and CIFAR-10."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.interval import bootstrap, wilson

from .features import pixels
from .packages import CIFAR
from .picture import SIZE, opened, plain
from .towers import LONGEST, PhotosImage, PhotosText

Progress = Callable[[str, int, int], None]
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
PROMPTS = ("a photo of a {}", "a picture of a {}", "{}")
RANKS = (1, 5, 10)
BATCH = 32


@dataclass(frozen=True)
class Measure:
    """One measured share, with its 95 % interval, the number of cases, and what chance gives."""

    name: str
    value: float
    interval: tuple[float, float]
    n: int
    chance: float


class Encoder:
    """Both towers from pictures and sentences to unit vectors, in batches."""

    def __init__(self, image: PhotosImage, text: PhotosText, tokenizer: Any):
        self.image, self.text, self.tokenizer = image, text, tokenizer

    @torch.inference_mode()
    def pictures(self, batch: Sequence[Image.Image]) -> Tensor:
        """Embed RGB pictures of 224x224."""
        return normalize(self.image(pixels(batch)), dim=-1)

    @torch.inference_mode()
    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences."""
        rows = []
        for start in range(0, len(texts), BATCH):
            tokens = self.tokenizer(
                list(texts[start : start + BATCH]),
                padding=True, truncation=True, max_length=LONGEST, return_tensors="pt",
            )  # fmt: skip
            rows.append(self.text(tokens["input_ids"], tokens["attention_mask"]))
        return normalize(torch.cat(rows), dim=-1)


def retrieval(images: Tensor, texts: Tensor, label: str = "") -> list[Measure]:
    """Recall at 1, 5 and 10 in both directions; row i of both is a pair."""
    scores = images @ texts.T
    found = []
    for direction, table in (("image→text", scores), ("text→image", scores.T)):
        rank = (table >= table.diagonal()[:, None]).sum(1)
        for top in RANKS:
            hit = (rank <= top).double()
            name = f"{direction}{label} R@{top}"
            found.append(Measure(name, float(hit.mean()), bootstrap(hit), len(hit), top / len(hit)))
    return found


def retrievals(
    encoder: Encoder, folder: Path, entries: Sequence[dict[str, str]], progress: Progress | None
) -> list[Measure]:
    """Retrieval among held-out pairs, with whole captions and with titles alone."""
    rows = []
    for start in range(0, len(entries), BATCH):
        chosen = entries[start : start + BATCH]
        rows.append(
            encoder.pictures([plain(opened(folder / entry["picture"])) for entry in chosen])
        )
        if progress:
            progress("held-out pictures", start + len(chosen), len(entries))
    images = torch.cat(rows)
    captions = encoder.sentences([entry["caption"] for entry in entries])
    titles = encoder.sentences([entry["title"] for entry in entries])
    return [*retrieval(images, captions), *retrieval(images, titles, ", title only,")]


def cifar10(
    encoder: Encoder, folder: Path, count: int = 10_000, progress: Progress | None = None
) -> Measure:
    """Zero-shot accuracy on the first `count` test pictures of CIFAR-10, enlarged from 32 px."""
    pictures, labels = cifar_pictures(folder, count)
    prompts = [encoder.sentences([p.format(name) for p in PROMPTS]).mean(0) for name in CLASSES]
    names = normalize(torch.stack(prompts), dim=-1)
    right = 0
    for start in range(0, count, BATCH):
        scores = encoder.pictures(pictures[start : start + BATCH]) @ names.T
        right += int((scores.argmax(1) == labels[start : start + BATCH]).sum())
        if progress:
            progress("CIFAR-10", min(start + BATCH, count), count)
    return Measure("CIFAR-10 zero-shot accuracy", right / count, wilson(right, count), count, 0.1)


def cifar_pictures(folder: Path, count: int) -> tuple[list[Image.Image], Tensor]:
    """The first test pictures and their labels, from the unpacked package."""
    with Image.open(folder / CIFAR.folder / "test_batch.png") as file:
        rows = np.asarray(file.convert("RGB")).reshape(-1, 32, 32, 3)[:count]
    labels = json.loads((folder / CIFAR.folder / "test_lables.json").read_text("utf-8"))[:count]
    bicubic = Image.Resampling.BICUBIC
    return [Image.fromarray(row).resize((SIZE, SIZE), bicubic) for row in rows], torch.tensor(
        labels
    )
