"""Who may be asked what a unit does: measurement, a language model that sees, or a dual encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet
from legenda.describe.lmm import LMM
from legenda.describe.measured import Measured, Values
from legenda.describe.retrieval import Retrieval
from legenda.errors import Unsupported
from legenda.types import Images

Near = tuple[tuple[str, float], ...]
WORDS = 5_000
"""So many everyday words, commonest first, may be said of a change."""


@runtime_checkable
class Asks(Protocol):
    """Whoever says what changes along the rows of a sheet, several times."""

    @property
    def name(self) -> str: ...
    def __call__(self, sheet: Sheet, values: Values) -> tuple[Answer, ...]:
        """Answers about a sheet, whose frames were measured already."""
        ...


@dataclass(frozen=True)
class ByMeasure:
    """The describer that needs no model."""

    measured: Measured
    name: str = "measurement"

    def __call__(self, sheet: Sheet, values: Values) -> tuple[Answer, ...]:
        return self.measured.looks(values)


@dataclass(frozen=True)
class ByModel:
    """A language model that sees; `fresh` counts the requests that were sent now."""

    lmm: LMM

    @property
    def name(self) -> str:
        return f"the language model {self.lmm.chat.model}"

    @property
    def calls(self) -> int:
        return self.lmm.chat.budget.calls

    def __call__(self, sheet: Sheet, values: Values) -> tuple[Answer, ...]:
        return self.lmm(sheet)


@dataclass(frozen=True)
class ByWords:
    """The nearest words of a dual encoder for the change of a sheet."""

    retrieval: Retrieval
    encoder: str

    @property
    def name(self) -> str:
        return f"the words of {self.encoder}"

    def __call__(self, sheet: Sheet, values: Values) -> tuple[Answer, ...]:
        return self.retrieval(sheet)

    def near(self, sheet: Sheet) -> Near:
        """Words for what comes in from left to right, all rows together; none by chance."""
        found = self.retrieval.near(sheet)
        return found.end if found.named else ()


def by_words(ref: str, device: str = "cpu", seed: int = 0, rows: int = 3) -> ByWords:
    """The describer that asks a dual encoder, with the everyday words that ship."""
    from legenda.describe.vocabulary import everyday
    from legenda.describe.word_embeddings import TEMPLATES, embedded
    from legenda.models.dual import Dual
    from legenda.models.opening import open_model

    dual = open_model(ref, device=device)
    if not isinstance(dual, Dual):
        raise Unsupported(
            "naming by words", "a dual encoder", ref, "Try zoo:photos, or leave --words out."
        )
    vocabulary = everyday(WORDS)
    how: Any = dual.templates or TEMPLATES
    vectors = embedded(vocabulary, dual.embed_text, how)
    return ByWords(Retrieval(vocabulary.words, vectors, embedder(dual), rows=rows, seed=seed), ref)


def embedder(dual: Any, batch: int = 64) -> Callable[[Images], torch.Tensor]:
    """From colours 0 to 1 to the space of sentences."""
    from PIL import Image

    def embed(images: Images) -> torch.Tensor:
        colours = (images.permute(0, 2, 3, 1) * 255).round().byte().cpu().numpy()
        x = dual.pixels([Image.fromarray(one) for one in colours])
        return torch.nn.functional.normalize(dual.embed_images(x, batch), dim=1)

    return embed
