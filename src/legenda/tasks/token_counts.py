"""What is counted of tokens for their cards: importance, classes, exemplars, company.

S_m is the summed importance of a token's cells in image m, N_m how many cells those are, and M
the images that hold it. Cells of one image are not independent, so images are what is drawn:

    mean = Σ S_m / Σ N_m                                                  (1)
    mean ± t √(M / (M-1) · Σ (S_m - mean N_m)²) / Σ N_m                   (2)

with t Student's quantile for M - 1 degrees of freedom.

References
----------
Cochran. Sampling techniques. 3rd edition, 1977. (2), the ratio of two sums over clusters.
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt16
from torch import Tensor

from legenda.core.cooccurrence import Lift, Pairs, lifts
from legenda.explain.concept_tokens import TokenCounts, count_tokens

Z = 1.959964
CELLS = 1 << 22
"""So many numbers of a table of images by tokens are held at once."""


@dataclass(frozen=True, eq=False)
class Occurrence:
    """How often each token (k) occurs, and its importance where it does.

    `cells` and `images` count; `mean` is (1) and `low` and `high` are (2), NaN where a token
    does not occur, and infinite where one image only holds it. `overall` is the mean of all cells.
    """

    cells: Int[np.ndarray, " k"]
    images: Int[np.ndarray, " k"]
    mean: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    overall: float


def occurrence(
    tokens: UInt16[np.ndarray, "b n"], scores: Float[np.ndarray, "b n"], size: int
) -> Occurrence:
    """Equations (1) and (2) for every token."""
    from scipy.stats import t

    sums = np.zeros((6, size))
    step = max(1, CELLS // size)
    for start in range(0, len(tokens), step):
        part = tokens[start : start + step].astype(np.int64)
        cell = (np.arange(len(part))[:, None] * size + part).ravel()
        weight, shape = scores[start : start + step].astype(np.float64).ravel(), (len(part), size)
        n = np.bincount(cell, minlength=len(part) * size).reshape(shape)
        s = np.bincount(cell, weight, len(part) * size).reshape(shape)
        sums += [v.sum(0) for v in (n, n > 0, s, s * s, s * n, n * n)]
    n, held, s, ss, sn, nn = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = s / n  # (1)
        spread = np.maximum(ss - 2 * mean * sn + mean**2 * nn, 0)
        half = t.ppf(0.975, held - 1) * np.sqrt(held / (held - 1) * spread) / n  # (2)
        half = np.where(held == 1, np.inf, half)
    low, high = mean - half, mean + half
    return Occurrence(n.astype(int), held.astype(int), mean, low, high, float(scores.mean(dtype=np.float64)))  # fmt: skip # noqa: E501


def strongest(
    tokens: UInt16[np.ndarray, "b n"],
    scores: Float[np.ndarray, "b n"],
    same: Int[np.ndarray, " b"],
    count: int,
) -> dict[int, list[tuple[int, int]]]:
    """Image and position of each token's most important cells, the highest first.

    One cell of an image at most; `same` numbers images so that equal ones have one number. The
    earlier image, and position, wins a tie.
    """
    best = np.zeros((0, 4))
    for start in range(0, len(tokens), 4096):
        part = tokens[start : start + 4096]
        b, n = part.shape
        image, position = np.repeat(same[start : start + b], n), np.tile(np.arange(n), b)
        columns = (part.ravel(), image, position, scores[start : start + b].ravel())
        best = _first(np.concatenate([best, np.stack(columns, 1).astype(np.float64)]), count)
    found: dict[int, list[tuple[int, int]]] = {}
    for token, image, position, _ in best.tolist():
        found.setdefault(int(token), []).append((int(image), int(position)))
    return found


def _first(cells: Float[np.ndarray, "r 4"], count: int) -> Float[np.ndarray, "q 4"]:
    """The `count` best images of each token, by the best cell of each."""
    token, image, position, score = cells.T
    cells = cells[np.lexsort((position, -score, image, token))]
    fresh = np.any(np.diff(cells[:, :2], axis=0, prepend=-1), axis=1)
    cells = cells[fresh]
    token, image, _, score = cells.T
    cells = cells[np.lexsort((image, -score, token))]
    start = np.searchsorted(cells[:, 0], cells[:, 0], "left")
    return cells[np.arange(len(cells)) - start < count]


def counted(
    tokens: UInt16[np.ndarray, "b n"], scores: Float[np.ndarray, "b n"], labels: Int[Tensor, " b"],
    size: int, concepts: int, top: int,
) -> TokenCounts:  # fmt: skip
    """Counts of tokens at all and at top positions, a few images at a time."""
    found: TokenCounts | None = None
    for start in range(0, len(tokens), 4096):
        rows = slice(start, start + 4096)
        held = torch.from_numpy(tokens[rows].astype(np.int64))
        part = count_tokens(held, torch.from_numpy(scores[rows]), labels[rows], size, concepts, top)
        found = part if found is None else found + part
    assert found is not None, "labels have images"
    return found


@dataclass(frozen=True, eq=False)
class Shares:
    """Of each concept's images (c), the share that has a token (k) at a top position.

    `value` with the ends of Wilson's 95 % interval; `other` the same for all other images.
    """

    value: Float[np.ndarray, "c k"]
    low: Float[np.ndarray, "c k"]
    high: Float[np.ndarray, "c k"]
    other: Float[np.ndarray, "c k"]
    other_low: Float[np.ndarray, "c k"]
    other_high: Float[np.ndarray, "c k"]

    @property
    def clear(self) -> Float[np.ndarray, "c k"]:
        """By how much the intervals are apart; above 0 the token stands out for the concept."""
        return self.low - self.other_high

    @property
    def standing(self) -> int:
        """How many pairs of a concept and a token stand out."""
        return int((self.clear > 0).sum())


def shares(counts: TokenCounts) -> Shares:
    """Shares of every concept and token."""
    seen, images = counts.seen.numpy(), counts.images.numpy()[:, None]
    return Shares(*wilson(seen, images), *wilson(seen.sum(0) - seen, images.sum() - images))


def wilson(
    found: Int[np.ndarray, "c k"], trials: Int[np.ndarray, "c 1"]
) -> tuple[Float[np.ndarray, "c k"], ...]:
    """`core.interval.wilson` for many shares at once: share and the ends of its interval."""
    share = found / trials
    centre = (share + Z * Z / (2 * trials)) / (1 + Z * Z / trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials**2))
    half /= 1 + Z * Z / trials
    return share, np.maximum(0, centre - half), np.minimum(1, centre + half)


def company(
    pairs: Pairs, count: int, least: int, above: float = 0.0
) -> dict[int, tuple[Lift, ...]]:
    """Tokens found with each token, by the lower end of the lift, which is to be over `above`.

    A pair counts where `least` images hold both; lower numbers come first in a tie.
    """
    held, names = pairs.counts.double(), pairs.units.tolist()
    found: dict[int, tuple[Lift, ...]] = {}
    for row, token in enumerate(names):
        both = pairs.pairs[row].double()
        some = (both >= least).nonzero()[:, 0]
        some = some[some != row]
        value, low, high = lifts(pairs.images, held[row].expand(len(some)), held[some], both[some])
        order = low.sort(descending=True, stable=True).indices[:count]
        best = order[low[order] > above].tolist()
        found[token] = tuple(
            Lift(
                token, names[j], float(value[i]), (float(low[i]), float(high[i])),
                int(both[j]), (int(held[row]), int(held[j])), pairs.images,
            )
            for i, j in zip(best, some[best].tolist(), strict=True)
        )  # fmt: skip
    return found
