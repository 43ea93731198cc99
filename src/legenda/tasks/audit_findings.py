"""What an audit finds of single tokens: flags with their proof, and how the tokens look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.audit.counterfactual import Counterfactual
from legenda.audit.presence import standing
from legenda.audit.shortcut import Shortcuts
from legenda.audit.ties import holders
from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.core.explanation import Score
from legenda.core.interval import Interval, wilson
from legenda.errors import Refused
from legenda.models.vq import VQ
from legenda.tasks import token_pictures as draw
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_card import Exemplar, Picture, Share
from legenda.tasks.token_counts import strongest
from legenda.tasks.token_survey import Report, Survey, silent
from legenda.types import Tokens

EXEMPLARS = 4
"""Crops of each token, at most, each from another image."""
Z = 1.959964


@dataclass(frozen=True)
class Flagged:
    """A token that a concept model follows, though it does not make the group.

    Parameters
    ----------
    token: its number.
    toward: the group that it pushes to.
    delta, interval: Cliff's δ of the margin given the group, above 0 toward the first group.
    chance: where 95 % of δ lie if margins are shuffled within each group.
    adjusted: p, corrected for all tokens that were tested.
    before, shares: of each group's training, and reference images, how many hold it.
    owed: the share of its presence in the training images of its group that came with the tie.
    proof: how the margin changes where it gives way to `substitute`, the nearest entry that is
        not flagged; its control changes as many other cells.
    """

    token: int
    toward: str
    delta: float
    interval: Interval
    chance: Interval
    adjusted: float
    before: tuple[Share, Share]
    shares: tuple[Share, Share]
    owed: float
    proof: Score
    substitute: int


@dataclass(frozen=True, eq=False)
class Look:
    """How a token looks: decoded alone, if the model has a decoder, and where it matters most."""

    token: int
    alone: Picture | None
    exemplars: tuple[Exemplar, ...]


class Read(NamedTuple):
    """Images as tokens, and the group of each."""

    tokens: Tokens
    labels: list[str]

    @classmethod
    def of(cls, survey: Survey) -> "Read":
        """The images of a survey."""
        tokens = torch.from_numpy(survey.tokens.astype(np.int64))
        return cls(tokens, [one.label for one in survey.labels.images])


@dataclass(frozen=True)
class Margin:
    """By how much a concept model prefers the first of two groups, `b n -> b`."""

    concepts: ConceptModel
    groups: tuple[str, str]

    def __call__(self, tokens: Tokens) -> Float[Tensor, " b"]:
        a, b = map(self.concepts.number, self.groups)
        device = self.concepts.codebook.atoms.device
        logits = self.concepts.classify(tokens.to(device)).cpu().double()
        return logits[:, a] - logits[:, b]


def right(margin_of: Margin, read: Read) -> Score | None:
    """How often the margin is on the side of the image's group; None where there are no images.

    The control names the more frequent group for every image.
    """
    n, a = len(read.labels), margin_of.groups[0]
    if not n:
        return None
    signs = torch.tensor([1 if label == a else -1 for label in read.labels])
    hits = int((margin_of(read.tokens).sign() == signs).sum())
    most = max(read.labels.count(a), n - read.labels.count(a))
    return Score(
        "right group", hits / n, wilson(hits, n), n, True, most / n, wilson(most, n), "share"
    )


def proved(
    found: Shortcuts, reference: Read, training: Read, margins: Float[Tensor, " b"],
    margin_of: Margin, how: Counterfactual,
) -> tuple[Flagged, ...]:  # fmt: skip
    """Every flagged token, the surest first, with what becomes of the margin without it."""
    if not len(found.flagged):
        return ()
    into = substitutes(margin_of.concepts.codebook, found.flagged_tokens)
    proofs = how(found, reference.tokens, margin_of, into)
    half = by_chance(found, margins, reference.labels)
    held, images = holders(found.tokens, (training.tokens, training.labels), found.classes)
    owed = torch.ones_like(found.delta) if found.tie is None else found.tie.owed
    made = []
    for place, row in enumerate(found.flagged.tolist()):
        token, (low, high) = int(found.tokens[row]), found.intervals[place].tolist()
        made.append(
            Flagged(
                token, found.toward(row), float(found.delta[row]), (low, high),
                (-float(half[row]), float(half[row])), float(found.adjusted[row]),
                shares(held[row], images.tolist()), shares(found.present[row], found.images),
                float(owed[row]), proofs[place], int(into[token]),
            )
        )  # fmt: skip
    return tuple(made)


def shares(counts: Int[Tensor, " 2"], images: Sequence[int]) -> tuple[Share, Share]:
    """The share of each group's images."""
    a, b = (Share(c / n, wilson(c, n), n) for c, n in zip(counts.tolist(), images, strict=True))
    return a, b


