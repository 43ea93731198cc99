"""Pictures: the images of a corpus by number, wherever they lie.

A corpus is a folder (with one folder per class, or with a `metadata.csv` or `.jsonl` that names its
files), a table or a list that names files, an array (IDX, NPY, NPZ), a Hugging Face data set or
its parquet files. Nothing is read before it is asked for, so a corpus may be of any size.

The identity of a corpus stands for the names and the sizes of all files, and for the content of 64
of them, spread evenly. Reading every byte would take as long as a survey; times of change differ
between copies. A file that another of the very same size has replaced may go unnoticed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from PIL import Image

from legenda.corpus.arrays import SUFFIXES, ArrayPictures, inside, is_array, open_array
from legenda.corpus.hub_dataset import from_dataset, from_disk, from_parquet, is_dataset, is_saved
from legenda.corpus.image_files import Files
from legenda.corpus.images import LIMIT, list_images, present
from legenda.corpus.images import SUFFIXES as IMAGES
from legenda.corpus.listing import Wanted, read_listing
from legenda.corpus.table import DELIMITERS, LISTS
from legenda.errors import BadInput, near

TABLES = frozenset(DELIMITERS) | LISTS


@runtime_checkable
class Pictures(Protocol):
    """The images of a corpus, by number; none is read before it is asked for."""

    @property
    def digest(self) -> str:
        """A short identity of the corpus; two that differ in it differ."""
        ...

    def __len__(self) -> int: ...
    def key(self, i: int) -> str:
        """A short name of image i, for people and files; no two images share one."""
        ...

    def open(self, i: int) -> Image.Image:
        """Image i as RGB; a LegendaError where it cannot be read."""
        ...

    def label(self, i: int) -> str | None:
        """What image i shows, where the source says so."""
        ...


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the images of a corpus, in the order of `indices`."""

    pictures: Pictures
    indices: Sequence[int] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse numbers that are not there, or there twice."""
        for i in self.indices:
            inside(i, self.pictures)
        if len(set(self.indices)) < len(self.indices):
            raise BadInput("a subset has each picture once; it got some twice. Leave them out.")

    @property
    def digest(self) -> str:
        """Stands for the corpus and the numbers."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        chosen = np.asarray(self.indices, np.int64).tobytes()
        return hashlib.sha256(self.pictures.digest.encode() + chosen).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, i: int) -> str:
        """Its name in the whole corpus."""
        return self.pictures.key(self.indices[inside(i, self)])

    def label(self, i: int) -> str | None:
        """What it shows."""
        return self.pictures.label(self.indices[inside(i, self)])

    def open(self, i: int) -> Image.Image:
        """The picture itself."""
        return self.pictures.open(self.indices[inside(i, self)])


def split(pictures: Pictures, share: float = 0.1, seed: int = 0) -> tuple[Subset, Subset]:
    """Training and held-out images; a larger share holds out more.

    Each image is drawn by its name alone: those that are added later move no other.
    """
    if not 0 <= share <= 1:
        raise BadInput(f"a share of images lies between 0 and 1; it got {share}.")
    drawn = [_lot(pictures.key(i), seed) < share for i in range(len(pictures))]
    kept = [i for i, out in enumerate(drawn) if not out]
    return Subset(pictures, kept), Subset(pictures, [i for i, out in enumerate(drawn) if out])


def from_source(
    where: "str | Path | Pictures | np.ndarray | Any",
    *,
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
    limit: int = LIMIT,
) -> Pictures:
    """The pictures of a folder, a table, an array or a data set.

    Parameters
    ----------
    where: a path, an array (n h w [c]), an opened data set, or pictures already.
    image: the column, or the array of an NPZ, that holds the images; None: the usual one.
    label: the one that says what they show; None: the usual one, if it is there.
    split: the part of a data set that has several, such as "train".
    limit: most pixels to decode in one image.
    """
    if all(callable(getattr(where, name, None)) for name in ("key", "open", "label")):
        return cast(Pictures, where)  # to check the protocol itself would compute the digest
    if isinstance(where, np.ndarray):
        return ArrayPictures(where)
    if is_dataset(where):
        return from_dataset(where, image, label, split, limit)
    if not isinstance(where, str | Path):
        raise BadInput(
            f"pictures come from a path, an array or a data set; got {type(where).__name__}."
        )
    path = present(where, "source of pictures")
    if path.is_dir():
        return _of_folder(path, Wanted(image, label), split, limit)
    return _of_file(path, Wanted(image, label), limit)


def _of_file(path: Path, wanted: Wanted, limit: int) -> Pictures:
    suffix = path.suffix.lower()
    if is_array(path):
        return open_array(path, wanted.image, wanted.label)
    if suffix in TABLES:
        listed = read_listing(path, wanted)
        return Files(path.parent, *_columns((one.image, one.label) for one in listed), limit)
    if suffix == ".parquet":
        return from_parquet([path], wanted.image, wanted.label, limit)
    if suffix in IMAGES:
        return Files(path.parent, (path,), (), limit)
    known = sorted({*TABLES, *SUFFIXES, ".idx.gz", ".parquet", *IMAGES})
    raise BadInput(
        f"{path} ends in {suffix!r}; pictures come from a folder, an image, a table (.csv, .tsv, "
        f".jsonl), an array (.idx, -ubyte, .npy, .npz) or .parquet.{near(suffix, known)}"
    )


def _of_folder(folder: Path, wanted: Wanted, part: str | None, limit: int) -> Pictures:
    if is_saved(folder):
        return from_disk(folder, wanted.image, wanted.label, part, limit)
    try:
        paths = list_images(folder)
    except BadInput:  # it says what is missing
        tables = sorted(folder.rglob("*.parquet"))
        if not tables:
            raise
        return from_parquet(tables, wanted.image, wanted.label, limit, part)
    said = _metadata(folder, wanted)
    labels = tuple(said.get(path.resolve()) for path in paths)
    held = labels if any(labels) else _classes(folder, paths)
    return Files(folder, tuple(paths), held, limit)


def _metadata(folder: Path, wanted: Wanted) -> dict[Path, str | None]:
    """What the metadata of a folder, or of the folders in it, say of its images."""
    names = [f"metadata{suffix}" for suffix in sorted(TABLES)]
    found = [there for name in names for there in (folder / name, *folder.glob(f"*/{name}"))]
    tables = [there for there in found if there.is_file()]
    listed = [one for there in tables for one in read_listing(there, wanted)]
    return {one.image.resolve(): one.label for one in listed}


def _classes(folder: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    """The folder of each image, if all lie equally deep in several folders; else nothing."""
    homes = [path.relative_to(folder).parent for path in paths]
    if len({len(home.parts) for home in homes}) > 1 or len(set(homes)) < 2:
        return ()
    return tuple(home.name for home in homes)


def _columns(rows: Iterable[tuple[Path, str | None]]) -> tuple[tuple, tuple]:
    paths, labels = zip(*rows, strict=True)
    return paths, () if not any(labels) else labels


def _lot(key: str, seed: int) -> float:
    drawn = hashlib.sha256(f"{seed}\0{key}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(drawn[:7]) / (1 << 56)
