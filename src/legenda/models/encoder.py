"""Vision encoders and classifiers of `transformers`: ViT and DINOv2, with or without registers."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from legenda.corpus.view_box import Preprocess
from legenda.models.loading import Site, block_of, short
from legenda.models.module import self_check
from legenda.models.towers import Anatomy, Tower
from legenda.types import Mask

ENCODERS = {
    "vit": Anatomy("embeddings", "layers"),
    "dinov2": Anatomy("embeddings", "encoder.layer"),
    "dinov2_with_registers": Anatomy("embeddings", "encoder.layer"),
}


@dataclass(frozen=True)
class Encoder:
    """A vision encoder or classifier, with what turns pictures into its input."""

    image: Tower
    preprocess: Preprocess
    name: str
    ref: str
    labels: dict[int, str] | None = None


def encoder_of(model: Any, preprocess: Preprocess, *, site: Site | None = None, ref: str) -> Encoder:  # fmt: skip # noqa: E501
    """A vision encoder or classifier of transformers in memory, opened and self-checked."""
    config, site, name = model.config, site or {}, short(ref)
    classifies = hasattr(model, "classifier")
    inner = f"{model.base_model_prefix}." if classifies else ""
    parts = ENCODERS[config.model_type]
    anatomy = Anatomy(inner + parts.embeddings, inner + parts.blocks)
    special = 1 + int(getattr(config, "num_register_tokens", 0) or 0)
    tower = Tower(
        model, anatomy, block_of(site, "image", config),
        classify if classifies else summarise,
        lambda x, n: leading(x, n, special),
        (preprocess.size[0] // config.patch_size, preprocess.size[1] // config.patch_size),
        name=f"{name}/image", ref=f"{ref}/image",
    )  # fmt: skip
    h, w = preprocess.size
    self_check(tower, torch.randn(1, 3, h, w, generator=torch.Generator().manual_seed(0)))
    labels = dict(config.id2label) if classifies else None
    return Encoder(tower, preprocess, name, ref, labels)


def classify(root: Any, x: Tensor) -> Tensor:
    """Logits (b, classes)."""
    return root(pixel_values=x).logits


def summarise(root: Any, x: Tensor) -> Tensor:
    """The class token after the last norm (b, d)."""
    return root(pixel_values=x).last_hidden_state[:, 0]


def leading(x: Tensor, n: int, special: int) -> tuple[Mask, Mask]:
    """Marks of an image tower: the first positions are special, all are valid."""
    marks = torch.zeros(len(x), n, dtype=torch.bool, device=x.device)
    marks[:, :special] = True
    return marks, torch.ones_like(marks)
