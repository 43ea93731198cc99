"""Pictures of a corpus at one size, as bytes in one file that is mapped into memory.

A file is made once, under a passing name; beside it stands what it was made of. One that is there
and whole is used again, so that a training that goes on reads no picture twice.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from legenda.corpus.durable import land, plain, room, sealed, unsealed
from legenda.corpus.picture_rows import refuse_all
from legenda.corpus.pictures import Pictures
from legenda.corpus.stream import evenly
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, LegendaError

Report = Callable[[str, int, int, dict[str, Any]], None]


@dataclass(frozen=True, eq=False)
class Bytes:
    """Pictures that could be read, their numbers in the corpus, and the others with the reason."""

    pixels: UInt8[Tensor, "p c h w"] = field(repr=False)
    kept: tuple[int, ...] = field(repr=False)
    refused: tuple[tuple[str, str], ...] = ()


def in_bytes(
    place: Path, pictures: Pictures, shape: tuple[int, int], report: Report, what: str,
    most: int | None = None,
) -> Bytes:  # fmt: skip
    """The pictures of a corpus, at most so many of them, evenly apart; `shape`: channels, side."""
    channels, side = shape
    about = {"pictures": pictures.digest, "shape": list(shape), "most": most}
    beside = place.with_name(place.name + ".json")
    there = unsealed(beside)
    if there is None or there["about"] != about or not place.is_file():
        wanted = range(len(pictures)) if most is None else evenly(len(pictures), most)
        beside.unlink(missing_ok=True)
        with room(place):
            found = _written(place, pictures, list(wanted), shape, report, what)
        there = plain({"about": about, "kept": found[0], "refused": found[1]})
        land(beside, sealed(there))
    kept: list[int] = there["kept"]
    refused: dict[str, str] = dict(there["refused"])
    if not kept:
        refuse_all(refused)
    mapped = np.memmap(place, np.uint8, "c", shape=(len(kept), channels, side, side))
    return Bytes(torch.from_numpy(mapped), tuple(kept), tuple(refused.items()))


def _written(
    place: Path, pictures: Pictures, wanted: list[int], shape: tuple[int, int], report: Report,
    what: str,
) -> tuple[list[int], list[tuple[str, str]]]:  # fmt: skip
    """Write pictures one after the other; those that were kept, and those that were not."""
    channels, side = shape
    view = Preprocess((side, side), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    kept: list[int] = []
    refused: list[tuple[str, str]] = []
    fresh = place.with_name(place.name + ".writing")
    with fresh.open("wb") as file:
        for done, i in enumerate(wanted):
            try:
                x = view.apply(pictures.open(i))
            except LegendaError as error:
                refused.append((pictures.key(i), str(error)))
            else:
                x = x.mean(0, keepdim=True) if channels == 1 else x
                file.write((x * 255).round().byte().numpy().tobytes())
                kept.append(i)
            report(what, done + 1, len(wanted), {})
    fresh.replace(place)
    return kept, refused


@dataclass(frozen=True)
class Told:
    """What is told of pictures: one number for each class, 1 for its own."""

    classes: tuple[str, ...]

    def numbers(self, pictures: Pictures, kept: tuple[int, ...]) -> Float[Tensor, "p y"]:
        """One row for each picture; a class that was not learned has no column."""
        place = {name: column for column, name in enumerate(self.classes)}
        found = torch.zeros(len(kept), len(self.classes))
        for row, i in enumerate(kept):
            column = place.get(pictures.label(i) or "")
            if column is not None:
                found[row, column] = 1
        return found


def told_of(pictures: Pictures) -> Told:
    """The classes of a corpus; each picture needs one."""
    labels = [pictures.label(i) for i in range(len(pictures))]
    bare = sum(not label for label in labels)
    if bare:
        raise BadInput(
            f"this kind is told what each picture shows; {bare} of {len(labels)} pictures have no "
            "label. Put them in one folder per class, name the column by --labels, or take beta-tc."
        )
    counts = Counter(label for label in labels if label)
    if len(counts) < 2:
        raise BadInput(
            f"this kind is told what each picture shows; all show {next(iter(counts), '')!r}. "
            "Add pictures of another class, or take beta-tc."
        )
    return Told(tuple(sorted(counts)))
