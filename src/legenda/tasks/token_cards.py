"""Cards are dealt: what was counted of all tokens, and drawn of some, put together by token.

A person's word for a token is put on its card last, over any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from legenda.agreement import named
from legenda.core.cooccurrence import Lift, PairCounts
from legenda.core.interval import wilson
from legenda.describe.corrections import (
    corrected,
    correction,
    read_corrections,
    write_corrections,
)
from legenda.describe.naming import PERSON, Name
from legenda.errors import BadInput
from legenda.explain.concept_tokens import TokenCounts
from legenda.models.vq import VQ
from legenda.tasks import token_pictures as draw
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_card import (
    ClassShare,
    Exemplar,
    Importance,
    Picture,
    Share,
    TokenCard,
    TokenName,
)
from legenda.tasks.token_counts import Occurrence, Shares, company, occurrence, shares, strongest
from legenda.tasks.token_survey import Report, Survey, silent
from legenda.types import Atoms

EXEMPLARS, CLASSES, COMPANY, NEIGHBOURS = 6, 5, 5, 5
"""So many are listed on a card, at most."""
TOGETHER = 5
"""Images that hold both of two tokens: fewer are no company."""
PAIRED = 4096
"""Pairs are counted of so many tokens, the most important: memory goes with the square."""


def cards(
    vq: VQ,
    survey: Survey,
    scores: Float[np.ndarray, "b n"],
    counts: TokenCounts,
    *,
    drawn: Sequence[int] | None = None,
    seed: int = 0,
    shelf: Shelf = Shelf(),  # noqa: B008 -- frozen, and keeps nothing
    report: Report = silent,
) -> list[TokenCard]:
    """A card for every token, in the order of their numbers.

    Parameters
    ----------
    vq, survey, scores, counts: the model, its tokens of images, what each matters, and what is
        counted of that.
    drawn: the tokens that get pictures; None: all.
    seed: of the images that are shuffled.
    shelf: where pictures are kept.
    report: is told of decoding.
    """
    size = len(vq.codebook)
    drawn = list(range(size)) if drawn is None else list(drawn)
    best = exemplars(survey, scores, EXEMPLARS)
    places = [place for token in drawn for place in best.get(token, [])]
    tiles = iter(() if (cut := draw.crops(vq, survey, places, shelf, report)) is None else cut)
    alone = pictured(drawn, draw.alone(vq, drawn, shelf, report))
    among = pictured(drawn, draw.in_company(vq, survey, drawn, shelf, report))
    crops = {token: [next(tiles) for _ in best.get(token, [])] for token in drawn}
    made = Cards(
        vq, survey, scores, counts, occurrence(survey.tokens, scores, size), shares(counts),
        *companions(survey, counts, size, seed), nearest(vq), best, crops,
    )  # fmt: skip
    return [made.card(token, alone.get(token), among.get(token)) for token in range(size)]


def exemplars(
    survey: Survey, scores: Float[np.ndarray, "b n"], count: int
) -> dict[int, list[tuple[int, int]]]:
    """Each token's most important cells, as rows and positions, each from another picture."""
    first = {key: row for row, key in reversed(list(enumerate(survey.keys)))}
    same = np.array([first[key] for key in survey.keys])
    return strongest(survey.tokens, scores, same, count)


def pictured(tokens: Sequence[int], tiles: draw.Tiles | None) -> dict[int, Picture]:
    """Pictures by token."""
    return {} if tiles is None else dict(zip(tokens, tiles, strict=True))


def companions(
    survey: Survey, counts: TokenCounts, size: int, seed: int
) -> tuple[dict[int, tuple[Lift, ...]], dict[int, tuple[Lift, ...]]]:
    """The company of the tokens, and the strongest of each in shuffled images."""
    held = counts.has.sum(0) >= TOGETHER
    order = by_importance(counts)
    some = [token for token in order if held[token]][:PAIRED]
    if not some:
        return {}, {}
    pairs = PairCounts(size, some)
    for start in range(0, len(survey), 1024):
        pairs.update(torch.from_numpy(survey.tokens[start : start + 1024].astype(np.int64)))
    found = pairs.result()
    chance = company(found.shuffled(seed), 1, TOGETHER)
    return company(found, COMPANY, TOGETHER, above=1.0), chance


def by_importance(counts: TokenCounts) -> list[int]:
    """All tokens, those that are most often at top positions first; then the more frequent."""
    tops, cells = counts.tops.sum(0).numpy(), counts.cells.sum(0).numpy()
    return np.lexsort((np.arange(len(tops)), -cells, -tops)).tolist()


def nearest(vq: VQ) -> list[tuple[tuple[int, float], ...]]:
    """The entries nearest to each entry."""
    atoms = vq.codebook.atoms
    found = vq.codebook.neighbours(min(NEIGHBOURS, len(atoms) - 1))
    gaps = (atoms[found] - atoms[:, None]).norm(dim=-1)
    return [tuple(zip(*pair, strict=True)) for pair in zip(found.tolist(), gaps.tolist(), strict=True)]  # fmt: skip # noqa: E501


