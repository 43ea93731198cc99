"""A reference: what a model's acts and cosines look like on inputs of no special interest.

Attribution needs the mean and spread of the acts; the warning that a pair does not match
needs the cosines of pairs that do not. Both come from here, never from the batch.

A pair with cosine c, whose picture has cosines u_r to the reference sentences and whose
sentence has cosines v_r to the reference pictures, stands out by

    z = ½ [ (c - mean u) / std u + (c - mean v) / std v ]                 (1)

and is taken for a match only where z exceeds the 95 % quantile of swapped reference pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from legenda.corpus.images import open_image
from legenda.corpus.survey import Moments, survey_moments
from legenda.types import Scores

LEVEL = 0.95
PARTS = ("mean", "spread", "special_mean", "special_spread")


@dataclass(frozen=True)
class Reference:
    """Moments by tower and site, and embeddings of reference pairs, picture i with text i."""

    source: str
    moments: dict[str, Moments] = field(repr=False)
    images: Float[Tensor, "r e"] = field(repr=False)
    texts: Float[Tensor, "r e"] = field(repr=False)
    threshold: float

    def at(self, tower: str, site: object) -> Moments | None:
        """Moments of `image` or `text` at a site, where they were surveyed."""
        return self.moments.get(f"{tower}@{site}")

    def with_moments(self, tower: str, site: object, found: Moments) -> "Reference":
        """The same reference, knowing one more site."""
        return replace(self, moments={**self.moments, f"{tower}@{site}": found})

    def standing(self, image: Float[Tensor, "b e"], text: Float[Tensor, "b e"]) -> Scores:
        """Equation (1): how far each pair stands out, in standard deviations."""
        return standing(image, text, self.images.to(image), self.texts.to(image))

    def save(self, path: Path) -> None:
        """Write one safetensors file, embeddings in half precision."""
        tensors = {"images": self.images.half(), "texts": self.texts.half()}
        about = {"source": self.source, "threshold": repr(self.threshold)}
        for key, found in self.moments.items():
            tensors |= {f"{key}/{part}": getattr(found, part) for part in PARTS}
            about |= {f"{key}/count": str(found.count), f"{key}/source": found.source}
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, about)

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            about = file.metadata()
            keys = sorted(k.removesuffix("/count") for k in about if k.endswith("/count"))
            moments = {
                key: Moments(
                    *(file.get_tensor(f"{key}/{part}") for part in PARTS),
                    count=int(about[f"{key}/count"]),
                    source=about[f"{key}/source"],
                )
                for key in keys
            }
            images, texts = (file.get_tensor(k).float() for k in ("images", "texts"))
        return cls(about["source"], moments, images, texts, float(about["threshold"]))


def standing(
    image: Float[Tensor, "b e"],
    text: Float[Tensor, "b e"],
    images: Float[Tensor, "r e"],
    texts: Float[Tensor, "r e"],
) -> Scores:
    """Equation (1) for normalised embeddings."""
    cosine = (image * text).sum(-1)
    u, v = image @ texts.mT, text @ images.mT
    by_text = (cosine - u.mean(1)) / u.std(1).clamp(min=1e-6)
    by_image = (cosine - v.mean(1)) / v.std(1).clamp(min=1e-6)
    return (by_text + by_image) / 2


def reference_of(
    dual: Any,
    pictures: Sequence[Any],
    texts: Sequence[str],
    source: str,
    progress: Callable[[str], None] | None = None,
) -> Reference:
    """Survey pictures and sentences (of equal number, in pairs) at the sites `dual` is open at.

    Pictures are images, or files, which are opened a few at a time.
    """
    say = progress or (lambda _: None)
    say(f"surveying {len(pictures)} reference pictures")
    x = torch.cat(
        [
            dual.pixels([open_image(p) if isinstance(p, Path) else p for p in pictures[i : i + 32]])
            for i in range(0, len(pictures), 32)
        ]
    )
    ids = dual.ids(list(texts))
    moments = {
        key(dual.image): survey_moments(dual.image, [x], source),
        key(dual.text): survey_moments(dual.text, [ids], source),
    }
    images, embedded = dual.embed_images(x).cpu(), dual.embed_text(list(texts)).cpu()
    return Reference(source, moments, images, embedded, null_quantile(images, embedded))


def key(model: Any) -> str:
    """`image@1` for a tower open after block 1."""
    name, _, site = model.ref.rpartition("@")
    return f"{name.rsplit('/', 1)[-1]}@{site}"


def null_quantile(images: Float[Tensor, "r e"], texts: Float[Tensor, "r e"]) -> float:
    """The `LEVEL` quantile of `standing` over every swapped pair of the reference."""
    count = len(images)
    found = []
    for shift in range(1, min(count, 9)):
        swapped = texts.roll(shift, 0)
        differs = (swapped - texts).abs().amax(1) > 1e-4  # a sentence may stand twice
        found.append(standing(images, swapped, images, texts)[differs])
    values = torch.cat(found)
    return float(values.quantile(LEVEL)) if len(values) else 0.0
