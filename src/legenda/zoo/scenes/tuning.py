"""Fine-tuning the scenes model on changed pictures: what ROAR+ needs.

A frozen split of scenes, painted once, is changed by the measure and handed back. A copy of
the model is trained on the changed training pictures (contrastively, all of its weights), and
then has to find the sentences of changed held-out pictures among each other. Everything
random comes from the seed and the number of the step, so that all runs see the same batches
and a run that was killed goes on as if it had not been.
"""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import CLIPModel

from legenda.core.target import digest
from legenda.errors import BadInput, ShapeError
from legenda.train.loop import Report, Schedule, fit
from legenda.types import Images
from legenda.zoo.scenes.recipe import SIDE, pixels_of
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.world import Scene, draw

FIRST_TRAIN, FIRST_TEST = 500_000_000, 600_000_000
"""Where the seeds of the split begin: no other set of scenes uses them."""


@dataclass(frozen=True)
class Split:
    """Scenes with their pictures and sentences: the training ones first, then the held-out."""

    scenes: tuple[Scene, ...]
    pixels: Images
    sentences: tuple[str, ...]
    train: int


def split(train: int = 2048, test: int = 256, most: int = 4, side: int = SIDE) -> Split:
    """The frozen split; a smaller one is its beginning. Held-out sentences are all different.

    Parameters
    ----------
    train, test: scenes to train on, and to be held out.
    most: objects per scene at most.
    side: pixels of the pictures.
    """
    scenes = [draw(FIRST_TRAIN + i, most) for i in range(train)]
    seen: set[str] = set()
    seed = FIRST_TEST
    while len(seen) < test:
        scene = draw(seed, most)
        if scene.caption() not in seen:
            seen.add(scene.caption())
            scenes.append(scene)
        seed += 1
    pictures = np.stack([photograph(scene, side) for scene in scenes])
    return Split(tuple(scenes), pixels_of(pictures), tuple(s.caption() for s in scenes), train)


@dataclass(frozen=True)
class Tuning:
    """Fine-tune on pictures, then find others: `(train c h w, test c h w) -> test`, 0 to 1.

    A held-out pair counts half if its picture finds its sentence, and half if its sentence
    finds its picture. The model that is given is copied, never changed.

    Parameters
    ----------
    model: what every fine-tuning starts from.
    words: its tokenizer.
    sentences: of the training pictures, then of the held-out ones, as in `Split`.
    images: budget of one fine-tuning; more lets the model learn more from what is left.
    batch: pictures per step, and so negatives per sentence.
    lr: learning rate of AdamW; more forgets faster.
    half: whether the forward pass runs in bfloat16.
    seed: of the batches.
    folder: where checkpoints go, so that a killed run can go on; None keeps none.
    report: called after each step with its figures.
    """

    model: CLIPModel = field(repr=False, compare=False)
    words: Any = field(repr=False, compare=False)
    sentences: tuple[str, ...] = field(repr=False)
    images: int = 16_384
    batch: int = 64
    lr: float = 2e-4
    half: bool = True
    seed: int = 0
    folder: Path | None = None
    report: Report | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 2 <= self.batch <= self.images:
            raise BadInput(
                "Tuning needs batches of at least two pictures and a budget of at least one "
                f"batch; it got batch={self.batch}, images={self.images}."
            )

    def __call__(self, train: Images, test: Float[Tensor, "t c h w"]) -> Float[Tensor, " t"]:
        if len(train) + len(test) != len(self.sentences):
            raise ShapeError(
                f"Tuning has {len(self.sentences)} sentences; it got {len(train)} pictures to "
                f"train on and {len(test)} held out. Give one sentence for each."
            )
        fed = self.words(list(self.sentences), padding=True, return_tensors="pt")
        ids = fed["input_ids"].to(train.device)
        model = self.tuned(train, ids[: len(train)])
        return found(model, test, ids[len(train) :], self.words.pad_token_id)

    def tuned(self, pixels: Images, ids: Int[Tensor, "b n"]) -> CLIPModel:
        """A copy of the model, trained on these pictures and sentences."""
        model = copy.deepcopy(self.model).float().train().requires_grad_(True)
        steps, size = self.images // self.batch, min(self.batch, len(pixels))

        def loss(step: int) -> tuple[Tensor, dict[str, float]]:
            lot = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            rows = torch.randperm(len(pixels), generator=lot)[:size]
            return contrast(model, pixels[rows], ids[rows], self.words.pad_token_id), {}

        schedule = Schedule(steps, self.lr, warmup=max(1, steps // 20), half=self.half)
        path = None if self.folder is None else self.folder / self._file(pixels)
        fit(model, loss, schedule, path, every=max(1, steps // 8), report=self.report)
        return model.eval()

    def _file(self, pixels: Images) -> str:
        """A name for the checkpoint of these pictures, this start and these settings."""
        start = digest(self.model.visual_projection.weight)
        settings = f"{self.images}-{self.batch}-{self.lr:g}-{self.half:d}-{self.seed}"
        return f"{digest(pixels)}-{start}-{settings}.safetensors"


def embed(
    model: CLIPModel, pixels: Images, ids: Int[Tensor, "b n"], pad: int
) -> tuple[Float[Tensor, "b e"], Float[Tensor, "b e"]]:
    """Embeddings of pictures and of sentences, normalised."""
    image: Any = model.get_image_features(pixel_values=pixels)
    text: Any = model.get_text_features(input_ids=ids, attention_mask=(ids != pad).long())
    pooled = image.pooler_output.float(), text.pooler_output.float()
    return normalize(pooled[0], dim=-1), normalize(pooled[1], dim=-1)


def contrast(model: CLIPModel, pixels: Images, ids: Int[Tensor, "b n"], pad: int) -> Tensor:
    """CLIP's loss: each picture against each sentence of its batch, both ways."""
    image, text = embed(model, pixels, ids, pad)
    scores = model.logit_scale.exp().clamp(max=100) * image @ text.T
    right = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2


def found(
    model: CLIPModel, pixels: Images, ids: Int[Tensor, "b n"], pad: int, batch: int = 64
) -> Float[Tensor, " b"]:
    """How well each pair is found among all: half for its picture, half for its sentence."""
    with torch.no_grad():
        parts = zip(pixels.split(batch), ids.split(batch), strict=True)
        pairs = [embed(model, p, i, pad) for p, i in parts]
    image, text = (torch.cat(side) for side in zip(*pairs, strict=True))
    cosine, own = image @ text.T, torch.arange(len(image), device=image.device)
    return ((cosine.argmax(1) == own).float() + (cosine.argmax(0) == own).float()) / 2
