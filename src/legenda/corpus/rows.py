"""Rows: activations to learn a dictionary from, in another order in every epoch.

Three sources give the same thing, batches that are a pure function of step, size and seed, so that
a training that was killed goes on with the same bits. They differ in what is shuffled:

    ArrayRows     all rows, anew in each epoch
    RecordRows    shards by lot into windows, and rows inside their window
    PictureRows   pictures by lot into windows, positions inside theirs, another choice of positions
                  in each epoch

In each of them every row comes exactly once per epoch.
"""

from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.target import digest
from legenda.corpus.picture_rows import PictureRows, record_rows
from legenda.corpus.record import Record
from legenda.corpus.windows import ORDER, Window, Windows, lot, spans
from legenda.errors import BadInput

__all__ = ["ArrayRows", "PictureRows", "RecordRows", "RowSource", "Rows", "record_rows"]

Rows = Float[Tensor, "r d"]


@runtime_checkable
class RowSource(Protocol):
    """Rows without end: epochs of `count` rows each, every row once per epoch, in another order."""

    @property
    def width(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def key(self) -> str:
        """Stands for what the rows are and how they are shuffled."""
        ...

    def batch(self, step: int, size: int, seed: int) -> Rows:
        """Rows `step * size` to `(step + 1) * size`, float32 on the CPU: a pure function."""
        ...


class ArrayRows:
    """Rows that are held in memory; all are shuffled anew in each epoch."""

    def __init__(self, rows: Tensor):
        if rows.ndim != 2 or not rows.numel() or not rows.is_floating_point():
            raise BadInput(
                f"ArrayRows needs floats (r d); it got {rows.dtype} of the shape "
                f"{tuple(rows.shape)}. Lay positions in rows."
            )
        bad = int((~rows.isfinite()).any(1).sum())
        if bad:
            raise BadInput(
                f"{bad} of {len(rows)} rows hold NaN or infinity. Leave them out, or check the "
                "model."
            )
        self.rows = rows.detach().cpu()
        self.count, self.width = rows.shape
        self._order = lru_cache(2)(self._drawn)
        self._name = lru_cache(1)(lambda: f"array {digest(self.rows)}")

    @property
    def key(self) -> str:
        """Stands for the rows."""
        return self._name()

    def batch(self, step: int, size: int, seed: int) -> Rows:
        """The rows of a step."""
        found = [
            self.rows[self._order(seed, span.window.epoch)[span.begin : span.end]]
            for span in spans(lambda *_: (self.count,), step, size, seed)
        ]
        return torch.cat(found).float()

    def _drawn(self, seed: int, epoch: int) -> Tensor:
        return torch.randperm(self.count, generator=lot(ORDER, seed, epoch))


class RecordRows:
    """Rows of a record, which may be more than memory holds.

    Parameters
    ----------
    record: finished shards.
    field: the tensor (r d) of each shard.
    window: rows that are shuffled together; more mix better, and twice as many are held.
    ahead: read the next window while this one is used.
    """

    def __init__(
        self, record: Record, field: str = "acts", window: int = 131_072, ahead: bool = True
    ):
        shapes = [record.shapes(i).get(field, ()) for i in range(len(record))]
        widths = {shape[1:] for shape in shapes}
        if len(widths) != 1 or len(shapes[0]) != 2:
            raise BadInput(
                f"RecordRows needs {field!r} (r d) in every shard of {record.folder}; the shapes "
                f"there are {', '.join(sorted({str(shape) for shape in shapes})[:3]) or 'none'}."
            )
        self.record, self.field, self.window = record, field, window
        self.lengths = [shape[0] for shape in shapes]
        self.count, self.width = sum(self.lengths), shapes[0][1]
        if not self.count or window < 1:
            raise BadInput(
                f"RecordRows needs rows, and a window of 1 or more; {record.folder} holds "
                f"{self.count}, the window is {window}."
            )
        self._filled = lru_cache(2)(self._fill)
        self._whole = lru_cache(1)(self._read)
        self._windows = Windows(self._sizes, self._load, ahead)

    @property
    def key(self) -> str:
        """Stands for the record, the field and the window."""
        return f"record {self.record.digest}/{self.field}/{self.window}"

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The pictures that could not be read when it was recorded, each with the reason."""
        return [said for i in range(len(self.record)) for said in self.record.notes(i).items()]

    def batch(self, step: int, size: int, seed: int) -> Rows:
        """The rows of a step."""
        return self._windows.batch(step, size, seed)

    def close(self) -> None:
        """Let the reading thread go."""
        self._windows.close()

    def _sizes(self, seed: int, epoch: int) -> list[int]:
        return [sum(self.lengths[i] for i in shards) for shards in self._filled(seed, epoch)]

    def _fill(self, seed: int, epoch: int) -> list[tuple[int, ...]]:
        """Shards by lot, as many to a window as it takes to hold `window` rows."""
        full = [i for i, length in enumerate(self.lengths) if length]
        if self.count <= self.window:
            return [tuple(full)]
        found: list[list[int]] = [[]]
        held = 0
        for place in torch.randperm(len(full), generator=lot(ORDER, seed, epoch)).tolist():
            if held >= self.window:
                found.append([])
                held = 0
            found[-1].append(full[place])
            held += self.lengths[full[place]]
        return [tuple(shards) for shards in found]

    def _load(self, window: Window) -> Rows:
        filled = self._filled(window.seed, window.epoch)
        return (self._whole if len(filled) == 1 else self._read)(filled[window.number])

    def _read(self, shards: tuple[int, ...]) -> Rows:
        return torch.cat([self.record.read(i)[self.field] for i in shards])
