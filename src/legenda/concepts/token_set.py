"""Token sets: the tokens of many images with what each shows, two bytes a token.

Embeddings are looked up when they are needed: for a codebook of width 256, that is 512 times
smaller than keeping them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt16
from safetensors import SafetensorError, safe_open
from torch import Tensor

from legenda.errors import BadInput, Missing, Refused
from legenda.train.loop import keep
from legenda.types import Tokens

MOST = 1 << 16
"""So many entries have numbers of two bytes."""
LEAST = 5
"""Images that a concept needs before anything can be learned, chosen and measured on it."""
SHOWN = 5
"""So many concepts are named in an error."""


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Token grids and the number of what each shows in `concepts`.

    Parameters
    ----------
    tokens, labels: one row, and one number, per image.
    concepts: the names of the labels.
    grid: rows and columns of tokens.
    entries: size of the codebook.
    """

    tokens: UInt16[np.ndarray, "b n"]
    labels: Int[Tensor, " b"]
    concepts: tuple[str, ...]
    grid: tuple[int, int]
    entries: int

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        said = f"{len(self)} grids of {self.grid[0]} × {self.grid[1]}"
        return f"TokenSet({said}, {len(self.concepts)} concepts, {self.digest})"

    @property
    def digest(self) -> str:
        """Twelve letters that stand for its tokens, labels and concepts."""
        found = hashlib.sha256(repr((self.concepts, self.grid, self.entries)).encode())
        found.update(np.ascontiguousarray(self.tokens).data)
        found.update(self.labels.numpy().tobytes())
        return found.hexdigest()[:12]

    @classmethod
    def of(
        cls,
        tokens: Tokens | np.ndarray,
        labels: Tensor | Sequence[int],
        concepts: Sequence[str],
        grid: tuple[int, int],
        entries: int,
        least: int = LEAST,
    ) -> "TokenSet":
        """A checked set; every concept needs `least` images, or 0 for a set to measure on."""
        held = np.asarray(tokens)
        numbers = torch.as_tensor(labels, dtype=torch.int64)
        _check_tokens(held, grid, entries)
        _check_labels(numbers, len(held), concepts)
        if least:
            _check_counts(numbers, concepts, least)
        return cls(held.astype(np.uint16), numbers, tuple(concepts), grid, entries)

    def batch(self, rows: Int[Tensor, " r"]) -> tuple[Tokens, Int[Tensor, " r"]]:
        """Tokens as the codebook takes them, and labels, of some rows."""
        return torch.from_numpy(self.tokens[rows.numpy()].astype(np.int64)), self.labels[rows]

    def some(self, rows: Int[Tensor, " r"]) -> "TokenSet":
        """A selection."""
        held = self.tokens[rows.numpy()]
        return TokenSet(held, self.labels[rows], self.concepts, self.grid, self.entries)

    def split(
        self, shares: tuple[float, float, float] = (0.8, 0.1, 0.1), seed: int = 0
    ) -> tuple["TokenSet", "TokenSet", "TokenSet"]:
        """Training, validation and test, each with its share of every concept, at least one."""
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise BadInput(
                f"a split needs three shares above 0 that sum to 1; it got {shares}. "
                "Try (0.8, 0.1, 0.1)."
            )
        lot = torch.Generator().manual_seed(seed)
        parts: tuple[list[Tensor], ...] = ([], [], [])
        for number, concept in enumerate(self.concepts):
            rows = (self.labels == number).nonzero()[:, 0]
            if 0 < len(rows) < 3:
                raise BadInput(
                    f"a split puts images of every concept into each of its three parts; "
                    f"{concept!r} has {len(rows)}. Add images, or leave it out."
                )
            mixed = rows[torch.randperm(len(rows), generator=lot)]
            for part, taken in zip(parts, mixed.split(_sizes(len(rows), shares)), strict=True):
                part.append(taken)
        training, validation, test = (self.some(torch.cat(part).sort().values) for part in parts)
        return training, validation, test

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        about = {"concepts": list(self.concepts), "grid": self.grid, "entries": self.entries}
        tensors = {"tokens": torch.from_numpy(self.tokens), "labels": self.labels}
        keep(path, tensors, {"token_set": json.dumps(about)})

    @classmethod
    def load(cls, path: Path) -> "TokenSet":
        """Read what `save` wrote."""
        if not path.is_file():
            raise Missing(f"{path} is not there. Give the file of a token set.")
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})["token_set"])
                tokens, labels = file.get_tensor("tokens"), file.get_tensor("labels")
            rows, columns = about["grid"]
            concepts, entries = tuple(about["concepts"]), about["entries"]
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as problem:
            raise Refused(
                f"{path} is no token set: {problem}. Give a file that `TokenSet.save` wrote."
            ) from problem
        return cls.of(tokens.numpy(), labels, concepts, (rows, columns), entries, least=0)


def _sizes(count: int, shares: tuple[float, float, float]) -> list[int]:
    """Of the three parts of so many images: none is empty unless there is nothing to share."""
    if not count:
        return [0, 0, 0]
    validation = min(max(1, round(count * shares[1])), count - 2)
    test = min(max(1, round(count * shares[2])), count - 1 - validation)
    return [count - validation - test, validation, test]


def _check_tokens(tokens: np.ndarray, grid: tuple[int, int], entries: int) -> None:
    rows, columns = grid
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or tokens.shape[1] != rows * columns:
        raise BadInput(
            f"a token set on a grid of {rows} × {columns} needs whole numbers, {rows * columns} "
            f"per image (b n); it got {tokens.dtype} of the shape {tokens.shape}."
        )
    if not 1 <= entries <= MOST:
        raise BadInput(
            f"a token set keeps two bytes per token, enough for {MOST} entries; the codebook has "
            f"{entries}."
        )
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < entries:
        wrong = tokens.min() if tokens.min() < 0 else tokens.max()
        raise BadInput(
            f"token {wrong} is not in the codebook, which has {entries} entries, numbered from 0. "
            "Give the tokens and the codebook of one model."
        )


def _check_labels(labels: Tensor, images: int, concepts: Sequence[str]) -> None:
    if labels.shape != (images,):
        raise BadInput(
            f"a token set needs one label per image; it got {labels.numel()} labels for {images} "
            "images. Leave out images that have none."
        )
    if len(set(concepts)) < len(concepts):
        raise BadInput(f"a token set needs a name of its own for each concept; it got {concepts}.")
    if images and not 0 <= int(labels.min()) <= int(labels.max()) < len(concepts):
        wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise BadInput(
            f"label {wrong} names no concept; there are {len(concepts)}, numbered from 0. "
            "Name every concept."
        )


def _check_counts(labels: Tensor, concepts: Sequence[str], least: int) -> None:
    counts = torch.bincount(labels, minlength=len(concepts)).tolist()
    there = [name for name, count in zip(concepts, counts, strict=True) if count]
    if len(there) < 2:
        raise BadInput(
            f"a concept model tells concepts apart; all {len(labels)} images show "
            f"{repr(there[0]) if there else 'nothing'}. Add images of another concept."
        )
    few = [f"{n!r} has {c}" for n, c in zip(concepts, counts, strict=True) if c < least]
    if few:
        more = f", and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        raise BadInput(
            f"every concept needs at least {least} images; {', '.join(few[:SHOWN])}{more}. "
            "Add images, or leave the concept out."
        )
