"""Which attributes go together among pictures of a model: Spearman's ρ of each two.

Only pictures that have both attributes count; where there are few, nothing is known. Angles are
ranked from 0: two that turn together across 0 may be missed.
"""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

FEWEST = 12
"""Pictures in which both attributes are measured, at least."""


def likeness(values: Float[Tensor, "p a"]) -> Float64[Tensor, "a a"]:
    """|Spearman's ρ| of each two columns; NaN where fewer than `FEWEST` pictures have both."""
    values = values.detach().to("cpu", torch.float64)
    there, count = ~values.isnan(), values.shape[1]
    found = torch.full((count, count), torch.nan, dtype=torch.float64)
    known: dict[tuple[int, bytes], Tensor] = {}
    for i in range(count):
        for j in range(i, count):
            both = there[:, i] & there[:, j]
            if both.sum() >= FEWEST:
                a, b = (_ranked(values, k, both, known) for k in (i, j))
                found[i, j] = found[j, i] = (a @ b).abs()
    return found


def _ranked(
    values: Float[Tensor, "p a"], k: int, rows: Bool[Tensor, " p"],
    known: dict[tuple[int, bytes], Tensor],
) -> Float[Tensor, " q"]:  # fmt: skip
    """Ranks of a column among some rows, centred and of length 1; 0 where all are equal."""
    key = (k, rows.numpy().tobytes())
    if key not in known:
        ranks = _ranks(values[rows, k])
        centred = ranks - ranks.mean()
        size = centred.norm()
        known[key] = centred / size if size > 0 else centred
    return known[key]


def _ranks(values: Float[Tensor, " p"]) -> Float64[Tensor, " p"]:
    """Ranks that ties share."""
    _, place, many = values.unique(return_inverse=True, return_counts=True)
    return (many.cumsum(0).double() - (many.double() - 1) / 2)[place]
