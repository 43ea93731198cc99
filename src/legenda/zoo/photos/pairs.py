"""The training pairs of `zoo:photos`, and a split that no family of picture crosses.

A family is everything that shows the same thing in nearly the same way: pictures whose title or
file name agrees once numbers, articles, skin tones and words of gender are struck out, in any
source, and pictures whose frozen features almost coincide. Families are joined transitively, then
shared out whole. Symbols, letters and flags are left out: they are writing, not pictures of things.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

import numpy as np
from PIL import Image

from legenda.errors import Missing

NEAR = 0.85
QUOTAS = {
    "test": {"emoji": 160, "tuxpaint": 80, "openclipart": 160},
    "validation": {"emoji": 100, "tuxpaint": 50, "openclipart": 100},
}
LARGEST = 4
SMALLEST = 24
MOST = 10_000_000
SKIPPED = {
    "tuxpaint": ("symbols/alphabets", "symbols/math", "town/flags"),
    "openclipart": (
        "buttons", "computer/bb_", "computer/buttons", "computer/folders", "computer/icons",
        "logos", "recreation/games/cards", "shapes", "signs_and_symbols/flags",
        "signs_and_symbols/led", "signs_and_symbols/map_symbols", "special",
        "transportation/aiga-symbols", "unsorted/duplicates",
    ),
}  # fmt: skip
EMOJI_GROUPS = frozenset(range(8))  # 8 is symbols, 9 is flags
CATALOGUE = re.compile(
    r"clip ?art|nicu bucu|theme|iconset|icons$|sibmission|^svg |various|untitled|^people$"
)
EMPTY_KEYWORD = re.compile(r"^(unsorted|unchecked|hash|clip ?art|[\d\W]*|.*rollandin.*)$", re.I)
UNTELLING = re.compile(
    r"\b(a|an|the|man|men|woman|women|person|people|boy|girl|b w|bw|b and w"
    r"|dark|light|medium|skin|tone)\b"
)


@dataclass(frozen=True)
class Pair:
    """A picture and its caption. `picture` is its path below the folder of all pairs."""

    picture: str
    title: str
    keywords: tuple[str, ...]
    source: str
    english: bool = True
    family: int = -1
    split: str = "train"

    @property
    def caption(self) -> str:
        """The title, then the keywords, as in `dog face. dog, pet`."""
        return f"{self.title}. {', '.join(self.keywords)}" if self.keywords else self.title


def listed(folder: Path, vocabulary: Collection[str]) -> list[Pair]:
    """Every pair that `fetch_pairs` has put below `folder`, in a fixed order, not yet split.

    `vocabulary` holds the words by which the titles of OpenClipart are known as English.
    """
    if not (folder / "openclipart-names").is_dir():
        raise Missing(
            f"The pairs of zoo:photos are not in {folder}. Run `legenda zoo train photos` where "
            "npm and apt-get can download, or call fetch_pairs()."
        )
    pairs = [*_emoji(folder), *_tuxpaint(folder), *_openclipart(folder, vocabulary)]
    usable = (pair for pair in pairs if _usable(folder / pair.picture))
    return sorted(usable, key=lambda pair: pair.picture)


def split(pairs: Sequence[Pair], features: np.ndarray, seed: int = 0) -> list[Pair]:
    """Group pairs into families and share the families out, by chance.

    Test and validation each take as many families of each source as `QUOTAS` says, among those of
    at most `LARGEST` pictures whose title is English; the rest is for training. `features` are
    `n d`, one row per pair.
    """
    family = families(pairs, features)
    sizes = Counter(family)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(pairs))
    part: dict[int, str] = {}
    for name, quota in QUOTAS.items():
        for source, count in quota.items():
            fit = [family[i] for i in order if pairs[i].source == source and pairs[i].english]
            free = [f for f in dict.fromkeys(fit) if f not in part and sizes[f] <= LARGEST]
            part |= dict.fromkeys(free[:count], name)
    return [
        replace(pair, family=f, split=part.get(f, "train"))
        for pair, f in zip(pairs, family, strict=True)
    ]


def gallery(pairs: Sequence[Pair], part: str, seed: int = 0) -> list[int]:
    """Numbers of one pair per family of a part, with distinct captions: what retrieval ranks."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    chosen: dict[str, int] = {}
    seen: set[int] = set()
    for i in order:
        pair = pairs[i]
        fits = pair.split == part and pair.english
        if fits and pair.family not in seen and pair.caption not in chosen:
            seen.add(pair.family)
            chosen[pair.caption] = int(i)
    return sorted(chosen.values())


