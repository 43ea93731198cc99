"""Pictures in a Hugging Face data set: opened already, saved on disk, or as parquet files.

The images are taken out as the bytes that were stored and decoded like any file of a stranger.
A saved set (`save_to_disk`) is mapped, so that any row is near; `parquet.py` says what it costs.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from legenda.corpus.arrays import SPREAD, inside
from legenda.corpus.images import as_rgb, open_bytes, open_image
from legenda.corpus.labels import NAMES, name_of
from legenda.corpus.parquet import ParquetRows, opened_file, package
from legenda.errors import BadInput, near

COLUMNS = ("image", "img", "picture", "jpg", "png", "webp")


@runtime_checkable
class Table(Protocol):
    """Rows by number, of which one column holds images."""

    def __len__(self) -> int: ...
    def image(self, i: int) -> Any: ...
    def label(self, i: int) -> Any: ...


@dataclass(frozen=True, eq=False)
class DatasetPictures:
    """The images of a column, by number.

    `name` is what they are called; `classes` are the words that numbers in the column of labels
    stand for; `limit` is the most pixels to decode.
    """

    table: Table = field(repr=False)
    name: str
    classes: Sequence[str] | None = field(repr=False)
    limit: int

    @property
    def digest(self) -> str:
        """Stands for the number of rows, and the content of some, spread evenly over all."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        known = hashlib.sha256(str(len(self)).encode())
        for i in np.unique(np.linspace(0, len(self) - 1, SPREAD).astype(int)):
            known.update(_stored(self.table.image(int(i))))
        return known.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.table)

    def key(self, i: int) -> str:
        """The name of the set, and the number of the row."""
        return f"{self.name}-{inside(i, self):06d}"

    def label(self, i: int) -> str | None:
        """What image i shows; a number below 0 says nothing."""
        said = self.table.label(inside(i, self))
        if said is None or said == "" or (isinstance(said, int) and said < 0):
            return None
        return self.classes[said] if self.classes and isinstance(said, int) else name_of(said)

    def open(self, i: int) -> Image.Image:
        """Image i as RGB, upright."""
        value = self.table.image(inside(i, self))
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            return open_bytes(value, self.key(i), self.limit)
        if isinstance(value, str):
            return open_image(value, self.limit)
        if isinstance(value, Image.Image):
            return as_rgb(value, self.key(i))
        raise BadInput(
            f"{self.key(i)} holds {type(value).__name__}, no image. Name the column of images."
        )


def is_dataset(where: object) -> bool:
    """Whether this is an opened data set, of one part or several."""
    return hasattr(where, "column_names") and hasattr(where, "cast_column")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    held = {path.name for path in folder.glob("*.json")}
    return "dataset_dict.json" in held or {"state.json", "dataset_info.json"} <= held


def from_disk(
    folder: Path, image: str | None, label: str | None, part: str | None, limit: int
) -> DatasetPictures:
    """The pictures of a set that `save_to_disk` wrote."""
    datasets = package("datasets", "A saved data set")
    try:
        opened = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInput(
            f"{folder} cannot be opened as a data set ({problem}). Save it again."
        ) from None
    return from_dataset(opened, image, label, part, limit, folder.name)


def from_dataset(
    opened: Any, image: str | None, label: str | None, part: str | None, limit: int, name: str = ""
) -> DatasetPictures:
    """The pictures of an opened set."""
    if isinstance(opened, Mapping):
        chosen = _part(part, list(opened))
        return from_dataset(opened[chosen], image, label, None, limit, f"{name or 'set'}-{chosen}")
    if not hasattr(opened, "__len__"):
        raise BadInput("a data set that streams has no numbered rows. Load it, or save it to disk first.")  # fmt: skip # noqa: E501
    shown = str(getattr(opened, "split", None) or "rows")
    names = list(opened.column_names)
    typed = [n for n in names if type(opened.features[n]).__name__ == "Image"]
    at = _column(image, names, typed or COLUMNS, "images")
    said = _label_column(label, names)
    feature = opened.features[at]
    raw = opened.select_columns([at])
    if typed and at in typed:
        raw = raw.cast_column(at, type(feature)(decode=False))
    labels = opened.select_columns([said]) if said else None
    classes = getattr(opened.features[said], "names", None) if said else None
    return DatasetPictures(_Rows(raw, at, labels, said), name or shown, classes, limit)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of an opened set: images and labels apart, so that either is read alone."""

    images: Any
    at: str
    labels: Any
    said: str | None

    def __len__(self) -> int:
        return len(self.images)

    def image(self, i: int) -> Any:
        return self.images[i][self.at]

    def label(self, i: int) -> Any:
        return self.labels[i][self.said] if self.labels is not None else None


def from_parquet(
    paths: Sequence[Path], image: str | None, label: str | None, limit: int, part: str | None = None
) -> DatasetPictures:
    """The pictures of parquet files; of several parts (`train-….parquet`) one is named."""
    if len(paths) > 1:
        parts = sorted({path.stem.split("-")[0] for path in paths})
        if part is not None or len(parts) > 1:
            chosen = _part(part, parts)
            paths = [path for path in paths if path.stem.split("-")[0] == chosen]
    parquet = package("pyarrow.parquet", "A parquet file")
    files = [opened_file(parquet, path) for path in paths]
    schema = files[0].schema_arrow
    at = _column(image, schema.names, COLUMNS, f"images in {paths[0]}")
    said = _label_column(label, schema.names)
    facts = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = facts.get("info", {}).get("features", {}).get(said) or {}
    table = ParquetRows(files, at, said)
    name = paths[0].stem.split("-")[0] if len(paths) > 1 else paths[0].stem
    return DatasetPictures(table, name, feature.get("names"), limit)


def _stored(value: Any) -> bytes:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path") or b""
    if isinstance(value, Image.Image):
        return value.tobytes()
    return value if isinstance(value, bytes) else str(value).encode()


def _part(part: str | None, parts: Sequence[str]) -> str:
    if part is None and len(parts) == 1:
        return parts[0]
    if part is None or part not in parts:
        asked = f" {part!r} is none of them.{near(part, parts)}" if part else ""
        raise BadInput(f"the data set has the parts {', '.join(parts)}; name one by split=.{asked}")
    return part


def _column(asked: str | None, names: Sequence[str], usual: Sequence[str], what: str) -> str:
    found = asked if asked is not None else next((n for n in usual if n in names), None)
    if found is None or found not in names:
        hint = near(asked, names) if asked else ""
        raise BadInput(
            f"a column of {what} is needed; there are {', '.join(names)}. Name it by image=.{hint}"
        )
    return found


def _label_column(asked: str | None, names: Sequence[str]) -> str | None:
    if asked is not None and asked not in names:
        raise BadInput(f"there is no column {asked!r} for labels, but {', '.join(names)}.{near(asked, names)}")  # fmt: skip # noqa: E501
    return asked if asked is not None else next((n for n in NAMES if n in names), None)
