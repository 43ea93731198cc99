"""Naming: the word for a unit, or the reason why it has none.

A way of naming (`VanillaNaming`, `FamilyNaming`, `CentredNaming`, `ContrastiveNaming`) says where
units and words point; here they are matched. A word always is the nearest one, so the nearest
word is a name only if it is nearer than chance makes it: with s_i the best score of unit i, and
s°_1 … s°_S the best scores of units that mean nothing (`matching.shuffled`), matched in the same way,

    unit i is named  ⇔  s_i > q,      q the level-quantile of s°           (1)

A unit whose name falls under (1) by chance is named wrongly in a share of 1 - level at most, as far
as units without meaning are like the shuffled ones. A child may be kept from its parent's word: it
takes the best of its other candidates that passes (1), if one does.
"""  # noqa: E501

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.describe.matching import HUBS, best, greatest, lexicon, shuffled
from legenda.describe.unit_vectors import Naming, UnitEvidence, VanillaNaming
from legenda.describe.vocabulary import Vocabulary
from legenda.errors import BadInput, ShapeError

TOP = 6
PERSON = "a person"


@dataclass(frozen=True)
class NameCheck:
    """How a name did on held-out patches: see `name_check`.

    `auroc` with its interval; `n` patches and `images` pictures at which the unit was on; the
    same area for one `random` word and for the name of another unit (`shuffled`).
    """

    auroc: float
    interval: tuple[float, float]
    n: int
    images: int
    random: float
    shuffled: float


@dataclass(frozen=True)
class Name:
    """What one unit is called.

    Parameters
    ----------
    unit: its number.
    word: its name; None where no word stands out.
    score: of the best word, named or not; larger is nearer.
    margin: by how much the name beats the best other candidate; below 0 for a name that gave way.
    candidates: the best words with their scores, the best first.
    reason: why it has no name, or not its nearest word; empty else.
    by: the way of naming, or "a person".
    null: the score that a unit without meaning reaches by chance, equation (1).
    check: how the name did on held-out patches, once that is known.
    """

    unit: int
    word: str | None
    score: float
    margin: float
    candidates: tuple[tuple[str, float], ...]
    reason: str = ""
    by: str = ""
    null: float | None = None
    check: NameCheck | None = None


@dataclass(frozen=True)
class Abstention:
    """When a unit is left without a name, equation (1).

    Parameters
    ----------
    level: the quantile of chance that a score has to exceed; larger names fewer, more surely; 0
        names every unit that was ever on.
    draws: shuffled units; more know the quantile better.
    seed: of the lot that shuffles.
    """

    level: float = 0.95
    draws: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.level < 1 or self.draws < 1:
            raise BadInput(
                f"Abstention needs a level from 0 to below 1 and at least one draw; it got "
                f"level={self.level}, draws={self.draws}."
            )


Parents = Mapping[int, Collection[int]]


def named(
    evidence: UnitEvidence,
    vocabulary: Vocabulary,
    words: Float[Tensor, "t e"],
    method: Naming | None = None,
    abstain: Abstention | None = None,
    parents: Parents | None = None,
) -> tuple[Name, ...]:
    """A name for each unit, in their order.

    `words` are the vocabulary's embeddings, as `embedded` gives them. `parents` are units whose
    word a child should not repeat; `ancestors` reads them from a survey.
    """
    method, abstain = method or VanillaNaming(), abstain or Abstention()
    matchable(evidence.atoms.shape[1], vocabulary, words, method)
    directions = normalize(method.directions(evidence).detach(), dim=1)
    alive = torch.ones(len(evidence), dtype=torch.bool)
    if evidence.survey is not None:
        alive = torch.from_numpy(evidence.survey.active > 0)
    if not bool(alive.any()):
        raise BadInput("no unit was on at any position of the survey. Survey other images.")
    null = shuffled(directions[alive], abstain.draws, abstain.seed)
    found = matched(directions, null, vocabulary, words, method, abstain.level, alive)
    never = "it was on at no position of the survey"
    found = tuple(
        one if on else replace(one, word=None, reason=never)
        for one, on in zip(found, alive.tolist(), strict=True)
    )
    return apart(found, parents) if parents else found


