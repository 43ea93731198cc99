"""Name checks: does a name tell, on patches not used for naming, where its unit is on?

With x_p the embedding of patch p, t the word's, and P and N the patches at which the unit is on
(weight above the floor) and off, R ranks among all patches and R_P among those of P, ties at their
mean rank,

    A = (1/|P||N|) Σ_{p ∈ P} (R(x_p · t) - R_P(x_p · t))                   (1)

is the chance that the word is nearer to a patch where the unit is on than to one where it is off.
Patches of one picture are alike, so that pictures are what was drawn: with a_c the sum over the
patches of picture c of their placements among the other kind, each less A, for P and for N,

    var A = f_P Σ_c a_Pc² / |P|² + f_N Σ_c a_Nc² / |N|² + 2 f Σ_c a_Pc a_Nc / |P||N|    (2)

where f = C/(C-1) for the C pictures with patches in P, in N, or in either; the interval is that
of a normal logit. Where A is 0 or 1, (2) knows no spread, and the interval is Wilson's for as many
pictures; it is all of 0 to 1 where fewer than two pictures have patches of one kind.

A trap: a unit reads the patch linearly, and its name was chosen near to its atom. Much of A above
.5 is this geometry, not meaning. Every check therefore carries what a random word and another
unit's name reach on the same patches: A means something by what it is above them.

References
----------
DeLong, DeLong, Clarke-Pearson. Comparing the areas under two or more correlated receiver operating
characteristic curves: a nonparametric approach. Biometrics 1988. Placements.
Obuchowski. Nonparametric analysis of clustered ROC curve data. Biometrics 1997. (2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.interval import Interval, bootstrap
from legenda.corpus.unit_survey import FLOOR
from legenda.describe.naming import Name, NameCheck
from legenda.describe.vocabulary import Vocabulary
from legenda.errors import BadInput, ShapeError

BLOCK = 64
"""So many units are checked at once."""

Z = 1.959964


class Areas(NamedTuple):
    """Equation (1) for each unit, its interval by (2), and of how many patches and pictures."""

    area: Float[Tensor, " k"]
    low: Float[Tensor, " k"]
    high: Float[Tensor, " k"]
    n: Int[Tensor, " k"]
    images: Int[Tensor, " k"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Patches (r) that names are checked on: their units, embeddings and pictures.

    `codes` of r patches as (b n j), `patches` (b n e) and `images` the number of each picture (b).
    """

    codes: Codes
    patches: Float[Tensor, "b n e"]
    images: Int[Tensor, " b"]

    def __post_init__(self) -> None:
        b, n = self.codes.index.shape[:2]
        if self.patches.shape[:2] != (b, n) or len(self.images) != b:
            raise ShapeError(
                f"a check needs codes, patches and pictures that fit; it got {b} × {n} codes, "
                f"{tuple(self.patches.shape)} patches and {len(self.images)} pictures."
            )

    @property
    def picture(self) -> Int[Tensor, " r"]:
        """The picture of each patch, counted from 0."""
        known = self.images.unique(return_inverse=True)[1]
        return known.repeat_interleave(self.codes.index.shape[1])

    def on(self, units: Int[Tensor, " k"], floor: float) -> Bool[Tensor, "k r"]:
        """Where each of some units is on."""
        place = torch.full((self.codes.size,), len(units), dtype=torch.long)
        place[units] = torch.arange(len(units))
        index, weight = self.codes.index.flatten(0, 1), self.codes.weight.flatten(0, 1)
        row, slot = (weight > floor).nonzero(as_tuple=True)
        found = torch.zeros(len(units) + 1, len(index), dtype=torch.bool)
        found[place[index[row, slot]], row] = True
        return found[:-1]


def checked(
    names: Sequence[Name],
    held: HeldOut,
    vocabulary: Vocabulary,
    words: Float[Tensor, "t e"],
    seed: int = 0,
    floor: float = FLOOR,
) -> tuple[Name, ...]:
    """The names, each that has a word of the vocabulary with its check; others as they were."""
    place = {word: i for i, word in enumerate(vocabulary.words)}
    these = [i for i, name in enumerate(names) if name.word in place]
    if len(words) != len(vocabulary):
        raise ShapeError(f"{len(vocabulary)} words need as many embeddings; got {len(words)}.")
    if any(names[i].unit >= held.codes.size for i in these):
        raise BadInput(
            f"names go up to unit {max(names[i].unit for i in these)}; the held-out codes have "
            f"{held.codes.size} units. Encode the patches with the dictionary that was named."
        )
    own = torch.tensor([place[names[i].word or ""] for i in these], dtype=torch.long)
    units = torch.tensor([names[i].unit for i in these], dtype=torch.long)
    checks = measured(held, units, own, words, seed, floor)
    fresh = {i: replace(names[i], check=check) for i, check in zip(these, checks, strict=True)}
    return tuple(fresh.get(i, name) for i, name in enumerate(names))


def measured(
    held: HeldOut,
    units: Int[Tensor, " k"],
    own: Int[Tensor, " k"],
    words: Float[Tensor, "t e"],
    seed: int,
    floor: float,
) -> list[NameCheck]:
    """The check of each unit's own word, beside a word drawn by lot and another unit's word."""
    lot = torch.Generator().manual_seed(seed)
    other = (own + torch.randint(1, max(2, len(words)), own.shape, generator=lot)) % len(words)
    ring, swapped = torch.randperm(len(own), generator=lot), own.clone()
    swapped[ring] = own[ring.roll(1)]  # each the name of the unit before it in a circle
    found = areas(held, units, [words[own], words[other], words[swapped]], floor)
    columns = (column.tolist() for column in (*found[0], found[1].area, found[2].area))
    alone = len(own) < 2
    return [
        NameCheck(a, (low, high), n, pictures, random, torch.nan if alone else shuffled)
        for a, low, high, n, pictures, random, shuffled in zip(*columns, strict=True)
    ]