def substitutes(codebook: Codebook, flagged: Sequence[int]) -> Int[Tensor, " k"]:
    """For each flagged token the nearest entry that is not; any other token for itself."""
    gone = torch.tensor(flagged)
    into = torch.arange(len(codebook))
    kept = into[~torch.isin(into, gone)]
    if not len(kept):
        raise Refused(
            f"all {len(codebook)} entries of {codebook.name} are flagged, so that none is left to "
            "take the place of another. Lower the false-discovery rate."
        )
    atoms = codebook.atoms.cpu()
    into[gone] = kept[Codebook(atoms[kept]).nearest(atoms[gone][None])[0][0]]
    return into


def by_chance(
    found: Shortcuts, margins: Float[Tensor, " b"], labels: Sequence[str]
) -> Float[Tensor, " k"]:
    """By how much δ may differ from 0, in 95 % of shuffles within each group: the root of its z."""
    side = torch.tensor([found.classes.index(label) for label in labels])
    n, d = torch.tensor(found.images), standing(margins, side).double()
    sums = torch.zeros(2, dtype=torch.float64).index_add(0, side, d**2)
    pairs = (found.present * (n - found.present)).masked_fill(found.by_class.isnan(), 0)
    return Z * (pairs * sums / (n * (n - 1))).sum(1).sqrt() / pairs.sum(1)


def looks(
    vq: VQ, survey: Survey, scores: Float[np.ndarray, "b n"], tokens: Sequence[int], shelf: Shelf,
    report: Report = silent,
) -> dict[int, Look]:  # fmt: skip
    """Pictures of some tokens; exemplars are where `scores` are highest."""
    first = {key: row for row, key in reversed(list(enumerate(survey.keys)))}
    same = np.array([first[key] for key in survey.keys])
    best = strongest(survey.tokens, scores, same, EXEMPLARS)
    places = [(token, *place) for token in tokens for place in best.get(token, [])]
    cut = draw.crops(vq, survey, [(row, position) for _, row, position in places], shelf, report)
    alone = draw.alone(vq, tokens, shelf, report)
    found: dict[int, list[Exemplar]] = {token: [] for token in tokens}
    for number, (token, row, position) in enumerate(places):
        score = float(scores[row, position])
        crop = None if cut is None else cut[number]
        found[token].append(exemplar(vq, survey, row, position, score, crop))
    return {
        token: Look(token, None if alone is None else alone[number], tuple(found[token]))
        for number, token in enumerate(tokens)
    }


def exemplar(
    vq: VQ, survey: Survey, row: int, position: int, score: float, crop: Picture | None
) -> Exemplar:
    """A cell with what is around it."""
    y, x = divmod(position, vq.grid[1])
    top, left = draw.window(vq, y, x, draw.AROUND)
    around = min(draw.AROUND, vq.grid[0]), min(draw.AROUND, vq.grid[1])
    one = survey.labels.images[row]
    return Exemplar(one.image.as_posix(), one.label, y, x, score, (y - top, x - left), around, crop)
