"""Everyday words from WordNet: nouns and adjectives, the most used first.

WordNet does not say which of its 140,000 nouns and adjectives people use. Two things in its own
files do: how often a lemma was tagged in running text, and how often its definitions, examples and
longer lemmas mention it. With g the weight of what the first sense of a noun names (`WEIGHTS`: tools and food
are in pictures more than theorems are; 1 for adjectives),

    rank(w) = g(w) (tagged(w) + mentioned(w))                             (1)

Ties go to single words, then to short ones, then by the alphabet. A lemma that is both noun and
adjective is what it was tagged as more often. Left out are names, numbers, phrases of three words
and more, words of one or two letters, words of grammar, and rare words that WordNet calls offensive.

References
----------
Miller. WordNet: a lexical database for English. Communications of the ACM 1995. The files.
"""  # noqa: E501

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from legenda.describe.vocabulary import EVERYDAY, Kind, Vocabulary
from legenda.errors import Missing, Refused

FOLDER = Path("/usr/share/wordnet")
"""Where Debian's package `wordnet-base` puts its files."""

FILES = tuple(f"{part}.{kind}" for part in ("index", "data") for kind in ("noun", "adj"))
OTHERS = ("data.verb", "data.adv")
WEIGHTS = {"05": 2, "06": 5, "08": 2, "13": 5, "17": 2, "18": 2, "19": 2, "20": 2, "25": 3}
"""Of animals, artifacts, bodies, food, objects, persons, phenomena, plants and shapes."""

PLAIN = re.compile(r"[a-z]{3,}|(?=.{3})[a-z]+_[a-z]+")
RUDE = re.compile(r"\b(slur|disparaging|(offensive|obscene) (terms?|names?|words?))\b")
KNOWN = 20
"""A lemma that is used so often keeps its place though one of its senses is offensive."""

GRAMMAR = frozenset(
    "all and any are being but can down each first for four had has have her him his how last "
    "less made make many may more most much must nan not off one only other out over own same "
    "second seven she six some such that the then there these they this those three through two "
    "under until upon used various was well were what when where which who whole why will with "
    "you your".split()
)


class Lemma(NamedTuple):
    """One line of an index: the synset of the first sense."""

    word: str
    kind: Kind
    first: str


def everyday_of(folder: Path = FOLDER, size: int = EVERYDAY) -> Vocabulary:
    """The `size` words of WordNet that equation (1) puts first, spaces in place of underscores."""
    for name in (*FILES, *OTHERS, "cntlist.rev"):
        if not (folder / name).is_file():
            raise Missing(
                f"WordNet's {name} is not in {folder}. Install Debian's wordnet-base, or use "
                "everyday(), which needs no files."
            )
    ranks, kinds = ranked(folder)
    order = sorted(ranks, key=lambda word: (-ranks[word], "_" in word, len(word), word))[:size]
    if len(order) < size:
        raise Refused(
            f"WordNet in {folder} gives {len(order)} everyday words; {size} were asked for. Ask "
            "for fewer, or install the whole of wordnet-base."
        )
    words = tuple(word.replace("_", " ") for word in order)
    return Vocabulary(words, tuple(kinds[word] for word in order), f"WordNet, {size} words")


def ranked(folder: Path) -> tuple[dict[str, int], dict[str, Kind]]:
    """Equation (1) of each lemma that is not left out, and what it is."""
    tagged, said, known = tags(folder), mentions(folder), facts(folder)
    ranks: dict[str, int] = {}
    kinds: dict[str, Kind] = {}
    nouns = {lemma.word: lemma for lemma in lemmas(folder, "noun")}
    adjectives = {lemma.word: lemma for lemma in lemmas(folder, "adjective")}
    for word in nouns.keys() | adjectives.keys():
        used = tagged[word, "noun"] + tagged[word, "adjective"] + said[word]
        rude = word in known.rude and used < KNOWN
        if not used or rude or word in GRAMMAR or word not in known.small:
            continue
        more = tagged[word, "adjective"] > tagged[word, "noun"]
        is_noun = word in nouns and not (word in adjectives and more)
        kinds[word] = "noun" if is_noun else "adjective"
        file = known.file.get((word, nouns[word].first)) if is_noun else None
        ranks[word] = WEIGHTS.get(file or "", 1) * used  # (1)
    return ranks, kinds


def lemmas(folder: Path, kind: Kind) -> Iterator[Lemma]:
    """The plain words of an index."""
    for line in lines(folder / f"index.{'noun' if kind == 'noun' else 'adj'}"):
        parts = line.split()
        if PLAIN.fullmatch(parts[0]):
            yield Lemma(parts[0], kind, parts[-int(parts[2])])


def tags(folder: Path) -> Counter[tuple[str, str]]:
    """How often each lemma was tagged in text, as what."""
    found: Counter[tuple[str, str]] = Counter()
    kinds = {"1": "noun", "3": "adjective", "5": "adjective"}
    for line in lines(folder / "cntlist.rev"):
        key, _, count = line.split()
        lemma, _, rest = key.partition("%")
        if rest[0] in kinds:
            found[lemma, kinds[rest[0]]] += int(count)
    return found


def mentions(folder: Path) -> Counter[str]:
    """How often definitions, examples and longer lemmas hold each word, or each two in a row."""
    found: Counter[str] = Counter()
    for name in ("data.noun", "data.adj", *OTHERS):
        for line in lines(folder / name):
            head, _, gloss = line.partition("|")
            texts = [gloss.lower(), *(w.replace("_", " ") for w in head.split() if "_" in w)]
            for i, text in enumerate(texts):
                said = re.findall(r"[a-z]+", text)
                found.update(said)
                if i == 0 or len(said) > 2:
                    found.update(f"{a}_{b}" for a, b in zip(said, said[1:], strict=False))
    return found


class Facts(NamedTuple):
    """What synsets say: the file of each noun in each synset; the lemmas that are ever written in
    small letters; those of which some sense is offensive.
    """

    file: dict[tuple[str, str], str]
    small: set[str]
    rude: set[str]


def facts(folder: Path) -> Facts:
    """The facts of all nouns and adjectives."""
    found = Facts({}, set(), set())
    for name in ("data.noun", "data.adj"):
        for line in lines(folder / name):
            head, _, gloss = line.partition("|")
            parts = head.split()
            rude = RUDE.search(gloss.partition('"')[0])
            for i in range(int(parts[3], 16)):
                word = parts[4 + 2 * i].partition("(")[0]
                lemma = word.lower()
                if word == lemma:
                    found.small.add(lemma)
                if rude:
                    found.rude.add(lemma)
                if name == "data.noun":
                    found.file[lemma, parts[0]] = parts[1]
    return found


def lines(path: Path) -> Iterator[str]:
    """The lines of a file of WordNet without its licence, which is indented."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith(" "))
