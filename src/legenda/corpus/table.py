"""Tables and lists that say something of images: where each line stands, and what is wrong with it.

A table (`.csv`, `.tsv`) has a header with a column for the image and one for what is said, if
anything must be; a list (`.jsonl`) has one JSON object per line. A file with a bad line is refused
whole: the message tells the first one and the numbers of the others.
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from legenda.corpus.images import present
from legenda.errors import BadInput, LegendaError, near

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SIGNS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
LISTS = frozenset({".jsonl", ".ndjson"})

Record = dict[str, Any]
Made = TypeVar("Made")
_Rows = Iterator[tuple[int, Any]]
_Parse = Callable[[Any], Record]


@dataclass(frozen=True)
class Columns:
    """What a file says of each image.

    Parameters
    ----------
    file: what the file is full of, such as "pairs".
    what: what a line says, such as "text".
    names: the columns it may stand in, of which one is wanted; none: nothing need be said.
    suggest: whether a header without them is told which of its own columns is near.
    images: the columns the image may stand in, of which the first that is there counts.
    """

    file: str
    what: str
    names: tuple[str, ...]
    suggest: bool = False
    images: tuple[str, ...] = ("image",)

    def image(self, record: Record) -> str:
        """The image that a record names."""
        given = [name for name in self.images if name in record]
        if not given:
            raise self._missing("an image", record)
        image = record[given[0]]
        if not isinstance(image, str) or not image.strip():
            raise BadInput(f"an image must be a path; got {image!r}. Name an image file.")
        return image.strip()

    def value(self, record: Record) -> Any:
        """What a record says of it."""
        given = [name for name in self.names if name in record]
        if not given:
            raise self._missing(f"a {self.what}", record)
        if len(given) > 1:
            raise BadInput(f"one {self.what} is needed; got both {' and '.join(given)}. Leave one out.")  # fmt: skip # noqa: E501
        return record[given[0]]

    def more(self, record: Record) -> Record:
        """What else a record says."""
        return {k: v for k, v in record.items() if k not in (*self.images, *self.names)}

    def lacking(self, header: Collection[str]) -> list[str]:
        """The columns of which one would be needed, where none is there."""
        groups = [names for names in (self.images, self.names) if not set(names) & set(header)]
        return [name for names in groups for name in names]

    def remedy(self, header: list[str], usual: str) -> str:
        """What to do about a header, or the keys of a record, that lacks a column."""
        hints = (near(name, header) for name in self.lacking(header))
        return next(filter(None, hints), usual) if self.suggest else usual

    def _missing(self, what: str, record: Record) -> BadInput:
        remedy = self.remedy(list(record), " Add one.")
        return BadInput(f"{what} is missing; got {', '.join(record)}.{remedy}")


def read_records(
    path: str | Path, columns: Columns, made: Callable[[Path, int, Record], Made]
) -> list[Made]:
    """What `made` makes of the folder of the file, the number and the record of every line."""
    path = present(path, f"file of {columns.file}")
    if not path.is_file():
        raise BadInput(f"{path} is a folder; a .csv, .tsv or .jsonl file of {columns.file} is needed.")  # fmt: skip # noqa: E501
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows, parse = _table(path, DELIMITERS[suffix], columns)
    elif suffix in LISTS:
        rows, parse = _list(path, columns), _record
    else:
        raise BadInput(f"{path} ends in {suffix!r}; a .csv, .tsv or .jsonl file is needed.")
    found: list[Made] = []
    bad: list[tuple[int, LegendaError]] = []
    for line, raw in rows:
        try:
            found.append(made(path.parent, line, parse(raw)))
        except LegendaError as error:
            bad.append((line, error))
    if bad:
        raise _first(path, bad)
    if not found:
        raise BadInput(f"{path} has no {columns.file}. {_add(columns)}")
    return found


def _add(columns: Columns) -> str:
    return f"Add a line with an image{f' and a {columns.what}' if columns.names else ''}."


def _first(path: Path, bad: list[tuple[int, LegendaError]]) -> LegendaError:
    line, error = bad[0]
    others = [str(n) for n, _ in bad[1:]]
    also = ""
    if others:
        shown = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if others[10:] else "")
        also = f" Bad too: line{'s' * (len(others) > 1)} {shown}."
    return type(error)(f"line {line} of {path}: {error}{also}")


def _decoded(path: Path, columns: Columns) -> str:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"line {line} of {path} is not UTF-8 (byte {data[error.start]:#04x}). "
            "Save the file as UTF-8."
        ) from None
    if not text.strip():
        raise BadInput(f"{path} is empty. {_add(columns)}")
    return text


def _table(path: Path, delimiter: str, columns: Columns) -> tuple[_Rows, _Parse]:
    text = _decoded(path, columns)
    _check_separator(path, text, delimiter, columns)
    rows = _cells(path, text, delimiter)
    _, cells = next(rows, (1, []))
    header = [cell.strip().casefold() for cell in cells]
    if columns.lacking(header):
        needed = [_either(*names) for names in (columns.images, columns.names) if names]
        raise BadInput(
            f"{path} needs the column{'s' * (len(needed) > 1)} {' and '.join(needed)}; its first "
            f"line is {', '.join(map(repr, cells))}.{columns.remedy(header, ' Add a header.')}"
        )
    first = next(name for name in columns.images if name in header)
    for names, what in (((first,), "image"), (columns.names, columns.what)):
        found = [name for name in header if name in names]
        if len(found) > 1:
            raise BadInput(
                f"{path} has {len(found)} columns for the {what}: {', '.join(found)}. "
                "Keep one of them, or rename the others."
            )
    return rows, partial(_named, header)


def _either(first: str, *others: str) -> str:
    return f"{first} (or {', '.join(others)})" if others else first


def _check_separator(path: Path, text: str, delimiter: str, columns: Columns) -> None:
    """Refuse a header that is one only if it is cut at another sign."""
    line = text.lstrip().split("\n", 1)[0]
    cut = {sign: {c.strip(' \t\r"').casefold() for c in line.split(sign)} for sign in SIGNS}
    right = [sign for sign, cells in cut.items() if not columns.lacking(cells)]
    if right and delimiter not in right:
        raise BadInput(
            f"{path} has {SIGNS[right[0]]} between its columns; a {path.suffix} has "
            f"{SIGNS[delimiter]}. Save it again with {SIGNS[delimiter]}."
        )


def _cells(path: Path, text: str, delimiter: str) -> _Rows:
    """Yield each record that is not blank, with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"line {line} of {path} cannot be read as a table ({error}). Mend its quotes."
        ) from None


def _named(header: list[str], cells: list[str]) -> Record:
    if len(cells) != len(header):
        raise BadInput(
            f"the header has {len(header)} columns and this line {len(cells)}; "
            "a text with the separator in it needs quotes around it."
        )
    return dict(zip(header, cells, strict=True))


def _list(path: Path, columns: Columns) -> _Rows:
    lines: Iterable[str] = _decoded(path, columns).split("\n")
    return ((n, line) for n, line in enumerate(lines, 1) if line.strip())


def _record(line: str) -> Record:
    try:
        record = json.loads(line, object_pairs_hook=_unique)
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:
        raise BadInput(f"this is not JSON ({error}). Write one object per line.") from None
    if not isinstance(record, dict):
        raise BadInput(f"a JSON object is needed; got {line.strip()[:80]}")
    return record


def _unique(items: list[tuple[str, Any]]) -> Record:
    """A JSON object in which no key is there twice."""
    found: Record = {}
    for key, value in items:
        if key in found:
            raise BadInput(f"the key {key!r} is there twice. Leave one out.")
        found[key] = value
    return found