def families(pairs: Sequence[Pair], features: np.ndarray) -> list[int]:
    """The family of every pair: a number, the lowest index among its members."""
    leader = list(range(len(pairs)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for i, j in (*_same_name(pairs), *_look_alike(features)):
        low, high = sorted((find(i), find(j)))
        leader[high] = low
    return [find(i) for i in range(len(pairs))]


def is_english(title: str, vocabulary: Collection[str]) -> bool:
    """Whether MiniLM holds three quarters of the words whole, those of one letter apart.

    Examples
    --------
    >>> is_english("a red apple", {"red", "apple"}), is_english("pacco regalo", {"red", "apple"})
    (True, False)
    """
    words = [word for word in re.findall(r"[^\W\d_]+", title.lower()) if len(word) > 1]
    return bool(words) and sum(word in vocabulary for word in words) >= 0.75 * len(words)


def stripped(name: str) -> str:
    """A title or file name without what tells the members of a family apart.

    Examples
    --------
    >>> stripped("The red apple_02"), stripped("woman astronaut: dark skin tone")
    ('red apple', 'astronaut')
    """
    words = re.sub(r"[\W\d_]+", " ", name.lower())
    return " ".join(UNTELLING.sub(" ", words).split())


def _usable(path: Path) -> bool:
    """Whether a picture is neither a dot nor a poster of hundreds of megapixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as file:
                width, height = file.size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return False
    return min(width, height) >= SMALLEST and width * height <= MOST


def _same_name(pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    """Pairs that agree in stripped title or stripped file name."""
    first: dict[str, int] = {}
    for i, pair in enumerate(pairs):
        stem = "" if pair.source == "emoji" else stripped(Path(pair.picture).stem)
        for name in {stripped(pair.title), stem} - {""}:
            yield first.setdefault(name, i), i


def _look_alike(features: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs whose features, after the mean is taken away, have a cosine above `NEAR`."""
    centred = features - features.mean(0)
    rows = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-8)
    for start in range(0, len(rows), 512):
        for i, j in np.argwhere(rows[start : start + 512] @ rows.T > NEAR):
            if start + i < j:
                yield int(start + i), int(j)


def _emoji(folder: Path) -> Iterator[Pair]:
    """Base emoji: label and tags."""
    for entry in json.loads((folder / "emoji-names" / "data.json").read_text("utf-8")):
        code = entry["hexcode"].lower()
        bare = "-".join(part for part in code.split("-") if part != "fe0f")
        for picture in (f"emoji/{code}.webp", f"emoji/{bare}.webp"):
            if entry.get("group") in EMOJI_GROUPS and (folder / picture).is_file():
                yield Pair(picture, entry["label"], tuple(entry.get("tags", ())[:6]), "emoji")
                break


def _tuxpaint(folder: Path) -> Iterator[Pair]:
    """Stamps: the first line of the text file beside the picture is a sentence."""
    root = folder / "tuxpaint"
    for text in root.rglob("*.txt"):
        name = text.relative_to(root).with_suffix(".png").as_posix()
        lines = text.read_text("utf-8", errors="replace").strip().splitlines()
        if (root / name).is_file() and lines and not name.startswith(SKIPPED["tuxpaint"]):
            yield Pair(f"tuxpaint/{name}", lines[0].strip().rstrip("."), (), "tuxpaint")


def _openclipart(folder: Path, vocabulary: Collection[str]) -> Iterator[Pair]:
    """Clip art: title and keywords from the drawing's own metadata."""
    root = folder / "openclipart-names"
    for drawing in root.rglob("*.svg"):
        name = drawing.relative_to(root).with_suffix(".png").as_posix()
        if name.startswith(SKIPPED["openclipart"]):
            continue
        if not (folder / "openclipart" / name).is_file():
            continue
        title, keywords = _metadata(drawing.read_text("utf-8", errors="replace")[:60_000])
        if CATALOGUE.search(title) or len(stripped(title)) < 3:
            title = re.sub(r"[\d_]+", " ", drawing.stem).strip().lower()
        if len(stripped(title)) >= 3 and (keywords or not name.startswith("unsorted")):
            english = is_english(title, vocabulary)
            yield Pair(f"openclipart/{name}", title, keywords, "openclipart", english)


def _metadata(svg: str) -> tuple[str, tuple[str, ...]]:
    title = re.search(r"<dc:title[^>]*>([^<]*)<", svg)
    found = (
        unescape(word).replace("_", " ").strip()
        for word in re.findall(r"<rdf:li[^>]*>([^<]*)<", svg)
    )
    words = dict.fromkeys(word.lower() for word in found if not EMPTY_KEYWORD.match(word))
    name = unescape(title[1]).replace("_", " ").strip().lower() if title else ""
    return name, tuple(list(words)[:5])
