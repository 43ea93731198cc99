"""Pairs of an image and a sentence, from a table, a list of records, or a folder.

A table (`.csv`, `.tsv`) has a header with the columns `image` and `text`; a list (`.jsonl`) has
one `{"image": ..., "text": ...}` per line. `caption` is understood as `text`, but one of them
only; other columns are left alone, and image paths are relative to the file that names them.

A list with a bad line (no such file, a blank text) is refused whole, before any work: the message
tells the first bad line and the numbers of the others. No picture is opened here: one that turns
out to be unreadable is for the caller, who can report it and go on with the others.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from legenda.corpus.images import list_images, present
from legenda.errors import BadInput, LegendaError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SIGNS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
LISTS = frozenset({".jsonl", ".ndjson"})
NO_LISTS = frozenset({".json", ".txt", ".xls", ".xlsx"})
"""Endings that people try a list of pairs with; none is one."""
TEXT_NAMES = ("text", "caption")

_Rows = Iterator[tuple[int, Any]]
_Parse = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Pair:
    """An image, a sentence about it, and the line that says so (0: no file did)."""

    image: Path
    text: str
    line: int = 0


def pairs_of(path: str | Path, text: str | None = None) -> list[Pair]:
    """Pairs from whatever a person points at: an image, a folder, or a file of pairs.

    An image or a folder needs `text`; a file of pairs brings its own.
    """
    path = present(path, "image, folder or file of pairs")
    if path.is_file() and path.suffix.lower() in DELIMITERS.keys() | LISTS:
        if text is not None:
            raise BadInput(f"{path} brings its own sentences; got {text!r} too. Leave one out.")
        return read_pairs(path)
    if text is None and path.is_file() and path.suffix.lower() in NO_LISTS:
        raise BadInput(f"{path} is no list of pairs: a list is .csv, .tsv or .jsonl. Save it so.")
    if text is None:
        raise BadInput(f"{path} needs a sentence to go with it; got none. Add one.")
    sentence = checked_text(text)
    images = list_images(path) if path.is_dir() else [path]
    return [Pair(image, sentence) for image in images]


def read_pairs(path: str | Path) -> list[Pair]:
    """Read every pair of a `.csv`, `.tsv` or `.jsonl` file, or say which lines are bad."""
    path = present(path, "file of pairs")
    if not path.is_file():
        raise BadInput(f"{path} is a folder; a .csv, .tsv or .jsonl file of pairs is needed.")
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows, parse = _table(path, DELIMITERS[suffix])
    elif suffix in LISTS:
        rows, parse = _list(path), _record
    else:
        raise BadInput(f"{path} ends in {suffix!r}; a .csv, .tsv or .jsonl file is needed.")
    pairs, bad = [], []
    for line, raw in rows:
        try:
            pairs.append(_pair(path.parent, line, parse(raw)))
        except LegendaError as error:
            bad.append((line, error))
    if bad:
        raise _first(path, bad)
    if not pairs:
        raise BadInput(f"{path} has no pairs. Add a line with an image and a text.")
    return pairs


def checked_text(text: object) -> str:
    """Strip a sentence of outer blanks; refuse what is empty or no text at all."""
    if not isinstance(text, str):
        raise BadInput(f"a text must be a string; got {text!r}. Put it in quotes.")
    if not text.strip():
        raise BadInput("a text must say something; got an empty one. Write a sentence.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInput(f"a text must be valid Unicode; got {text!r}, half a character.")
    return text.strip()


def _pair(folder: Path, line: int, record: dict[str, Any]) -> Pair:
    image = record.get("image")
    if not isinstance(image, str) or not image.strip():
        raise BadInput(f"an image must be a path; got {image!r}. Name an image file.")
    given = [name for name in TEXT_NAMES if name in record]
    if not given:
        raise BadInput(f"a text is missing; got {', '.join(record)}. Add one.")
    if len(given) > 1:
        raise BadInput("one text is needed; got both text and caption. Leave one out.")
    text = checked_text(record[given[0]])
    where = present(folder / image.strip(), "image")
    if not where.is_file():
        raise BadInput(f"{where} is a folder; an image file is needed.")
    return Pair(where, text, line)


def _first(path: Path, bad: list[tuple[int, LegendaError]]) -> LegendaError:
    line, error = bad[0]
    others = [str(n) for n, _ in bad[1:]]
    also = ""
    if others:
        shown = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if others[10:] else "")
        also = f" Bad too: line{'s' * (len(others) > 1)} {shown}."
    return type(error)(f"line {line} of {path}: {error}{also}")


def _decoded(path: Path) -> str:
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
        raise BadInput(f"{path} is empty. Add a line with an image and a text.")
    return text


def _table(path: Path, delimiter: str) -> tuple[_Rows, _Parse]:
    text = _decoded(path)
    _check_separator(path, text, delimiter)
    rows = _cells(path, text, delimiter)
    _, cells = next(rows, (1, []))
    header = [cell.strip().casefold() for cell in cells]
    images, texts = ([h for h in header if h in known] for known in (("image",), TEXT_NAMES))
    if not images or not texts:
        raise BadInput(
            f"{path} needs the columns image and text (or caption); "
            f"its first line is {', '.join(map(repr, cells))}. Add a header."
        )
    for found, what in ((images, "image"), (texts, "text")):
        if len(found) > 1:
            raise BadInput(
                f"{path} has {len(found)} columns for the {what}: {', '.join(found)}. "
                "Keep one of them, or rename the others."
            )
    return rows, partial(_named, header)


def _check_separator(path: Path, text: str, delimiter: str) -> None:
    """Refuse a header that is one only if it is cut at another sign."""
    line = text.lstrip().split("\n", 1)[0]
    cut = {sign: {c.strip(' \t\r"').casefold() for c in line.split(sign)} for sign in SIGNS}
    right = [sign for sign, cells in cut.items() if "image" in cells and cells & set(TEXT_NAMES)]
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


def _named(header: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        raise BadInput(
            f"the header has {len(header)} columns and this line {len(cells)}; "
            "a text with the separator in it needs quotes around it."
        )
    return dict(zip(header, cells, strict=True))


def _list(path: Path) -> _Rows:
    lines: Iterable[str] = _decoded(path).split("\n")
    return ((n, line) for n, line in enumerate(lines, 1) if line.strip())


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line, object_pairs_hook=_unique)
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:
        raise BadInput(f"this is not JSON ({error}). Write one object per line.") from None
    if not isinstance(record, dict):
        raise BadInput(f"a JSON object is needed; got {line.strip()[:80]}")
    return record


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key is there twice."""
    found: dict[str, Any] = {}
    for key, value in items:
        if key in found:
            raise BadInput(f"the key {key!r} is there twice. Leave one out.")
        found[key] = value
    return found
