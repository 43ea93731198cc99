"""Retrieval: the words of a dual encoder that a row of pictures moves towards, and away from.

With E(x) the embedding of a frame, of unit length, and w the vectors of words, centred and again
of unit length, the frames of a row move by

    δ = mean over rows of ( mean E of its last third - mean E of its first third )    (1)
    w_v ← normalise( w_v - mean over words )                                          (2)
    rise_v = δ · w_v,      near_v = rise_v / |δ|                                      (3)

near is a cosine and ranks the words: the highest name the end of the row, the lowest its start.
What would the best word reach if the order of the frames meant nothing? The frames of every row
are permuted, all as likely, T times, and the unit is named only where

    max_v |rise_v| > the ⌈(T + 1) level⌉-th of as many null maxima                    (4)

which happens by chance to at most 1 - level of the sheets. (4) compares rises, not cosines: frames
that lie on a line point along it in any order, only less far.

References
----------
Our own; the distance of (1) from words is that of zero-shot naming by a dual encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.sheet import Sheet
from legenda.describe.looks import looks
from legenda.errors import BadInput
from legenda.types import Images

Near = tuple[tuple[str, float], ...]
Embedded = Float[Tensor, "r s e"]
STILL = 1e-5
"""A rise that rounding can make: frames that are all the same have no more."""
CLOSE = 1 + 1e-9
"""The same rise, summed in another order, may differ by less than this factor."""
DRAWS_AT_ONCE = 64


@dataclass(frozen=True)
class Moved:
    """What a look found: words at both ends with their cosines, and how far against chance.

    Parameters
    ----------
    start, end: the nearest words, nearest first.
    rise: the largest |rise| of a word.
    chance: what (4) compares it with.
    p: share of orders of the frames that reach as much, the real one among them.
    """

    start: Near
    end: Near
    rise: float
    chance: float
    p: float

    @property
    def named(self) -> bool:
        """Whether order explains the rise."""
        return self.rise > max(self.chance * CLOSE, STILL)  # (4)


@dataclass(frozen=True, eq=False)
class Retrieval:
    """A describer that needs a dual encoder and no language model, `Sheet -> n answers`.

    Parameters
    ----------
    words: what a unit may be said to do.
    vectors: their embeddings.
    embed: pictures with colours from 0 to 1 to the same space.
    samples: looks, each of other rows.
    rows: of each look.
    kept: words told for each end.
    draws: T of (4); more make the verdict less a matter of luck.
    level: of (4); higher names fewer units.
    seed: of the looks and the permutations.
    """

    words: tuple[str, ...] = field(repr=False)
    vectors: Float[Tensor, "v e"] = field(repr=False)
    embed: Callable[[Images], Float[Tensor, "b e"]] = field(repr=False)
    samples: int = 5
    rows: int = 3
    kept: int = 5
    draws: int = 199
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.words) != len(self.vectors) or len(self.words) < 2:
            raise BadInput(
                f"Retrieval needs two words or more and a vector for each; it got "
                f"{len(self.words)} words and {len(self.vectors)} vectors."
            )
        if not bool(self.vectors.isfinite().all()):
            raise BadInput("a word embeds to NaN or infinity. Leave it out, or embed it again.")
        if min(self.samples, self.rows, self.kept) < 1 or not 0 < self.level < 1:
            raise BadInput(
                f"Retrieval needs an answer, a row and a word or more, and a level between 0 and "
                f"1; it got samples={self.samples}, rows={self.rows}, kept={self.kept} and "
                f"level={self.level}."
            )
        if ceil((self.draws + 1) * self.level) > self.draws:
            raise BadInput(
                f"{self.draws} draws cannot tell a level of {self.level}. Take at least "
                f"{ceil(self.level / (1 - self.level) - 1e-9)}."
            )

    def __call__(self, sheet: Sheet) -> tuple[Answer, ...]:
        """One answer for each look."""
        frames, chosen = self.frames(sheet), looks(len(sheet), self.rows, self.samples, self.seed)
        found = [self.moved(frames[rows], self.seed + look) for look, rows in enumerate(chosen)]
        return tuple(map(answer, found))

    def near(self, sheet: Sheet) -> Moved:
        """What all rows together say."""
        return self.moved(self.frames(sheet), self.seed)

    @torch.no_grad()
    def frames(self, sheet: Sheet) -> Embedded:
        """The embeddings of all frames, of unit length."""
        rows, steps = sheet.images.shape[:2]
        if steps < 2:
            raise BadInput(f"Retrieval compares the ends of a row; {sheet.unit} has {steps} frame.")
        found = self.embed(sheet.images.flatten(0, 1)).detach().to("cpu", torch.float64)
        if found.shape != (rows * steps, self.vectors.shape[1]) or not found.isfinite().all():
            raise BadInput(
                f"Retrieval needs {self.vectors.shape[1]} finite numbers for each of "
                f"{rows * steps} frames; `embed` gave {tuple(found.shape)}. Embed words and "
                "pictures by one model."
            )
        return normalize(found, dim=1).unflatten(0, (rows, steps))

    def moved(self, frames: Embedded, seed: int = 0) -> Moved:
        """Equations (1) to (4)."""
        likeness = frames @ self.centred.T
        rise = risen(likeness)  # (3), where δ · w is taken frame by frame
        null = self.null(likeness, seed)
        best, place = float(rise.abs().max()), ceil((self.draws + 1) * self.level)
        reached = (int((null * CLOSE >= best).sum()) + 1) / (self.draws + 1)
        length = float(risen(frames).norm()) or 1.0
        order = (rise / length).sort(descending=True)
        ranked = [(self.words[i], c) for i, c in zip(order.indices.tolist(), order.values.tolist(), strict=True)]  # fmt: skip # noqa: E501
        chance = float(null.sort().values[place - 1])
        last = tuple(reversed(ranked[-self.kept :]))
        return Moved(last, tuple(ranked[: self.kept]), best, chance, reached)

    @cached_property
    def centred(self) -> Float[Tensor, "v e"]:
        """Equation (2)."""
        words = normalize(self.vectors.detach().to("cpu", torch.float64), dim=1)
        return normalize(words - words.mean(0), dim=1)  # (2)

    def null(self, likeness: Float[Tensor, "r s v"], seed: int) -> Float[Tensor, " t"]:
        """The largest |rise| when the frames of every row come in an order drawn for it."""
        lot = torch.Generator().manual_seed(seed)
        rows, steps, _ = likeness.shape
        found, row = [], torch.arange(rows)[None, :, None]
        for start in range(0, self.draws, DRAWS_AT_ONCE):
            count = min(DRAWS_AT_ONCE, self.draws - start)
            order = torch.rand(count, rows, steps, generator=lot, dtype=torch.float64).argsort(2)
            weight = torch.zeros(count, rows, steps, dtype=torch.float64)
            weight[torch.arange(count)[:, None, None], row, order] = thirds(steps)
            found.append(torch.einsum("trs,rsv->tv", weight / rows, likeness).abs().amax(1))
        return torch.cat(found)


def thirds(steps: int) -> Float[Tensor, " s"]:
    """Weights of the frames of a row in (1): a third at each end, nothing between."""
    third, weight = max(1, steps // 3), torch.zeros(steps, dtype=torch.float64)
    weight[:third], weight[-third:] = -1 / third, 1 / third
    return weight


def risen(values: Float[Tensor, "r s e"]) -> Float[Tensor, " e"]:
    """Equation (1)."""
    return torch.einsum("s,rse->e", thirds(values.shape[1]), values.double()) / len(values)  # (1)


def answer(found: Moved) -> Answer:
    """A look in words: the end that moves further names what changes."""
    if not found.named:
        return Answer(
            abstained=f"no word comes nearer than when the frames are shuffled (rise "
            f"{found.rise:.3g}, by chance {found.chance:.3g}, p = {found.p:.2g})"
        )
    start, end = found.start[0], found.end[0]
    attribute, way = named(start[0], end[0], abs(start[1]) > abs(end[1]))
    text = f"The pictures turn from “{start[0]}” towards “{end[0]}”."
    return Answer(text, attribute, start[0], end[0], way)


def named(start: str, end: str, fades: bool) -> tuple[str, int]:
    """The attribute that has one of the words for an end, or the word that moves further."""
    for word, way in ((start, -1), (end, 1)) if fades else ((end, 1), (start, -1)):
        for name, one in ATTRIBUTES.items():
            if word in (one.less, one.more):
                return name, way if word == one.more else -way
    return (start, -1) if fades else (end, 1)
