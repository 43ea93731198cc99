"""Dual encoders: an image tower and a text tower that meet in one space."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from legenda.core.model import Model, repeated
from legenda.core.target import Similarity
from legenda.corpus.reference import Reference
from legenda.corpus.view_box import Preprocess
from legenda.models.words import Words
from legenda.types import Images


@dataclass(frozen=True)
class Dual:
    """Two models and one space, with what turns pictures and sentences into their inputs.

    It has what a `DualEncoder` has: `image` and `text` are models, opened at a site each.

    Parameters
    ----------
    image, text: the towers; both outputs are embeddings (b e) of one space.
    preprocess: what a picture goes through before the image tower.
    words: the tokenizer of the text tower.
    name, ref: short name, and what `legenda.open` takes to open it again.
    about: what `legenda models` says of it.
    reference: what its acts and cosines look like, where that ships with it.
    beta: the price of a nat for each tower, where one was chosen for this model.
    gamma: least cosine of two patches that share what they say (see `Dense`).
    templates: sentences in which a noun or an adjective is put to be compared with patches, where
        the model knows few; `{}` stands for the word.
    """

    image: Model[Any]
    text: Model[Any]
    preprocess: Preprocess
    words: Words = field(repr=False)
    name: str
    ref: str
    about: dict[str, str] = field(default_factory=dict, repr=False)
    reference: Reference | None = field(default=None, repr=False)
    beta: dict[str, float] = field(default_factory=dict, repr=False)
    gamma: float = 0.2
    templates: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(iter(self.image.parameters())).device  # pyright: ignore

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures as the image tower takes them."""
        return torch.stack([self.preprocess.apply(p) for p in pictures]).to(self.device)

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Sentences as the text tower takes them."""
        return self.words(texts).to(self.device)

    def embed_images(self, x: Images, batch: int = 64) -> Float[Tensor, "b e"]:
        """Embeddings of pictures, normalised."""
        return _embed(self.image, x, batch)

    def embed_text(self, texts: Sequence[str], batch: int = 256) -> Float[Tensor, "t e"]:
        """Embeddings of sentences, normalised."""
        return torch.cat(
            [
                _embed(self.text, self.ids(texts[i : i + batch]), batch)
                for i in range(0, len(texts), batch)
            ]
        )

    def similar_to_text(self, texts: Sequence[str]) -> Similarity:
        """Target for the image tower: likeness to these sentences, one per picture."""
        return Similarity(tuple(texts), self.embed_text(texts))

    def similar_to_images(self, x: Images, label: str = "the picture") -> Similarity:
        """Target for the text tower: likeness to these pictures, one per sentence."""
        embedding = self.embed_images(x)
        return Similarity(label if len(x) == 1 else tuple([label] * len(x)), embedding)

    def at(self, image: int | str | None = None, text: int | str | None = None) -> "Dual":
        """The same model, opened at other sites."""
        return replace(
            self,
            image=self.image if image is None else self.image.at(image),  # pyright: ignore
            text=self.text if text is None else self.text.at(text),  # pyright: ignore
        )


def _embed(model: Model[Any], x: Tensor, batch: int) -> Tensor:
    if repeated(x):
        return _embed(model, x[:1], batch).expand(len(x), -1)
    with torch.no_grad():
        rows = [model.run(x[i : i + batch]).output for i in range(0, len(x), batch)]
    return torch.nn.functional.normalize(torch.cat(rows).float(), dim=-1)
