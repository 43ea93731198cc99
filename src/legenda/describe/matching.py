"""Matching: the nearest words of many units, without words that are near to everything.

With v_i a unit's direction and t_w a word's, both of unit length, a unit's name is the word with
the largest score. Plain, or corrected for hubs, words that many units are near to:

    s(i, w) = v_i · t_w                                                   (1)
    s(i, w) = 2 v_i · t_w - r(w) - r(i)                                   (2)
    s(i, w) = (v_i · t_w - μ_w) / σ_w                                     (3)

r(w) is the mean cosine of a word with its n nearest units, r(i) that of a unit with its n nearest
words; μ_w and σ_w are mean and spread of a word's cosines with all units, known from the mean and
covariance of the units alone. Blocks of units meet all words at once; only the best are kept.

What would a unit that means nothing score? `shuffled` makes such units: along each principal axis
of all units, every coordinate is taken from a unit drawn by lot. Mean, variances and the shape of
each axis stay; what is lost is that certain coordinates go together. A random rotation would be no
fair null, since activations fill few directions: it would point units to where no activation lies
and words are far, and any real direction would seem to stand out.

References
----------
Lample, Conneau, Ranzato, Denoyer, Jégou. Word translation without parallel data. ICLR 2018. (2).
Radovanović, Nanopoulos, Ivanović. Hubs in space: popular nearest neighbors in high-dimensional
data. JMLR 2010. Hubs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

Hubs = Literal["none", "csls", "zscore"]
HUBS = ("none", "csls", "zscore")
BLOCK = 512
FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words (t) ready to be matched: s(i, w) = scale_w v_i · t_w - shift_w - r(i).

    `near`: how many nearest words make r(i); 0 leaves it out.
    """

    words: Float[Tensor, "t e"]
    scale: Float[Tensor, " t"]
    shift: Float[Tensor, " t"]
    near: int = 0


def lexicon(
    words: Float[Tensor, "t e"], units: Float[Tensor, "k e"], hubs: Hubs = "none", near: int = 10
) -> Lexicon:
    """What equation (1), (2) or (3) needs to know of each word from all units that have a meaning."""  # noqa: E501
    one, none = words.new_ones(len(words)), words.new_zeros(len(words))
    if hubs == "csls":
        own = [
            block.topk(min(near, len(units)), dim=1).values.mean(1)
            for block in cosines(words, units)
        ]  # noqa: E501
        return Lexicon(words, 2 * one, torch.cat(own), min(near, len(words)))  # (2)
    if hubs == "zscore":
        mean = units.double().mean(0)
        centred = units.double() - mean
        spread = centred.T @ centred / len(units)
        held = words.double()
        sigma = ((held @ spread) * held).sum(1).clamp(min=0).sqrt()
        scale = 1 / sigma.clamp(min=FLOOR)
        return Lexicon(words, scale.to(words), (scale * (held @ mean)).to(words))  # (3)
    return Lexicon(words, one, none)  # (1)


def best(
    units: Float[Tensor, "k e"], lexicon: Lexicon, top: int
) -> tuple[Float[Tensor, "k m"], Int[Tensor, "k m"]]:
    """The largest scores of each unit, the largest first, and their words; of equals, the first."""
    scores, places = [], []
    for block in cosines(units, lexicon.words):
        own = nearest(block, lexicon.near)
        found = block.mul_(lexicon.scale).sub_(lexicon.shift).topk(min(top, block.shape[1]), dim=1)
        scores.append(found.values - own)
        places.append(found.indices)
    return torch.cat(scores), torch.cat(places)


def greatest(units: Float[Tensor, "k e"], lexicon: Lexicon) -> Float[Tensor, " k"]:
    """The largest score of each unit alone."""
    found = []
    for block in cosines(units, lexicon.words):
        own = nearest(block, lexicon.near)
        found.append(block.mul_(lexicon.scale).sub_(lexicon.shift).amax(1) - own[:, 0])
    return torch.cat(found)


def nearest(block: Float[Tensor, "k t"], near: int) -> Float[Tensor, "k 1"]:
    """r(i) of equation (2), 0 without."""
    if not near:
        return block.new_zeros(len(block), 1)
    return block.topk(near, dim=1).values.mean(1, keepdim=True)


def cosines(
    rows: Float[Tensor, "k e"], others: Float[Tensor, "t e"]
) -> Iterator[Float[Tensor, "r t"]]:
    """Blocks of rows against all others, each a fresh array that may be written over."""
    for block in rows.split(BLOCK):
        yield block @ others.T


def shuffled(units: Float[Tensor, "k e"], draws: int, seed: int) -> Float[Tensor, "s e"]:
    """Directions that mean nothing: coordinates along the principal axes, each of another unit."""
    lot = torch.Generator().manual_seed(seed)
    held = units.detach().to("cpu", torch.float64)
    mean = held.mean(0)
    axes = torch.linalg.eigh((held - mean).T @ (held - mean)).eigenvectors
    along = (held - mean) @ axes
    pick = torch.randint(len(held), (draws, held.shape[1]), generator=lot)
    return normalize(along.gather(0, pick) @ axes.T + mean, dim=1).to(units)
