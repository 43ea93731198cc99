"""Rankings: how well one number tells the clear from the unclear, by areas under curves.

Units are counted by the values of their certainty, v_1 < … < v_m, with P_k the clear ones at v_k
and N_k the others. All areas are sums over these counts, so that equal certainties are never told
apart by their order, and a resample of units is no more than other counts:

    ROC = Σ_k P_k (Σ_{l<k} N_l + N_k / 2) / (P N)                         (1)
    PR  = Σ_k (P_k / P) · precision(v_k),  of the units at v_k or above   (2)
    RC  = 1/n Σ_{t=1..n} (expected share of unclear among the t surest)   (3)

(1) is the chance that a clear unit is more certain than an unclear one; 0.5 by chance. (2) is
average precision; the share of clear units by chance. (3) is the area under the risk–coverage
curve, lower is better; the share of unclear units by chance. Inside a group of equal certainties
its order is taken as drawn: with M units above holding E unclear ones, m in the group, e unclear,

    Σ_{t=1..m} (E + e t/m) / (M + t) = e + (E - e M/m) (H(M+m) - H(M))    (4)

with H the harmonic numbers.

Intervals resample the clear and the unclear apart; where units come in groups (the models they
are of), groups are drawn, whole: units of one model are not independent.

References
----------
Hanley, McNeil. The meaning and use of the area under a receiver operating characteristic (ROC)
curve. Radiology 1982. (1).
Geifman, El-Yaniv. Selective classification for deep neural networks. NeurIPS 2017. (3), the curve.
Field, Welsh. Bootstrapping clustered data. Journal of the Royal Statistical Society B 2007.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.effect import ends
from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError

Clear = Bool[Tensor, " n"]
Sureness = Float[Tensor, " n"]
Weights = Int[Tensor, "r n"]
Groups = Sequence[str]


class Tally(NamedTuple):
    """How many clear and unclear units lie at each value, rising; one row per resample."""

    clear: Float[Tensor, "r v"]
    unclear: Float[Tensor, "r v"]


def roc_auc(
    clear: Clear, sureness: Sureness, groups: Groups | None = None, *, seed: int = 0,
    draws: int = 1000,
) -> Score:  # fmt: skip
    """Equation (1), its interval, and what shuffled labels give."""
    return area("ROC-AUC", roc, clear, sureness, groups, seed, draws)


def pr_auc(
    clear: Clear, sureness: Sureness, groups: Groups | None = None, *, seed: int = 0,
    draws: int = 1000,
) -> Score:  # fmt: skip
    """Equation (2), its interval, and what shuffled labels give."""
    return area("PR-AUC", precision_recall, clear, sureness, groups, seed, draws)


def risk_auc(
    clear: Clear, sureness: Sureness, groups: Groups | None = None, *, seed: int = 0,
    draws: int = 1000,
) -> Score:  # fmt: skip
    """Equation (3), its interval, and what shuffled labels give; lower is better."""
    return area("AURC", risk, clear, sureness, groups, seed, draws, higher_is_better=False)


def area(
    name: str, rule: Callable[[Tally], Float[Tensor, " r"]], clear: Clear, sureness: Sureness,
    groups: Groups | None, seed: int, draws: int, higher_is_better: bool = True,
) -> Score:  # fmt: skip
    """One area as a score: resamples without one of the kinds say nothing and are left out."""
    ranked(name, clear, sureness, groups)
    value = rule(tally(clear[None], sureness))
    weights = resamples(clear, groups, seed, draws)
    found = rule(tally(clear[None], sureness, weights))
    control = rule(tally(shuffles(clear, seed, draws), sureness))
    return Score(
        name, float(value[0]), ends(found[found.isfinite()], 0.95), len(clear), higher_is_better,
        float(control.mean()), ends(control, 0.95),
    )  # fmt: skip


def roc(counts: Tally) -> Float[Tensor, " r"]:
    """Equation (1)."""
    below = counts.unclear.cumsum(1) - counts.unclear / 2
    return (counts.clear * below).sum(1) / (counts.clear.sum(1) * counts.unclear.sum(1))


def precision_recall(counts: Tally) -> Float[Tensor, " r"]:
    """Equation (2)."""
    right, wrong = from_above(counts.clear), from_above(counts.unclear)
    precision = right / (right + wrong).clamp_min(1)
    gain = counts.clear / counts.clear.sum(1, keepdim=True)
    return (gain * precision).sum(1)


def risk(counts: Tally) -> Float[Tensor, " r"]:
    """Equation (3), by (4)."""
    here = counts.clear + counts.unclear
    above = from_above(here) - here
    wrong_above = from_above(counts.unclear) - counts.unclear
    share = counts.unclear / here.clamp_min(1)
    harmonic = torch.digamma(above + here + 1) - torch.digamma(above + 1)
    total = (counts.unclear + (wrong_above - share * above) * harmonic).sum(1)  # (4)
    return total / here.sum(1)


def risk_coverage(
    clear: Clear, sureness: Sureness
) -> tuple[Float[Tensor, " v"], Float[Tensor, " v"]]:
    """Coverage, and the share of unclear units among the covered, at each value, falling."""
    ranked("a risk–coverage curve", clear, sureness, None)
    counts = tally(clear[None], sureness)
    covered, wrong = (from_above(c)[0].flip(0) for c in (counts[0] + counts[1], counts[1]))
    return covered / len(clear), wrong / covered


def tally(clear: Bool[Tensor, "q n"], sureness: Sureness, weights: Weights | None = None) -> Tally:
    """Counts at each value, for each row of labels or of weights."""
    values, place = sureness.double().unique(return_inverse=True)
    held = torch.ones_like(clear, dtype=torch.float64) if weights is None else weights.double()
    where = place.expand(len(held), -1)
    empty = torch.zeros(len(held), len(values), dtype=torch.float64)
    return Tally(*(empty.scatter_add(1, where, held * side) for side in (clear, ~clear)))


def from_above(counts: Float[Tensor, "r v"]) -> Float[Tensor, "r v"]:
    """How many lie at each value or above it."""
    return counts.flip(1).cumsum(1).flip(1)


def shuffles(clear: Clear, seed: int, draws: int) -> Bool[Tensor, "r n"]:
    """Labels dealt anew."""
    lot = torch.Generator().manual_seed(seed)
    return clear[torch.rand(draws, len(clear), generator=lot).argsort(1)]


def resamples(clear: Clear, groups: Groups | None, seed: int, draws: int) -> Weights:
    """How often each unit is drawn: clear and unclear apart, or whole groups."""
    lot = torch.Generator().manual_seed(seed)
    if groups is not None:
        names = sorted(set(groups))
        of = torch.tensor([names.index(group) for group in groups])
        return drawn(len(names), draws, lot)[:, of]
    weights = torch.zeros(draws, len(clear), dtype=torch.int64)
    for side in (clear, ~clear):
        weights[:, side] = drawn(int(side.sum()), draws, lot)
    return weights


def drawn(count: int, draws: int, lot: torch.Generator) -> Int[Tensor, "r k"]:
    """How often each of `count` things is drawn in as many draws."""
    if not count:
        return torch.zeros(draws, 0, dtype=torch.int64)
    pick = torch.randint(count, (draws, count), generator=lot)
    return torch.zeros(draws, count, dtype=torch.int64).scatter_add_(1, pick, torch.ones_like(pick))


def ranked(who: str, clear: Clear, sureness: Sureness, groups: Groups | None) -> None:
    """Refuse what cannot be ranked, and what knows one kind only."""
    sizes = {len(clear), len(sureness)} | ({len(groups)} if groups is not None else set())
    if len(sizes) > 1:
        raise ShapeError(
            f"{who} needs a label, a certainty and a group for each unit; it got {len(clear)} "
            f"labels, {len(sureness)} certainties and "
            f"{'no' if groups is None else len(groups)} groups. Give one of each."
        )
    if sureness.isnan().any():
        raise BadInput(
            f"{who} needs certainties that can be ordered; {int(sureness.isnan().sum())} of "
            f"{len(sureness)} are NaN. Leave those units out."
        )
    if not clear.any() or clear.all():
        raise BadInput(
            f"{who} compares clear units with unclear ones; {int(clear.sum())} of {len(clear)} are "
            "clear. Give units of both kinds."
        )
