"""Who may be asked what a unit does: measurement, a language model that sees, or a dual encoder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet
from legenda.describe.lmm import LMM
from legenda.describe.measured import Measured, Values
from legenda.describe.retrieval import Retrieval
from legenda.errors import Unsupported
from legenda.score.certainty import Sampler
from legenda.tasks.latent_settings import LatentSettings
from legenda.types import Images

Near = tuple[tuple[str, float], ...]
WORDS = 5_000
"""So many everyday words, commonest first, may be said of a change."""
LEAST = 3
"""Answers that are asked for before it is looked whether one speaks for all."""


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

    def in_turn(self, sheet: Sheet) -> tuple[Callable[[int], Answer], int]:
        """The same answers one by one, but for the first few, and how many there are at most."""
        first = replace(self.lmm, samples=min(LEAST, self.lmm.samples))(sheet)
        return (
            lambda i: first[i] if i < len(first) else self.lmm.one(sheet, i),
            self.lmm.samples,
        )


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


def answered(
    asks: Any, sheet: Sheet, values: Values, alike: Any, how: LatentSettings
) -> tuple[tuple[Answer, ...], int]:
    """The answers about a sheet, and how many there could have been.

    A describer that cannot be asked in turn gives all, of which those are taken that were needed.
    """
    if not how.adaptive:
        answers = asks(sheet, values)
        return answers, len(answers)
    if isinstance(asks, ByModel):
        ask, most = asks.in_turn(sheet)
    else:
        every = asks(sheet, values)
        ask, most = every.__getitem__, len(every)
    return until_stable(ask, most, alike, how), most


def until_stable(
    ask: Callable[[int], Answer], most: int, alike: Any, how: LatentSettings
) -> tuple[Answer, ...]:
    """Answers until one speaks for all; of a unit and of its controls by one rule."""
    if most < LEAST:
        return tuple(map(ask, range(most)))
    return Sampler(ask, alike, LEAST, most, seed=how.seed)().answers


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
