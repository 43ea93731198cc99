"""Synonyms: which words stand in one set of WordNet, read from its files.

Debian's wordnet-base ships WordNet without two files that nltk's reader wants, and nltk refuses to
read outside its own folders. METEOR asks for little: the words that share a set with a word or
with what it is an inflection of. Those are here, in the shape that nltk's METEOR calls.

References
----------
Miller. WordNet: a lexical database for English. Communications of the ACM 1995. The files, and
the endings by which inflections are undone.
"""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from legenda.errors import Missing

FOLDER = Path("/usr/share/wordnet")
"""Where Debian's package `wordnet-base` puts its files."""

ENDINGS = {
    "noun": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"),
             ("shes", "sh"), ("men", "man"), ("ies", "y")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""),
             ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip


class Lemma(NamedTuple):
    """A word of a set."""

    word: str

    def name(self) -> str:
        return self.word


class Synset(NamedTuple):
    """Words that mean one thing."""

    words: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        return [Lemma(word) for word in self.words]


class Synonyms:
    """Sets of synonyms in a folder of WordNet's files; read when they are first asked for.

    Parameters
    ----------
    folder: with index, data and exception files of nouns, verbs, adjectives and adverbs.
    """

    def __init__(self, folder: Path = FOLDER):
        self.folder = Path(folder)
        names = [f"{kind}.{part}" for part in ENDINGS for kind in ("index", "data")]
        names += [f"{part}.exc" for part in ENDINGS]
        absent = [name for name in names if not (self.folder / name).is_file()]
        if absent:
            raise Missing(
                f"METEOR's synonyms need WordNet's {absent[0]}, which is not in {folder}. Install "
                "Debian's wordnet-base, or use Meteor(), which does without synonyms."
            )

    def __repr__(self) -> str:
        return f"Synonyms({str(self.folder)!r})"

    def synsets(self, word: str) -> list[Synset]:
        """Every set that holds the word or what it is an inflection of."""
        found = []
        for part in ENDINGS:
            for form in self.forms(word.lower(), part):
                found += [self._synset(part, at) for at in self._index[part].get(form, ())]
        return found

    def forms(self, word: str, part: str) -> list[str]:
        """The word, and what it may be inflected from: by exception, else by ending."""
        odd = self._exceptions[part].get(word)
        cut = [word.removesuffix(a) + b for a, b in ENDINGS[part] if word.endswith(a)]
        candidates = dict.fromkeys([word, *(odd or cut)])
        return [form for form in candidates if form in self._index[part]]

    @cached_property
    def _index(self) -> dict[str, dict[str, tuple[int, ...]]]:
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for part in ENDINGS:
            rows = (line.split() for line in self._lines(f"index.{part}"))
            found[part] = {row[0]: tuple(map(int, row[-int(row[2]) :])) for row in rows}
        return found

    @cached_property
    def _exceptions(self) -> dict[str, dict[str, list[str]]]:
        rows = {part: map(str.split, self._lines(f"{part}.exc")) for part in ENDINGS}
        return {part: {row[0]: row[1:] for row in of} for part, of in rows.items()}

    @cached_property
    def _data(self) -> dict[str, bytes]:
        return {part: (self.folder / f"data.{part}").read_bytes() for part in ENDINGS}

    def _synset(self, part: str, at: int) -> Synset:
        """The words of the set at a byte of its file: number, file, kind, count, word, sense, …"""
        data = self._data[part]
        line = data[at : data.index(b"\n", at)].decode().split()
        said = line[4 : 4 + 2 * int(line[3], 16) : 2]
        return Synset(tuple(word.partition("(")[0] for word in said))

    def _lines(self, name: str) -> list[str]:
        text = (self.folder / name).read_text("utf-8")
        return [line for line in text.splitlines() if line and not line.startswith(" ")]