def areas(
    held: HeldOut,
    units: Int[Tensor, " k"],
    words: Sequence[Float[Tensor, "k e"]],
    floor: float = FLOOR,
) -> list[Areas]:
    """Equations (1) and (2) of units, for one word each, several times over."""
    rows = normalize(held.patches.flatten(0, 1).float(), dim=1)
    picture = held.picture
    found: list[list[Areas]] = [[] for _ in words]
    for part in torch.arange(len(units)).split(BLOCK):
        on = held.on(units[part], floor)
        for own, kept in zip(words, found, strict=True):
            scores = own[part].to(rows) @ rows.T
            kept.append(clustered(scores, on, picture))
    empty = Areas(*(torch.zeros(0, dtype=torch.float64) for _ in range(5)))
    return [Areas(*map(torch.cat, zip(*kept, strict=True))) if kept else empty for kept in found]


def clustered(
    scores: Float[Tensor, "k r"], on: Bool[Tensor, "k r"], picture: Int[Tensor, " r"]
) -> Areas:
    """Equations (1) and (2) of a block of units."""
    below, m, n = placements(scores, on)
    area = (below * on).sum(1) / (m * n)  # (1)
    pictures = int(picture.max()) + 1
    each = picture.expand(on.shape)
    off = ~on
    # the share of N below a positive; the share of P above a negative
    positive = (below / n[:, None] - area[:, None]) * on
    negative = (1 - below / m[:, None] - area[:, None]) * off
    zeros = scores.new_zeros(len(scores), pictures, dtype=torch.float64)
    a_on = zeros.scatter_add(1, each, positive.nan_to_num())
    a_off = zeros.scatter_add(1, each, negative.nan_to_num())
    with_on = zeros.scatter_add(1, each, on.double()) > 0
    with_off = zeros.scatter_add(1, each, off.double()) > 0
    f_on, f_off, f = (factor(x.sum(1)) for x in (with_on, with_off, with_on | with_off))
    variance = (
        f_on * a_on.pow(2).sum(1) / m**2
        + f_off * a_off.pow(2).sum(1) / n**2
        + 2 * f * (a_on * a_off).sum(1) / (m * n)
    )  # (2)
    least = torch.minimum(with_on.sum(1), with_off.sum(1))
    low, high = limits(area, variance.clamp(min=0), least)
    return Areas(area, low, high, m.long(), with_on.sum(1))


def placements(
    scores: Float[Tensor, "k r"], on: Bool[Tensor, "k r"]
) -> tuple[Float[Tensor, "k r"], Float[Tensor, " k"], Float[Tensor, " k"]]:
    """How many patches of the other kind lie below each, ties as half; how many are on, and off."""
    order = scores.sort(dim=1, stable=True)
    sorted_on = on.gather(1, order.indices)
    r = scores.shape[1]
    at = torch.arange(r).expand(scores.shape)
    starts = torch.ones_like(sorted_on)
    starts[:, 1:] = order.values[:, 1:] != order.values[:, :-1]
    first = at.where(starts, 0).cummax(1).values
    ends = torch.ones_like(sorted_on)
    ends[:, :-1] = starts[:, 1:]
    last = at.where(ends, r - 1).flip(1).cummin(1).values.flip(1)
    upto = torch.nn.functional.pad(sorted_on.long().cumsum(1), (1, 0))
    on_below, on_upto = upto.gather(1, first), upto.gather(1, last + 1)
    positives = (on_below + on_upto).double() / 2
    everything = (first + last + 1).double() / 2
    other = (everything - positives).where(sorted_on, positives)
    m = on.sum(1).double()
    return torch.zeros_like(other).scatter(1, order.indices, other), m, r - m


def factor(count: Int[Tensor, " k"]) -> Float[Tensor, " k"]:
    """C / (C - 1); 1 where there is no other."""
    held = count.double()
    return (held / (held - 1)).where(count > 1, 1.0)


def limits(
    area: Float[Tensor, " k"], variance: Float[Tensor, " k"], pictures: Int[Tensor, " k"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """The interval of each area; where it is 0 or 1, Wilson's for as many pictures."""
    inner = area.clamp(1e-9, 1 - 1e-9)
    half = Z * variance.sqrt() / (inner * (1 - inner))
    low, high = (inner.logit() - half).sigmoid(), (inner.logit() + half).sigmoid()
    far = Z**2 / (pictures + Z**2)
    low, high = low.where(area < 1, 1 - far), high.where(area < 1, 1.0)
    low, high = low.where(area > 0, 0.0), high.where(area > 0, far)
    known = (pictures > 1) & ((variance > 0) | (area == 0) | (area == 1))
    return low.where(known, 0.0), high.where(known, 1.0)


class Summary(NamedTuple):
    """The mean area of all checked names beside its controls, each with an interval over names."""

    names: tuple[float, Interval]
    random: tuple[float, Interval]
    shuffled: tuple[float, Interval]
    n: int


def summary(names: Sequence[Name], seed: int = 0) -> Summary:
    """How names do on the whole; those whose unit was never on or never off are left out."""
    held = [n.check for n in names if n.word and n.check and n.check.auroc == n.check.auroc]
    if not held:
        raise BadInput("no name was checked on patches where its unit is on and off. Check first.")
    values = ([c.auroc for c in held], [c.random for c in held], [c.shuffled for c in held])
    rows = [torch.tensor(value, dtype=torch.float64) for value in values]
    means = [(float(row.mean()), bootstrap(row, seed)) for row in rows]
    return Summary(means[0], means[1], means[2], len(held))
