"""Vocabularies: the words a unit may be called by.

A vocabulary holds each word once, as a noun or an adjective, which decides the sentences that the
word is put into before it is embedded. 20,000 everyday words ship with legenda; a person's own
list, the words of emoji and of OpenClipart join them by `with_words`.

References
----------
Miller. WordNet: a lexical database for English. Communications of the ACM 1995. The words that
ship; its licence lies beside them, and `wordnet` says how they were chosen.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from legenda.corpus.images import present
from legenda.errors import BadInput, Refused

Kind = Literal["noun", "adjective"]
EVERYDAY = 20_000
LETTERS = {"n": "noun", "a": "adjective"}
LONGEST = 80
"""A word of more letters is a sentence, or a file that is no list of words."""

EMPTY_KEYWORD = re.compile(r"unsorted|unchecked|hash|clip ?art|[\W\d_]*", re.I)


@dataclass(frozen=True)
class Vocabulary:
    """Words, each once, and what each is.

    Parameters
    ----------
    words: as a person would write them; more words name more finely, and find a chance fit sooner.
    kinds: "noun" or "adjective" for each word; nouns where nothing is said.
    source: where they are from, for people.
    """

    words: tuple[str, ...] = field(repr=False)
    kinds: tuple[Kind, ...] = field(default=(), repr=False)
    source: str = "a list"

    def __post_init__(self) -> None:
        if not self.words:
            raise BadInput(f"a vocabulary needs at least one word; {self.source} has none.")
        if not self.kinds:
            object.__setattr__(self, "kinds", ("noun",) * len(self.words))
        if len(self.kinds) != len(self.words) or not set(self.kinds) <= set(LETTERS.values()):
            raise BadInput(
                f"a vocabulary needs 'noun' or 'adjective' for each word; {self.source} has "
                f"{len(self.words)} words and {len(self.kinds)} kinds. Give one each, or none."
            )
        if len(set(self.words)) < len(self.words) or "" in self.words:
            raise BadInput(
                f"a vocabulary holds each word once, and no empty one; {self.source} repeats "
                f"some of {len(self.words)}. Make it with Vocabulary.of, which merges them."
            )

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def of(cls, words: Iterable[str], source: str, kind: Kind | None = None) -> "Vocabulary":
        """Words tidied and merged; a kind that is not said is looked up among everyday words."""
        kept = list(dict.fromkeys(word for word in map(tidy, words) if word))
        known = {} if kind else everyday_kinds()
        return cls(tuple(kept), tuple(kind or known.get(word, "noun") for word in kept), source)

    def with_words(self, *others: "Vocabulary") -> "Vocabulary":
        """These words, then those of others that are not here yet."""
        kinds: dict[str, Kind] = {}
        for one in (self, *others):
            for word, kind in zip(one.words, one.kinds, strict=True):
                kinds.setdefault(word, kind)
        source = ", ".join(one.source for one in (self, *others))
        return Vocabulary(tuple(kinds), tuple(kinds.values()), source)


def tidy(word: str) -> str:
    """A word with single spaces, in lower case unless it is written in capitals.

    Examples
    --------
    >>> tidy("  Traffic_light "), tidy("TV")
    ('traffic light', 'TV')
    """
    word = " ".join(word.replace("_", " ").replace("\ufeff", "").split())
    return word if word.isupper() and len(word) <= 5 else word.lower()


def everyday(size: int = EVERYDAY) -> Vocabulary:
    """The everyday nouns and adjectives of English that ship with legenda, the most used first."""
    if not 1 <= size <= EVERYDAY:
        raise BadInput(f"1 to {EVERYDAY} everyday words ship with legenda; {size} were asked for.")
    kinds = everyday_kinds()
    return Vocabulary(
        tuple(kinds)[:size], tuple(kinds.values())[:size], f"WordNet, {size} everyday words"
    )


@cache
def everyday_kinds() -> dict[str, Kind]:
    """What each everyday word is, in the order of use."""
    packed = files("legenda.describe") / "words" / "everyday.txt.gz"
    found: dict[str, Kind] = {}
    for line in gzip.decompress(packed.read_bytes()).decode().splitlines():
        word, _, letter = line.partition("\t")
        found[word] = "adjective" if letter == "a" else "noun"
    return found


def packed_words(vocabulary: Vocabulary) -> bytes:
    """The bytes of a word list that ships: one word a line, its kind's first letter, no date."""
    pairs = zip(vocabulary.words, vocabulary.kinds, strict=True)
    text = "".join(f"{word}\t{kind[0]}\n" for word, kind in pairs)
    return gzip.compress(text.encode(), 9, mtime=0)


