"""Effect sizes: by how much one sample exceeds another, and how sure that is.

Cliff's δ is the share of pairs that x wins less the share that it loses, from -1 to 1:

    δ = (#{x_i > y_j} - #{x_i < y_j}) / (N_x N_y)                         (1)

y is sorted once and every x looks up its place, so that (1) costs N log N and its counts are
exact. Two paired samples are compared by their signs alone: with W pairs won, L lost and ties
left out,

    p = min(1, 2 Σ_{k ≤ min(W, L)} C(W+L, k) / 2^(W+L))                   (2)

Of many p values in rising order, m in all, Benjamini and Hochberg's are

    q_(i) = min_{j ≥ i} m p_(j) / j                                       (3)

and to reject wherever q is at most 5 % keeps the false among the rejected to 5 % on average.

References
----------
Cliff. Dominance statistics: ordinal analyses to answer ordinal questions. Psychological
Bulletin 1993. (1).
Benjamini, Hochberg. Controlling the false discovery rate: a practical and powerful approach
to multiple testing. Journal of the Royal Statistical Society B 1995. (3).
Romano, Kromrey, Coraggio, Skowronek. Appropriate statistics for ordinal level data. Florida
Association of Institutional Research 2006. The words of `magnitude`.
"""

from math import log

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from legenda.core.interval import Interval
from legenda.errors import BadInput

WORDS = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
CHUNK = 250
"""So many resamples are held at once."""


def cliffs_delta(x: Shaped[Tensor, " x"], y: Shaped[Tensor, " y"]) -> float:
    """Equation (1): 1 where every x exceeds every y, 0 where they win equally often.

    Examples
    --------
    >>> cliffs_delta(torch.tensor([5, 6, 7]), torch.tensor([1, 2, 3]))
    1.0
    """
    x, y = comparable(x, y)
    y = y.sort().values
    won = int(torch.searchsorted(y, x).sum())
    lost = int((len(y) - torch.searchsorted(y, x, right=True)).sum())
    return (won - lost) / (len(x) * len(y))


def cliffs_delta_interval(
    x: Shaped[Tensor, " x"],
    y: Shaped[Tensor, " y"],
    seed: int = 0,
    draws: int = 2000,
    level: float = 0.95,
    paired: bool = False,
) -> Interval:
    """Percentile bootstrap interval of Cliff's δ, both sides resampled.

    `paired`: x_i and y_i come from one image, so that images are resampled, both values at
    once. Where one side always wins, so does every resample: (1, 1) says no more than that.
    """
    x, y = comparable(x, y)
    if paired:
        matched("A paired interval", x, y)
    if min(len(x), len(y)) < 2:
        return (-1.0, 1.0)
    lot = torch.Generator().manual_seed(seed)
    values, place = torch.cat([x, y]).unique(return_inverse=True)
    of_x, of_y = place.split([len(x), len(y)])
    found = []
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        pick = torch.randint(len(x), (rows, len(x)), generator=lot)
        other = pick if paired else torch.randint(len(y), (rows, len(y)), generator=lot)
        xs, ys = histogram(of_x[pick], len(values)), histogram(of_y[other], len(values))
        found.append((xs * dominance(ys)).sum(1))
    return ends(torch.cat(found).double() / (len(x) * len(y)), level)


def histogram(place: Int[Tensor, "r n"], size: int) -> Int[Tensor, "r v"]:
    """How often each row holds each value."""
    return place.new_zeros(len(place), size).scatter_add(1, place, torch.ones_like(place))


def dominance(counts: Shaped[Tensor, "r v"]) -> Shaped[Tensor, "r v"]:
    """For each value in rising order: how many of a sample lie below it, less those above."""
    upto = counts.cumsum(1)
    return 2 * upto - counts - upto[:, -1:]


def ends(values: Float[Tensor, " s"], level: float) -> Interval:
    """The middle `level` of some resampled values."""
    edge = (1 - level) / 2
    found = values.quantile(torch.tensor([edge, 1 - edge], dtype=torch.float64))
    return float(found[0]), float(found[1])


def magnitude(delta: float) -> str:
    """A word for the size of δ, whatever its sign: a rule of thumb, from surveys of students."""
    return next((word for limit, word in WORDS if abs(delta) < limit), "large")


def sign_test(x: Shaped[Tensor, " x"], y: Shaped[Tensor, " y"]) -> float:
    """Equation (2), exactly: the chance of so uneven a split if x and y win equally often."""
    x, y = comparable(x, y)
    matched("The sign test", x, y)
    won, lost = int((x > y).sum()), int((x < y).sum())
    n, k = won + lost, torch.arange(min(won, lost) + 1, dtype=torch.float64)
    ways = torch.tensor(n + 1.0, dtype=torch.float64).lgamma() - (k + 1).lgamma()
    ways -= (n - k + 1).lgamma()
    return min(1.0, 2 * float((ways - n * log(2)).logsumexp(0).exp()))


def benjamini_hochberg(p: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Equation (3), in the order of p."""
    p = p.detach().to("cpu", torch.float64)
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise BadInput(
            f"Benjamini and Hochberg's correction needs p values from 0 to 1; "
            f"{int((~((p >= 0) & (p <= 1))).sum())} of {len(p)} are not. Leave them out."
        )
    rising, order = p.sort()
    steps = rising * len(p) / torch.arange(1, len(p) + 1, dtype=torch.float64)
    q = steps.flip(0).cummin(0).values.flip(0) if len(p) else steps
    return torch.empty_like(p).scatter(0, order, q)


def comparable(x: Shaped[Tensor, " x"], y: Shaped[Tensor, " y"]) -> tuple[Tensor, Tensor]:
    """Both samples in one exact type: integers stay integers, all else is float64."""
    floats = x.is_floating_point() or y.is_floating_point()
    dtype = torch.float64 if floats else torch.int64
    x, y = (side.detach().to("cpu", dtype).contiguous() for side in (x, y))
    if not len(x) or not len(y):
        raise BadInput(
            f"An effect size compares two samples; it got {len(x)} and {len(y)} values. "
            "Give at least one of each."
        )
    if x.isnan().any() or y.isnan().any():
        raise BadInput(
            f"An effect size needs values that can be ordered; {int(x.isnan().sum())} of "
            f"{len(x)} and {int(y.isnan().sum())} of {len(y)} are NaN. Find out why."
        )
    return x, y


def matched(who: str, x: Tensor, y: Tensor) -> None:
    """Refuse samples that cannot be pairs."""
    if len(x) != len(y):
        raise BadInput(
            f"{who} compares two values of each image; it got {len(x)} and {len(y)}. "
            "Give both for the same images."
        )
