"""Listings: files whose lines name pictures, and perhaps say what each shows.

A table (`.csv`, `.tsv`) has a header, a list (`.jsonl`) one JSON object per line. Images are named
in one of the columns of `IMAGES` by a path relative to the file, labels in one of those of
`labels.NAMES`; other columns may be named instead, and are passed over otherwise. A line that
cannot be read, or that names an image that is not there, makes the whole file be refused.
"""

from dataclasses import dataclass
from pathlib import Path

from legenda.corpus.labels import NAMES, Labelled, a_file, name_of, real, refuse_absent
from legenda.corpus.table import Columns, Record, read_records
from legenda.errors import BadInput

IMAGES = ("image", "file_name", "filename", "file", "path")


@dataclass(frozen=True)
class Listed:
    """An image that a line names, and what it says that the image shows."""

    image: Path
    label: str | None
    line: int


@dataclass(frozen=True)
class Wanted:
    """The columns that a person named; where they named none, the first usual one counts."""

    image: str | None = None
    label: str | None = None

    @property
    def columns(self) -> Columns:
        """What a file needs."""
        images = IMAGES if self.image is None else (self.image.strip().casefold(),)
        names = () if self.label is None else (self.label.strip().casefold(),)
        return Columns("pictures", "label", names, suggest=True, images=images)


def read_listing(path: str | Path, wanted: Wanted | None = None) -> list[Listed]:
    """Every image that a file names, once, in the order of its lines."""
    path, columns = Path(path), (wanted or Wanted()).columns

    def made(home: Path, line: int, record: Record) -> Listed:
        record = {key.strip().casefold(): value for key, value in record.items()}
        return Listed(home / columns.image(record), _label(columns, record), line)

    found = read_records(path, columns, made)
    absent = [Labelled(one.image, "", one.line) for one in found if not a_file(one.image)]
    known = [there.name for there in path.parent.iterdir()] if absent else []
    refuse_absent(path, absent, "not there", known)
    return _once(path, found)


def _label(columns: Columns, record: Record) -> str | None:
    usual = (record[name] for name in NAMES if record.get(name) not in (None, ""))
    said = columns.value(record) if columns.names else next(usual, None)
    return None if said is None else name_of(said)


def _once(path: Path, found: list[Listed]) -> list[Listed]:
    """Each image once; two lines may agree on one."""
    first: dict[str, Listed] = {}
    for one in found:
        other = first.setdefault(real(one.image), one)
        if other.label != one.label:
            raise BadInput(
                f"{path} names {one.image} twice: {other.label!r} on line {other.line}, "
                f"{one.label!r} on line {one.line}. Leave one out."
            )
    return list(first.values())
