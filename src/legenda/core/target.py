"""A target is what an explanation explains: one number per image."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

from legenda.core.model import Run
from legenda.errors import BadInput, ShapeError
from legenda.types import Scores

Reads = Literal["acts", "output"]


@runtime_checkable
class Target(Protocol):
    """Reduces a run to one score per image.

    `label` is for people, `key` for the atlas; `reads` says which half of a run is needed;
    `at(rows)` is the same target for a batch made of those rows.
    """

    @property
    def label(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def reads(self) -> Reads: ...
    def at(self, rows: Int[Tensor, " r"]) -> "Target": ...
    def __call__(self, run: Run) -> Scores: ...


@dataclass(frozen=True)
class Logit:
    """The logit of one class: the same for all images, or one class per image."""

    index: int | tuple[int, ...]
    reads: Reads = field(default="output", init=False, repr=False)

    @property
    def label(self) -> str:
        return f"logit {said(self.index)}"

    @property
    def key(self) -> str:
        return repr(self)

    def at(self, rows: Int[Tensor, " r"]) -> "Logit":
        return replace(self, index=own(self.index, rows))

    def __call__(self, run: Run) -> Scores:
        return picked("Logit", run.output, self.index)


@dataclass(frozen=True)
class LogProbability:
    """The log probability of one class, in nats: minus the cross-entropy of that answer."""

    index: int | tuple[int, ...]
    reads: Reads = field(default="output", init=False, repr=False)

    @property
    def label(self) -> str:
        return f"log probability of {said(self.index)}"

    @property
    def key(self) -> str:
        return repr(self)

    def at(self, rows: Int[Tensor, " r"]) -> "LogProbability":
        return replace(self, index=own(self.index, rows))

    def __call__(self, run: Run) -> Scores:
        logits = run.output
        score = picked("LogProbability", logits, self.index)
        return score - logits.logsumexp(1)


def said(index: int | tuple[int, ...]) -> str:
    """A class, or that each image has its own."""
    return str(index) if isinstance(index, int) else f"of {len(index)} images, each its own"


def own(index: int | tuple[int, ...], rows: Int[Tensor, " r"]) -> int | tuple[int, ...]:
    """The classes of some of the images."""
    if isinstance(index, tuple):
        return tuple(index[row] for row in rows.tolist())
    return index


def picked(who: str, logits: Tensor, index: object) -> Scores:
    """The entry of each row that is asked for."""
    if logits.ndim != 2:
        raise ShapeError(
            f"{who} needs one row of logits per image (b c); the output has the shape "
            f"{tuple(logits.shape)}. Open the model with `output=` that picks them."
        )
    if not isinstance(index, tuple):
        return logits[:, class_of(index, logits.shape[1])]
    if len(index) != len(logits):
        raise ShapeError(
            f"{who} was given {len(index)} classes for {len(logits)} images. Give one per image."
        )
    wanted = [class_of(number, logits.shape[1]) for number in index]
    return logits.gather(1, torch.tensor(wanted, device=logits.device)[:, None])[:, 0]


def class_of(number: object, count: int) -> int:
    """The number of a class, if there is such a class; negative ones count from the end."""
    try:
        found = index(number)  # pyright: ignore[reportArgumentType] -- what is no number raises
    except TypeError:
        found = count
    if not -count <= found < count:
        raise BadInput(
            f"Logit needs the number of a class, 0 to {count - 1}; it got {number!r}. "
            "Choose one of them."
        )
    return found


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity of the output to an embedding: one for all (e), or one per row (b e)."""

    text: str | Sequence[str]
    embedding: Float[Tensor, "*b e"] = field(repr=False, compare=False)
    reads: Reads = field(default="output", init=False, repr=False)

    @property
    def label(self) -> str:
        if isinstance(self.text, str):
            return f"similar to {self.text!r}"
        return f"similar to {len(self.text)} partners"

    @property
    def key(self) -> str:
        return f"{self!r} {digest(self.embedding)}"

    def at(self, rows: Int[Tensor, " r"]) -> "Similarity":
        if self.embedding.ndim == 1 or len(self.embedding) == 1:
            return self
        return Similarity(self.text, self.embedding[rows])

    def __call__(self, run: Run) -> Scores:
        partner = self.embedding if self.embedding.ndim > 1 else self.embedding[None]
        if partner.shape[0] not in (1, len(run.output)) or partner.shape[1] != run.output.shape[1]:
            raise ShapeError(
                f"Similarity needs one embedding of width {run.output.shape[1]}, or one per "
                f"image ({len(run.output)}); it got {tuple(self.embedding.shape)}. "
                "Embed the partner with the other tower of the same model."
            )
        return cosine_similarity(run.output, partner, dim=-1)


@dataclass(frozen=True)
class Contrast:
    """How much more of one target than of another: `this - that`."""

    this: Target
    that: Target

    @property
    def label(self) -> str:
        return f"{self.this.label} rather than {self.that.label}"

    @property
    def key(self) -> str:
        return f"Contrast({self.this.key}, {self.that.key})"

    @property
    def reads(self) -> Reads:
        return "output" if "output" in (self.this.reads, self.that.reads) else "acts"

    def at(self, rows: Int[Tensor, " r"]) -> "Contrast":
        return Contrast(self.this.at(rows), self.that.at(rows))

    def __call__(self, run: Run) -> Scores:
        return self.this(run) - self.that(run)


def digest(tensor: Tensor) -> str:
    """Twelve letters that stand for the content of a tensor."""
    array = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(str(tuple(tensor.shape)).encode() + array.tobytes()).hexdigest()[:12]
