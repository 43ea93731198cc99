"""Where an autoencoder's pictures come from: batches that are a pure function of their number."""

import hashlib
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from legenda.corpus.windows import ORDER, lot, spans
from legenda.errors import BadInput
from legenda.types import Images

Batch = Images | tuple[Images, Float[Tensor, "b y"]]


@runtime_checkable
class Source(Protocol):
    """Pictures without end, colours from 0 to 1, and perhaps what is told of each.

    A source may say how many pictures it has (`count`) and what stands for them (`key`): a
    training begun with another key is not gone on with.
    """

    def batch(self, step: int, size: int, seed: int) -> Batch:
        """The pictures of a step: a pure function."""
        ...


class Held:
    """Pictures held as bytes; all are shuffled anew in each epoch.

    Parameters
    ----------
    pictures: bytes; they may lie in a file that is mapped into memory.
    told: numbers of each picture, for a conditional model.
    """

    def __init__(
        self, pictures: Shaped[Tensor, "p c h w"], told: Float[Tensor, "q y"] | None = None
    ):
        if pictures.ndim != 4 or not len(pictures) or pictures.dtype != torch.uint8:
            raise BadInput(
                f"Held needs pictures in bytes (p c h w); it got {pictures.dtype} of the shape "
                f"{tuple(pictures.shape)}. Multiply colours by 255 and round them."
            )
        if told is not None and len(told) != len(pictures):
            raise BadInput(
                f"Held needs numbers for each picture; it got {len(pictures)} pictures and "
                f"{len(told)} rows of numbers. Give one row for each."
            )
        self.pictures, self.told, self.count = pictures, told, len(pictures)
        self._order = lru_cache(2)(self._drawn)
        self._name = lru_cache(1)(self._named)

    @property
    def key(self) -> str:
        """Stands for the pictures and what is told of them."""
        return self._name()

    def batch(self, step: int, size: int, seed: int) -> Batch:
        """The pictures of a step; every one comes once per epoch."""
        found = [
            self._order(seed, span.window.epoch)[span.begin : span.end]
            for span in spans(lambda *_: (self.count,), step, size, seed)
        ]
        rows = torch.cat(found)
        x = self.pictures[rows].float() / 255
        return x if self.told is None else (x, self.told[rows])

    def _drawn(self, seed: int, epoch: int) -> Tensor:
        return torch.randperm(self.count, generator=lot(ORDER, seed, epoch))

    def _named(self) -> str:
        more = "" if self.told is None else f" {digest(self.told)}"
        return f"pictures {digest(self.pictures)}{more}"


def digest(tensor: Tensor) -> str:
    """Twelve letters that stand for the content of a tensor, read a part at a time."""
    found = hashlib.sha256(str((tensor.dtype, tuple(tensor.shape))).encode())
    for part in tensor.detach().cpu().split(4096):
        found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()[:12]
