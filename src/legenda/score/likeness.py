"""How alike two maps are: rank correlation and structural similarity.

    spearman = the correlation of ranks, tied scores sharing their mean rank            (1)
    ssim     = mean_p (2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂))  (2)

In (2) means and covariances are weighted by a Gaussian (1.5 patches) about each patch p,
c₁ = 0.01², c₂ = 0.03², and maps are stretched to [0, 1]. Our window is cut at the border and
renormalised, because maps of patches are smaller than the usual window of 11.

References
----------
Wang, Bovik, Sheikh, Simoncelli. Image quality assessment: from error visibility to structural
similarity. IEEE Transactions on Image Processing 2004. (2).
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.gaussian import gaussian
from legenda.errors import BadInput, ShapeError
from legenda.score.inputs import check, needs_grid, on_grid, span

By = Literal["spearman", "ssim"]


def likeness(
    x: Tensor, one: Attribution, other: Attribution, by: By, who: str
) -> Float[Tensor, " b"]:
    """How alike the maps of each input are, -1 to 1; positions that are not drawn do not count."""
    if by not in ("spearman", "ssim"):
        raise BadInput(f"{who} compares by 'spearman' or 'ssim'; it got {by!r}. Choose one.")
    check(who, x, one)
    check(who, x, other)
    if not torch.equal(one.drawn, other.drawn):
        raise ShapeError(
            f"{who} compares maps of the same positions; these two draw different ones. "
            "Explain the same inputs at the same site."
        )
    if by == "spearman":
        return spearman(one.scores.detach(), other.scores.detach(), one.drawn)
    grid = needs_grid(f"{who} by ssim", one)
    maps = (on_grid(e.scores.detach().double(), e).unflatten(1, grid) for e in (one, other))
    return ssim(*maps).float()


def spearman(
    one: Float[Tensor, "b n"], other: Float[Tensor, "b n"], drawn: Bool[Tensor, "b n"]
) -> Float[Tensor, " b"]:
    """Equation (1) over drawn positions; 0 where a map is constant."""
    a, b = (_centred(mean_ranks(scores, drawn), drawn) for scores in (one, other))
    scale = (a.pow(2).sum(1) * b.pow(2).sum(1)).sqrt()
    return torch.where(scale > 0, (a * b).sum(1) / scale.clamp(min=1e-12), 0.0).float()


def mean_ranks(scores: Float[Tensor, "b n"], drawn: Bool[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Ranks from 1 among drawn positions, tied scores sharing their mean rank."""
    mine, others, count = scores[:, :, None], scores[:, None], drawn[:, None]
    below = ((others < mine) & count).sum(2).double()
    tied = ((others == mine) & count).sum(2).double()
    return below + (tied + 1) / 2


def ssim(one: Float[Tensor, "b h w"], other: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Equation (2); a constant map counts as 1 everywhere."""
    a, b = span(one), span(other)
    down, across = (gaussian(size, 1.5).to(a) for size in a.shape[1:])

    def local(values: Tensor) -> Tensor:
        return down @ values @ across.T

    c1, c2, m_a, m_b = 0.01**2, 0.03**2, local(a), local(b)
    v_a, v_b = local(a * a) - m_a**2, local(b * b) - m_b**2
    shared = local(a * b) - m_a * m_b
    alike = (2 * m_a * m_b + c1) * (2 * shared + c2)
    return (alike / ((m_a**2 + m_b**2 + c1) * (v_a + v_b + c2))).mean((1, 2))


def _centred(values: Float[Tensor, "b n"], drawn: Bool[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    mean = (values * drawn).sum(1, keepdim=True) / drawn.sum(1, keepdim=True)
    return (values - mean) * drawn