@dataclass(frozen=True, eq=False)
class Cards:
    """What is known of all tokens, to be dealt out."""

    vq: VQ
    survey: Survey
    scores: Float[np.ndarray, "b n"]
    counts: TokenCounts
    often: Occurrence
    shares: Shares
    together: dict[int, tuple[Lift, ...]]
    chance: dict[int, tuple[Lift, ...]]
    near: list[tuple[tuple[int, float], ...]]
    best: dict[int, list[tuple[int, int]]]
    crops: dict[int, list[Picture]]

    def card(self, token: int, alone: Picture | None, among: Picture | None) -> TokenCard:
        """The card of one token."""
        cells, images, n = int(self.often.cells[token]), int(self.often.images[token]), len(self.survey)  # fmt: skip # noqa: E501
        interval = float(self.often.low[token]), float(self.often.high[token])
        mean = float(self.often.mean[token])
        return TokenCard(
            token, cells, cells / self.survey.tokens.size, Share(images / n, wilson(images, n), n),
            int(self.counts.tops[:, token].sum()),
            Importance(mean, interval, images, self.often.overall) if cells else None,
            self.classes(token), self.exemplars(token), self.together.get(token, ()),
            next(iter(self.chance.get(token, ())), None), self.near[token], alone, among,
        )  # fmt: skip

    def classes(self, token: int) -> tuple[ClassShare, ...]:
        """The classes that have it at top positions, the clearest first."""
        tops, clear = self.counts.tops[:, token].numpy(), self.shares.clear[:, token]
        there = [y for y in np.argsort(-clear, kind="stable").tolist() if tops[y]]
        names, images = self.survey.labels.classes, self.counts.images.tolist()
        total, found = sum(images), self.shares
        return tuple(
            ClassShare(
                names[y], int(tops[y]),
                share(found.value, found.low, found.high, y, token, images[y]),
                share(found.other, found.other_low, found.other_high, y, token, total - images[y]),
            )
            for y in there[:CLASSES]
        )  # fmt: skip

    def exemplars(self, token: int) -> tuple[Exemplar, ...]:
        """Where it matters most."""
        found, (rows, columns) = [], self.vq.grid
        crops = iter(self.crops.get(token, ()))
        for row, position in self.best.get(token, []):
            y, x = divmod(position, columns)
            top, left = draw.window(self.vq, y, x, draw.AROUND)
            one = self.survey.labels.images[row]
            found.append(
                Exemplar(
                    named(one.image), one.label, y, x, float(self.scores[row, position]),
                    (y - top, x - left), (min(draw.AROUND, rows), min(draw.AROUND, columns)),
                    next(crops, None),
                )
            )  # fmt: skip
        return tuple(found)


def share(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, row: int, column: int, n: int
) -> Share:
    """One of many shares."""
    ends = float(low[row, column]), float(high[row, column])
    return Share(float(value[row, column]), ends, n)


def corrections(given: Sequence[str] | None, place: Path, size: int) -> list[tuple[int, str]]:
    """A person's words as they are typed, TOKEN=WORD; a file that is damaged is refused now."""
    read_corrections(place)
    found = []
    for one in given or ():
        left, equals, word = one.partition("=")
        if not equals or not left.strip().isdecimal() or int(left) >= size:
            raise BadInput(f"--correct needs TOKEN=WORD, with a token below {size}; it got {one!r}.")  # fmt: skip # noqa: E501
        found.append((int(left), word.strip()))
    return found


def with_corrections(
    cards: Sequence[TokenCard],
    atoms: Atoms,
    place: Path,
    words: Sequence[tuple[int, str]] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[TokenCard]:
    """Cards with a person's words in place of others; new words are kept in the file, "" leaves it."""  # noqa: E501
    before = read_corrections(place)
    held = [one for one in before if one.unit not in dict(words)]
    held += [correction(token, word, atoms) for token, word in dict(words).items() if word]
    blank = [Name(token, None, 0.0, 0.0, ()) for token in range(len(atoms))]
    fixed = corrected(blank, held, atoms)
    if (after := (*fixed.held, *fixed.orphans)) != before:
        write_corrections(place, after)
    for old, new in fixed.moved:
        tell(f"a correction of token {old} now holds for token {new}, whose entry is nearest")
    for one in fixed.orphans:
        tell(f"the correction {one.unit}={one.word} holds for no token of this model; it is kept aside")  # fmt: skip # noqa: E501
    made = list(cards)
    for one in fixed.held:
        own = made[one.unit].name or TokenName(None, PERSON)
        said = {"text": one.word, "by": PERSON, "reason": one.note or "corrected", "check": None}
        made[one.unit] = replace(made[one.unit], name=replace(own, **said))
    return made
