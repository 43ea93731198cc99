"""Text as a model takes it: token ids, with what is special, what is padding, what is a word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from legenda.errors import BadInput
from legenda.types import Mask, Tokens


@dataclass(frozen=True)
class Word:
    """A word of a sentence, and the positions of its tokens."""

    text: str
    positions: tuple[int, ...]


class Words:
    """A tokenizer with one manner: whole sentences in, ids of equal length out.

    Parameters
    ----------
    tokenizer: a tokenizer of transformers, fast or slow.
    length: the longest text in tokens, special ones included.
    pad_to_length: whether every text is padded to `length` (SigLIP) or to its batch.
    model: name for messages.
    """

    def __init__(
        self, tokenizer: Any, length: int, *, pad_to_length: bool = False, model: str = ""
    ):
        self.tokenizer, self.length, self.model = tokenizer, length, model
        self.pad_to_length = pad_to_length
        pad = tokenizer.pad_token_id
        self.pad = 0 if pad is None else int(pad)
        self.end: int | None = (
            tokenizer.eos_token_id if tokenizer.eos_token_id is not None else None
        )

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Ids of sentences; empty, overlong, unknown or non-string text is refused."""
        for text in texts:
            if not isinstance(text, str):
                raise BadInput(
                    f"{self.model} reads sentences; it got {text!r}, a {type(text).__name__}. "
                    "Give a string."
                )
            if not text.strip():
                raise BadInput(
                    f"{self.model} reads sentences; it got an empty one. Give some words."
                )
        if not texts:
            raise BadInput(f"{self.model} reads sentences; it got none. Give at least one.")
        ids: Tensor = self._fed(list(texts), return_tensors="pt")["input_ids"]
        if ids.shape[1] > self.length:
            lengths = [len(self.tokenizer(t, verbose=False)["input_ids"]) for t in texts]
            worst = max(range(len(texts)), key=lengths.__getitem__)
            raise BadInput(
                f"{self.model} reads at most {self.length} tokens; "
                f"{_short(texts[worst])} has {lengths[worst]}. Shorten it."
            )
        silent, unknown = self.special(ids) | ~self.valid(ids), self.tokenizer.unk_token_id
        if unknown is not None:
            silent |= ids == unknown
        blank = silent.all(1).nonzero()[:, 0].tolist()
        if blank:
            said = _short(list(texts)[blank[0]])
            raise BadInput(f"{self.model} knows no word of {said}. Use words that it knows.")
        return ids

    def _fed(self, texts: str | list[str], **options: Any) -> Any:
        return self.tokenizer(
            texts,
            padding="max_length" if self.pad_to_length else True,
            max_length=self.length if self.pad_to_length else None,
            verbose=False,
            **options,
        )

    def valid(self, ids: Tokens) -> Mask:
        """Positions that are not padding; where padding is the end token, up to the first one."""
        if self.pad != self.end:
            return ids != self.pad
        ended = (ids == self.end).int().cumsum(1)
        return (ended == 0) | ((ended == 1) & (ids == self.end))

    def special(self, ids: Tokens) -> Mask:
        """Positions of begin, end, class and separator tokens (masks and unknowns are words)."""
        kinds = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
        known: list[Any] = [getattr(self.tokenizer, kind, None) for kind in kinds]
        marks = torch.tensor([k for k in known if k is not None], device=ids.device)
        return torch.isin(ids, marks) & self.valid(ids)

    def marks(self, ids: Tokens, _n: int) -> tuple[Mask, Mask]:
        """What is special and what is valid. A model that is always fed its full length reads
        its padding, so there padding is valid, and special: no word, but it may hold one.
        """
        special, valid = self.special(ids), self.valid(ids)
        if self.pad_to_length:
            return special | ~valid, torch.ones_like(valid)
        return special, valid

    def ends(self, ids: Tokens) -> Int[Tensor, " b"]:
        """The last position that is not padding."""
        return self.valid(ids).int().cumsum(1).argmax(1)

    def words(self, text: str) -> list[Word]:
        """The words of one sentence, each with the positions of its tokens in `self([text])`."""
        if not self.tokenizer.is_fast:
            return self._counted(text)
        fed = self._fed(text, return_offsets_mapping=True)
        ids = torch.tensor([fed["input_ids"]])
        skip = (self.special(ids) | ~self.valid(ids))[0].tolist()
        found: list[tuple[int, int, list[int]]] = []
        for position, (start, end) in enumerate(fed["offset_mapping"]):
            start += len(text[start:end]) - len(text[start:end].lstrip())  # SentencePiece's space
            if skip[position] or start == end:
                continue
            glued = (
                found and not text[found[-1][1] : start].strip() and text[start - 1 : start].strip()
            )
            if found and (start == found[-1][1] and glued or start < found[-1][1]):
                found[-1] = (found[-1][0], end, [*found[-1][2], position])
            else:
                found.append((start, end, [position]))
        return [Word(text[a:b].strip(), tuple(p)) for a, b, p in found]

    def _counted(self, text: str) -> list[Word]:
        """The same for a slow tokenizer, which keeps no offsets: each word adds its tokens."""
        ids = torch.tensor([self._fed(text)["input_ids"]])
        at = lead = int((~self.special(ids))[0].int().argmax())
        said, found = text.split(), []
        for count, word in enumerate(said, 1):
            so_far = self.tokenizer(
                " ".join(said[:count]), add_special_tokens=False, verbose=False
            )["input_ids"]
            if lead + len(so_far) > at:
                found.append(Word(word, tuple(range(at, lead + len(so_far)))))
                at = lead + len(so_far)
        return found


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
