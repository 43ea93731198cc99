"""Listings: files whose lines name pictures, and perhaps say what each shows.

A table (`.csv`, `.tsv`) has a header, a list (`.jsonl`) one JSON object per line. Images are named
in one of the columns of `IMAGES` by a path relative to the file, labels in one of those of
`labels.NAMES`; other columns may be named instead, and are passed over otherwise. A line that
cannot be read, or that names an image that is not there, makes the whole file be refused.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from legenda.corpus.images import present
from legenda.corpus.labels import NAMES, Labelled, a_file, name_of, real, refuse_absent
from legenda.corpus.table import DELIMITERS, LISTS, Columns, Record, read_records
from legenda.errors import BadInput, near

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

    def said(self, record: Record, home: Path, line: int) -> Listed:
        """What one line says."""
        image, label = self._image(record), self._label(record)
        return Listed(home / image, None if label is None else name_of(label), line)

    def _image(self, record: Record) -> str:
        names = IMAGES if self.image is None else (self.image.strip().casefold(),)
        found = next((record[name] for name in names if name in record), None)
        if not isinstance(found, str) or not found.strip():
            at = f"one of {', '.join(names)}" if self.image is None else repr(self.image)
            raise BadInput(
                f"an image must be a path, in {at}; got {found!r} of {', '.join(record)}."
                f"{_hint(names, record)}"
            )
        return found.strip()

    def _label(self, record: Record) -> object:
        if self.label is None:
            return next(
                (record[name] for name in NAMES if record.get(name) not in (None, "")), None
            )
        name = self.label.strip().casefold()
        if name not in record:
            raise BadInput(
                f"the label must be in {self.label!r}; got {', '.join(record)}."
                f"{_hint([name], record)}"
            )
        return record[name]


def read_listing(path: str | Path, wanted: Wanted | None = None) -> list[Listed]:
    """Every image that a file names, once, in the order of its lines."""
    path, wanted = present(path, "table of pictures"), wanted or Wanted()

    def made(home: Path, line: int, record: Record) -> Listed:
        return wanted.said({k.strip().casefold(): v for k, v in record.items()}, home, line)

    if path.suffix.lower() in LISTS:
        found = read_records(path, Columns("pictures", "label", NAMES), made)
    else:
        found = [_placed(path, made, line, record) for line, record in _lines(path)]
    absent = [Labelled(one.image, "", one.line) for one in found if not a_file(one.image)]
    known = [there.name for there in path.parent.iterdir()] if absent else []
    refuse_absent(path, absent, "not there", known)
    return _once(path, found)


def _placed(
    path: Path, made: Callable[[Path, int, Record], Listed], line: int, record: Record
) -> Listed:
    try:
        return made(path.parent, line, record)
    except BadInput as error:
        raise BadInput(f"line {line} of {path}: {error}") from None


def _lines(path: Path) -> Iterator[tuple[int, Record]]:
    """The lines of a table that are not blank, by the names in its header."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"line {line} of {path} is not UTF-8. Save the file as UTF-8.") from None
    cut = DELIMITERS[path.suffix.lower()]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=cut, strict=True)
    header: list[str] = []
    line, found = 1, 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if header:
                    found += 1
                    yield line, _record(path, line, header, cells)
                header = header or cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(f"line {line} of {path} is no line of a table ({error}). Mend its quotes.") from None  # fmt: skip # noqa: E501
    if not found:
        raise BadInput(f"{path} names no pictures. Add a header and a line for each image.")


def _record(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Record:
    if len(cells) != len(header):
        raise BadInput(
            f"line {line} of {path}: the header has {len(header)} columns and this line "
            f"{len(cells)}; a text with the separator in it needs quotes around it."
        )
    return dict(zip(header, cells, strict=True))


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


def _hint(names: Sequence[str], record: Record) -> str:
    if any(name in record for name in names):
        return " Name an image file."
    hints = (near(name, record) for name in names)
    return next(filter(None, hints), " Name the column, or mend the header.")