def read_words(path: str | Path) -> Vocabulary:
    """A person's own list: a text file with a word on each line, or the first column of a CSV."""
    path = present(path, "word list")
    if path.is_dir() or path.suffix.lower() not in (".txt", ".csv"):
        raise BadInput(f"{path} is no word list: a .txt with a word a line or a .csv is needed.")
    text = decoded(path)
    if path.suffix.lower() == ".csv":
        try:
            found = [row[0] for row in csv.reader(text.splitlines()) if row]
        except csv.Error as problem:
            raise BadInput(f"{path} is not a table that can be read: {problem}.") from None
    else:
        found = [line for line in text.splitlines() if not line.startswith("#")]
    long = next((i for i, word in enumerate(found, 1) if len(word.strip()) > LONGEST), None)
    if long:
        raise BadInput(
            f"{path} has an entry of {len(found[long - 1].strip())} letters (number {long}); a "
            f"name has at most {LONGEST}. Put one word on each line."
        )
    if not any(tidy(word) for word in found):
        raise BadInput(f"{path} has no words. Put one word on each line.")
    return Vocabulary.of(found, path.name)


def decoded(path: Path) -> str:
    """The text of a file in UTF-8, or the reason why not."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise BadInput(
            f"{path} is not text in UTF-8: byte {problem.start} on line {line} cannot be read. "
            "Save it as UTF-8."
        ) from None


def emoji_words(path: str | Path) -> Vocabulary:
    """Labels and tags of emoji, from the `data.json` of emojibase-data; no skin tones, no flags."""
    path = present(path, "list of emoji")
    try:
        entries: Any = json.loads(decoded(path))
    except json.JSONDecodeError as problem:
        raise Refused(f"{path} is not JSON at line {problem.lineno}: {problem.msg}.") from None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise Refused(f"{path} is not emojibase's data.json, a list of emoji. Fetch it again.")
    kept = [one for one in entries if one.get("group") in range(8)]  # 8 is symbols, 9 flags
    words = (w for one in kept for w in (one.get("label", ""), *one.get("tags", ())))
    return Vocabulary.of((w for w in words if sayable(w)), "the words of emoji")


def clipart_words(folder: str | Path, most: int = 60_000) -> Vocabulary:
    """Titles and keywords of OpenClipart's drawings below a folder; `most` bytes of each are read."""  # noqa: E501
    folder = present(folder, "folder of drawings")
    found: list[str] = []
    for drawing in sorted(folder.rglob("*.svg")):
        with drawing.open("rb") as file:
            text = file.read(most).decode("utf-8", errors="replace")
        title = re.search(r"<dc:title[^>]*>([^<]*)<", text)
        found += [unescape(title[1])] if title else []
        found += [unescape(word) for word in re.findall(r"<rdf:li[^>]*>([^<]*)<", text)]
    words = [word for word in found if sayable(word) and not EMPTY_KEYWORD.fullmatch(word.strip())]
    if not words:
        raise BadInput(f"{folder} has no drawing (.svg) with a title. Fetch OpenClipart there.")
    return Vocabulary.of(words, "the words of OpenClipart")


def sayable(word: str) -> bool:
    """Whether a title can be a name: one to three words of letters."""
    return bool(re.fullmatch(r"[^\W\d_]+(['-][^\W\d_]+)*([ _][^\W\d_]+(['-][^\W\d_]+)*){0,2}",
                             word.strip()))  # fmt: skip
