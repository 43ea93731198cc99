"""Intervals: every number that is shown to a person carries one.

References
----------
Efron. Better bootstrap confidence intervals. JASA 1987. The percentile interval.
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Interval = tuple[float, float]


def bootstrap(
    values: Float[Tensor, " n"],
    seed: int = 0,
    draws: int = 2000,
    level: float = 0.95,
    of: Literal["mean", "median"] = "mean",
) -> Interval:
    """Percentile bootstrap interval of the mean, or of the median, of `values`."""
    if len(values) < 2:
        return (-math.inf, math.inf)
    lot = torch.Generator().manual_seed(seed)
    values = values.detach().to("cpu", torch.float64)
    found = []
    for start in range(0, draws, 250):
        pick = torch.randint(len(values), (min(250, draws - start), len(values)), generator=lot)
        picked = values[pick]
        found.append(picked.mean(1) if of == "mean" else picked.quantile(0.5, dim=1))
    edge = (1 - level) / 2
    ends = torch.cat(found).quantile(torch.tensor([edge, 1 - edge], dtype=torch.float64))
    return float(ends[0]), float(ends[1])


def wilson(successes: int, trials: int, z: float = 1.959964) -> Interval:
    """Wilson's interval of a share."""
    if trials == 0:
        return (0.0, 1.0)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    half /= 1 + z * z / trials
    return max(0.0, centre - half), min(1.0, centre + half)


def auroc(positive: Float[Tensor, " p"], negative: Float[Tensor, " q"]) -> float:
    """Chance that a positive scores above a negative; ties count half."""
    gap = positive[:, None] - negative[None]
    return float(((gap > 0).double() + 0.5 * (gap == 0).double()).mean())


def auroc_interval(
    positive: Float[Tensor, " p"], negative: Float[Tensor, " q"], seed: int = 0, draws: int = 500
) -> Interval:
    """Percentile bootstrap interval of the area, both sides resampled."""
    lot = torch.Generator().manual_seed(seed)
    areas = torch.tensor(
        [
            auroc(
                positive[torch.randint(len(positive), (len(positive),), generator=lot)],
                negative[torch.randint(len(negative), (len(negative),), generator=lot)],
            )
            for _ in range(draws)
        ],
        dtype=torch.float64,
    )
    ends = areas.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(ends[0]), float(ends[1])
