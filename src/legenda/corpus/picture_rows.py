"""Rows straight from pictures, and their record for a training of many epochs.

Each epoch keeps other positions of each picture, drawn by lot from the seed, the epoch and the
number of the picture alone; so neither windows nor prefetching change which.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from legenda.core.model import Model
from legenda.corpus.pictures import Pictures
from legenda.corpus.record import Record, Recorder
from legenda.corpus.stream import (
    GROUP,
    Group,
    acts_of,
    grouped,
    groups_of,
    identity,
    takes_pictures,
)
from legenda.corpus.windows import AGAIN, ORDER, POSITIONS, Window, Windows, lot
from legenda.errors import BadInput

Rows = Float[Tensor, "r d"]
Report = Callable[[int, int], None]
"""Called with how many groups of pictures are done, of how many."""


class PictureRows:
    """Rows straight from pictures: decoded, passed through the model, some positions kept.

    While windows are made ready ahead, the model is used in another thread; whoever runs it
    meanwhile sets `ahead=False`. In place of a picture that cannot be read, its window gives as
    many of its other rows again, so that steps keep their numbers.

    Parameters
    ----------
    model: open at a site; special positions are left out.
    pictures: the corpus.
    per_image: positions of each picture in an epoch; None keeps all.
    window: pictures that are shuffled together; more mix better, and take more memory.
    strict: let a picture that cannot be read end it all.
    ahead: make the next window ready while this one is used.
    """

    def __init__(
        self,
        model: Model[Any],
        pictures: Pictures,
        per_image: int | None = None,
        window: int = 256,
        *,
        strict: bool = False,
        ahead: bool = True,
    ):
        positions, self.width = positions_of(model, "PictureRows")
        self.per_image = checked_share(per_image, positions, model)
        if not len(pictures) or window < 1:
            raise BadInput(
                f"PictureRows needs pictures, and a window of 1 or more; it got {len(pictures)} "
                f"and {window}."
            )
        self.model, self.pictures, self.window, self.strict = model, pictures, window, strict
        self.count = len(pictures) * self.per_image
        self._reasons: dict[str, str] = {}
        self._parts = lru_cache(2)(self._cut)
        self._windows = Windows(self._sizes, self._load, ahead)

    @property
    def key(self) -> str:
        """Stands for the model, the corpus and the settings."""
        of = f"{identity(self.model)}/{self.pictures.digest}"
        return f"pictures {of}/{self.per_image}/{self.window}"

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The pictures that could not be read so far, each with the reason."""
        return sorted(self._reasons.items())

    def batch(self, step: int, size: int, seed: int) -> Rows:
        """The rows of a step."""
        return self._windows.batch(step, size, seed)

    def close(self) -> None:
        """Let the thread go that reads ahead."""
        self._windows.close()

    def _sizes(self, seed: int, epoch: int) -> list[int]:
        return [len(part) * self.per_image for part in self._parts(seed, epoch)]

    def _cut(self, seed: int, epoch: int) -> tuple[Tensor, ...]:
        """Pictures by lot, in windows of nearly equal size: a small last one would mix badly."""
        order = torch.randperm(len(self.pictures), generator=lot(ORDER, seed, epoch))
        return order.tensor_split(-(-len(order) // self.window))

    def _load(self, window: Window) -> Rows:
        order = self._parts(window.seed, window.epoch)[window.number].tolist()
        found: list[Rows] = []
        refused: dict[str, str] = {}
        for group in groups_of(self.model, self.pictures, grouped(order), self.strict):
            refused |= group.refused
            found += chosen(self.model, group, self.per_image, (window.seed, window.epoch))
        self._reasons |= refused
        rows = torch.cat(found) if found else refuse_all(refused)
        missing = (len(refused) * self.per_image,)
        again = torch.randint(len(rows), missing, generator=lot(AGAIN, *window))
        return torch.cat([rows, rows[again]])


def positions_of(model: Model[Any], who: str) -> tuple[int, int]:
    """How many ordinary positions a picture has, and the width of each: found by a blank one."""
    takes_pictures(model, who)
    blank = model.pixels([Image.new("RGB", (64, 64))])  # pyright: ignore[reportAttributeAccessIssue]
    n, d = acts_of(model, Group((0,), ("a blank picture",), (blank,)))[0].shape
    return n, d


def checked_share(per_image: int | None, positions: int, model: Model[Any]) -> int:
    """Positions of a picture that are kept, if it has so many."""
    if per_image is not None and not 1 <= per_image <= positions:
        raise BadInput(
            f"per_image={per_image} positions are to be kept of each picture; {model.name} has "
            f"{positions}. Choose 1 to {positions}, or None for all."
        )
    return positions if per_image is None else per_image


def chosen(
    model: Model[Any], group: Group, per_image: int, by: tuple[int, ...]
) -> list[Float[Tensor, "n d"]]:
    """Rows of each picture of a group, at positions drawn by its number."""
    return [
        acts[places(len(acts), per_image, (*by, i))]
        for i, acts in zip(group.numbers, acts_of(model, group), strict=True)
    ]


def refuse_all(refused: Mapping[str, str]) -> NoReturn:
    """Refuse to go on without any picture."""
    key, reason = next(iter(refused.items()))
    raise BadInput(
        f"no picture can be read, of {len(refused)} asked for; the first is {key}: {reason} "
        "Mend the corpus."
    )


def places(positions: int, kept: int, by: tuple[int, ...]) -> Tensor:
    """Some positions, in their order."""
    if kept > positions:
        raise BadInput(
            f"{kept} positions are to be kept of each picture; one has {positions}. Keep fewer."
        )
    if kept == positions:
        return torch.arange(positions)
    return torch.randperm(positions, generator=lot(POSITIONS, *by))[:kept].sort().values


def record_rows(
    model: Model[Any],
    pictures: Pictures,
    folder: str | Path,
    per_image: int | None = None,
    dtype: torch.dtype = torch.float16,
    report: Report | None = None,
    *,
    seed: int = 0,
    strict: bool = False,
) -> Record:
    """Write `acts` (r d) of all pictures, with `image` and `position` of each row; go on if begun.

    Positions count the ordinary ones of a picture. A shard is a group of 32 pictures; its notes
    are the pictures that could not be read.
    """
    if not len(pictures):
        raise BadInput("record_rows needs pictures; the corpus has none. Name another.")
    positions, width = positions_of(model, "record_rows")
    kept = checked_share(per_image, positions, model)
    about = {
        "kind": "rows", "model": identity(model), "corpus": pictures.digest,
        "pictures": len(pictures), "per_image": kept, "seed": seed,
        "dtype": str(dtype).removeprefix("torch."),
    }  # fmt: skip
    parts = grouped(range(len(pictures)))
    with Recorder(folder, about) as recorder:
        todo = [part for part in parts if not recorder.has(part[0] // GROUP)]
        done = len(parts) - len(todo)
        for part, group in zip(todo, groups_of(model, pictures, todo, strict), strict=True):
            tensors = _shard(model, group, kept, dtype, seed, torch.zeros(0, width))
            recorder.write(part[0] // GROUP, tensors, group.refused)
            done += 1
            if report:
                report(done, len(parts))
        record = recorder.finish(len(parts))
    if not any(record.shapes(i)["acts"][0] for i in range(len(record))):
        refuse_all({key: why for i in range(len(record)) for key, why in record.notes(i).items()})
    return record


def _shard(
    model: Model[Any], group: Group, kept: int, dtype: torch.dtype, seed: int, none: Rows
) -> dict[str, Tensor]:
    """Rows of a group, and where each comes from; `none` where no picture could be read."""
    numbers, found = group.numbers, acts_of(model, group)
    at = [places(len(acts), kept, (seed, 0, i)) for i, acts in zip(numbers, found, strict=True)]
    rows = torch.cat([none, *(acts[which] for acts, which in zip(found, at, strict=True))])
    held = rows.to(dtype)
    if not held.isfinite().all():
        raise BadInput(
            f"{model.name} has activations of {float(rows.abs().max()):g}, which {dtype} cannot "
            "hold. Record them as bfloat16 or float32."
        )
    image = torch.tensor(numbers, dtype=torch.int64).repeat_interleave(kept)
    return {"acts": held, "image": image, "position": torch.cat([image[:0], *at])}
