"""A token's card: how often, how important, for what, beside what, and how it looks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from legenda.core.cooccurrence import Lift
from legenda.core.interval import Interval
from legenda.describe.naming import NameCheck

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class Share:
    """A share of `n` images, with its 95 % interval."""

    value: float
    interval: Interval
    n: int


@dataclass(frozen=True)
class Importance:
    """Mean importance of a token's cells, over `n` images, with its 95 % interval.

    `control` is the mean over all cells of all images, whatever their token.
    """

    value: float
    interval: Interval
    n: int
    control: float


@dataclass(frozen=True)
class ClassShare:
    """What a token is to a class: cells at top positions, and the share of images with one.

    `control` is that share among the images of all other classes; a token stands out where the
    two intervals are apart.
    """

    concept: str
    count: int
    share: Share
    control: Share

    @property
    def stands_out(self) -> bool:
        return self.share.interval[0] > self.control.interval[1]


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A cell where a token matters much, and what is around it.

    `cell` is its place in the `crop`, in rows and columns of the `around` cells that it shows.
    """

    image: str
    label: str
    row: int
    column: int
    importance: float
    cell: tuple[int, int]
    around: tuple[int, int]
    crop: Picture | None


@dataclass(frozen=True)
class TokenName:
    """What a token is called, and how far to trust it.

    Parameters
    ----------
    text: the word; None where there is none, for the `reason`.
    by: what found it, or "a person".
    reason: why it has no word, or why a person gave one; empty else.
    score: of the best word, named or not; larger is nearer.
    margin: by how much the best word beats the next.
    null: what crops that have nothing in common score by chance; a word is a name above it.
    candidates: the best words with their scores, the best first.
    crops: how many it was named by; more say more surely.
    check: how well the word tells this token's held-out crops from those of others.
    """

    text: str | None
    by: str
    reason: str = ""
    score: float | None = None
    margin: float | None = None
    null: float | None = None
    candidates: tuple[tuple[str, float], ...] = ()
    crops: int = 0
    check: NameCheck | None = None


@dataclass(frozen=True, eq=False)
class TokenCard:
    """What is known of one token.

    Parameters
    ----------
    token: its number in the codebook.
    cells, share: how many cells hold it, and which share of all.
    images: the share of images that hold it.
    top: how many of its cells are at top positions of their image.
    importance: of its cells; None where it does not occur.
    classes: those it is important for, the clearest first.
    exemplars: where it matters most, each from another image.
    together: tokens found in the same images more often than by chance, lift above 1 by its whole
        interval; `by_chance` is the strongest where images are shuffled.
    neighbours: the entries nearest to it, with their distance.
    alone, company: how it decodes by itself, and on average among others; None where not drawn.
    name: what it is called, or why it is called nothing; None where nobody tried.
    """

    token: int
    cells: int
    share: float
    images: Share
    top: int
    importance: Importance | None
    classes: tuple[ClassShare, ...]
    exemplars: tuple[Exemplar, ...]
    together: tuple[Lift, ...]
    by_chance: Lift | None
    neighbours: tuple[tuple[int, float], ...]
    alone: Picture | None = None
    company: Picture | None = None
    name: TokenName | None = None