def matched(
    directions: Float[Tensor, "k e"],
    null: Float[Tensor, "s e"],
    vocabulary: Vocabulary,
    words: Float[Tensor, "t e"],
    method: Naming,
    level: float,
    alive: Tensor | None = None,
) -> tuple[Name, ...]:
    """Equation (1) for directions of unit length, given those that mean nothing."""
    held = normalize(words.detach().to(directions), dim=1)
    meant = directions if alive is None else directions[alive]
    book = lexicon(method.lexicon(held), meant, method.hubs, method.near)
    scores, places = best(directions, book, TOP)
    quantile = float(greatest(null, book).double().quantile(level)) if level else None
    by = type(method).__name__
    return tuple(
        judged(unit, [(vocabulary.words[w], s) for w, s in zip(ws, ss, strict=True)], quantile,
               level, by)
        for unit, (ws, ss) in enumerate(zip(places.tolist(), scores.tolist(), strict=True))
    )  # fmt: skip


def judged(
    unit: int, found: list[tuple[str, float]], null: float | None, level: float, by: str
) -> Name:  # fmt: skip
    """One unit's name by equation (1)."""
    score = found[0][1]
    margin = score - found[1][1] if len(found) > 1 else 0.0
    if null is None or score > null:  # (1)
        return Name(unit, found[0][0], score, margin, tuple(found), "", by, null)
    reason = f"no word stands out: {short(score)}, null {short(level)} quantile {short(null)}"
    return Name(unit, None, score, margin, tuple(found), reason, by, null)


def apart(names: tuple[Name, ...], parents: Parents) -> tuple[Name, ...]:
    """No child has its parent's word where another of its candidates passes."""
    settled: dict[int, Name] = {}
    for unit in elders_first(parents, len(names)):
        name = names[unit]
        above = [p for p in parents.get(unit, ()) if p in settled]
        taken = {settled[p].word: p for p in above if settled[p].word is not None}
        settled[unit] = name if name.word not in taken else another(name, taken)
    return tuple(settled[unit] for unit in range(len(names)))


def another(name: Name, taken: Mapping[str | None, int]) -> Name:
    """The best candidate that no parent has and that passes; else the name as it was."""
    least = -torch.inf if name.null is None else name.null
    for word, score in name.candidates:
        if word not in taken and score > least:
            reason = f"{name.word!r} is the name of its parent, unit {taken[name.word]}"
            return replace(name, word=word, margin=score - name.score, score=score, reason=reason)
    return name


def elders_first(parents: Parents, units: int) -> list[int]:
    """All units, parents before their children; a circle is entered at its lowest number."""
    strange = sorted(u for u in {*parents, *(p for own in parents.values() for p in own)}
                     if not 0 <= u < units)  # fmt: skip
    if strange:
        raise BadInput(f"parents name unit {strange[0]}; there are {units} units.")
    order: list[int] = []
    seen: set[int] = set()
    for start in range(units):
        trail = [(start, False)]
        while trail:
            unit, done = trail.pop()
            if done:
                order.append(unit)
            elif unit not in seen:
                seen.add(unit)
                trail.append((unit, True))
                trail += [(p, False) for p in parents.get(unit, ())]
    return order


def matchable(width: int, vocabulary: Vocabulary, words: Tensor, method: Naming) -> None:
    """Refuse what cannot be matched."""
    if words.ndim != 2 or len(words) != len(vocabulary):
        raise ShapeError(
            f"{len(vocabulary)} words need as many embeddings; there are {tuple(words.shape)}. "
            "Embed this vocabulary."
        )
    if words.shape[1] != width:
        raise ShapeError(
            f"units of width {width} and words of width {words.shape[1]} are not in "
            "one space. Embed the words with the model whose units are named."
        )
    if method.hubs not in HUBS or method.near < 1:
        raise BadInput(
            f"hubs are corrected by {', '.join(HUBS)}, over one neighbour or more; it got "
            f"{method.hubs!r} and near={method.near}."
        )


def short(value: float) -> str:
    """Two decimals without the zero before the point.

    Examples
    --------
    >>> short(0.213), short(-0.04), short(1.5)
    ('.21', '-.04', '1.50')
    """
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.2f}"
