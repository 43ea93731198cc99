"""Pairs of an image and a sentence, from a table, a list of records, or a folder.

A table (`.csv`, `.tsv`) has a header with the columns `image` and `text`; a list (`.jsonl`) has
one `{"image": ..., "text": ...}` per line. `caption` is understood as `text`, but one of them
only; other columns are left alone, and image paths are relative to the file that names them.

A list with a bad line (no such file, a blank text) is refused whole, before any work: the message
tells the first bad line and the numbers of the others. No picture is opened here: one that turns
out to be unreadable is for the caller, who can report it and go on with the others.
"""

from dataclasses import dataclass
from pathlib import Path

from legenda.corpus.images import list_images, present
from legenda.corpus.table import DELIMITERS, LISTS, Columns, Record, read_records
from legenda.errors import BadInput

NO_LISTS = frozenset({".json", ".txt", ".xls", ".xlsx"})
"""Endings that people try a list of pairs with; none is one."""
COLUMNS = Columns("pairs", "text", ("text", "caption"))


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
    return read_records(path, COLUMNS, _pair)


def checked_text(text: object) -> str:
    """Strip a sentence of outer blanks; refuse what is empty or no text at all."""
    if not isinstance(text, str):
        raise BadInput(f"a text must be a string; got {text!r}. Put it in quotes.")
    if not text.strip():
        raise BadInput("a text must say something; got an empty one. Write a sentence.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInput(f"a text must be valid Unicode; got {text!r}, half a character.")
    return text.strip()


def _pair(folder: Path, line: int, record: Record) -> Pair:
    image = COLUMNS.image(record)
    text = checked_text(COLUMNS.value(record))
    where = present(folder / image, "image")
    if not where.is_file():
        raise BadInput(f"{where} is a folder; an image file is needed.")
    return Pair(where, text, line)
