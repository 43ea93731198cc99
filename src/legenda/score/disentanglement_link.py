"""Disentanglement and certainty: are models that disentangle more explained with more certainty?

Over m models, with x a measure of disentanglement, y the mean certainty of a model's latents, and
R ranks among models, equal values sharing their mean rank, Spearman's correlation is

    r = cov(R x, R y) / √(var R x · var R y)                              (1)

Models of one world (data set) may have more of both than models of another, whatever they
disentangle. With the world held fixed, both ranks are taken less their mean over the world's
models, a ↦ a - mean(a | world), before they are correlated: the partial correlation of ranks    (2)

Models are resampled for the interval, within their worlds for (2). The control deals y to other
models, of the same world for (2), which changes nothing if x and y have nothing to do with one
another: of so many permutations,

    p = (1 + #{|r_π| ≥ |r|}) / (1 + permutations)                         (3)

References
----------
Spearman. The proof and measurement of association between two things. American Journal of
Psychology 1904. (1).
Phipson, Smyth. Permutation p-values should never be zero. Statistical Applications in Genetics and
Molecular Biology 2010. (3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError


@dataclass(frozen=True)
class Linked:
    """Equations (1) and (2).

    Parameters
    ----------
    score: (1), from -1 to 1; its control is over permutations.
    p: equation (3); smaller is less like chance.
    within: (2), with its interval and control; None where no world was told from another.
    within_p: equation (3) of it; NaN where there is none.
    """

    score: Score
    p: float
    within: Score | None = None
    within_p: float = float("nan")


@dataclass(frozen=True)
class DisentanglementLink:
    """Equations (1) to (3), `m, m -> 1`.

    Parameters
    ----------
    draws: of models, for the interval; more steady its ends.
    permutations: more resolve smaller p.
    seed: of both.
    """

    draws: int = 2000
    permutations: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.draws, self.permutations) < 1:
            raise BadInput(
                f"DisentanglementLink needs a draw and a permutation or more; it got "
                f"draws={self.draws}, permutations={self.permutations}."
            )

    def __call__(
        self, disentanglement: Float[Tensor, " m"], certainty: Float[Tensor, " m"],
        worlds: Sequence[str] = (),
    ) -> Linked:  # fmt: skip
        """One value of each for every model, and the world it was trained on."""
        x, y = checked(disentanglement, certainty, worlds)
        score, p = self.linked("spearman", x, y, np.zeros(len(x), dtype=np.int64))
        if len(set(worlds)) < 2:
            return Linked(score, p)
        world = np.unique(np.asarray(list(worlds)), return_inverse=True)[1]
        return Linked(score, p, *self.linked("spearman-within-worlds", x, y, world))

    def linked(
        self, name: str, x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"],
        world: Int[np.ndarray, " m"],
    ) -> tuple[Score, float]:  # fmt: skip
        """Equation (1), or (2) where there is more than one world, with interval, control and p."""
        value = float(correlation(x[None], y[None], world)[0])
        drawn, dealt = self.others(world)
        around = correlation(x[drawn], y[drawn], world)
        null = correlation(np.broadcast_to(x, dealt.shape), y[dealt], world)
        further = int((np.abs(null) >= abs(value) - 1e-12).sum())
        p = (1 + further) / (1 + self.permutations)  # (3)
        known = not np.isnan(value)
        beside = float(null.mean()) if known else float("nan")
        score = Score(name, value, middle(around), len(x), True, beside, middle(null))
        return score, p if known else float("nan")

    def others(
        self, world: Int[np.ndarray, " m"]
    ) -> tuple[Int[np.ndarray, "s m"], Int[np.ndarray, "p m"]]:
        """Models drawn with replacement, and models dealt anew, each world among its own."""
        lot = np.random.default_rng(self.seed)
        drawn, dealt = (np.empty((many, len(world)), dtype=np.int64) for many in (self.draws, self.permutations))  # fmt: skip # noqa: E501
        for one in np.unique(world):
            own = np.flatnonzero(world == one)
            drawn[:, own] = own[lot.integers(0, len(own), (self.draws, len(own)))]
            dealt[:, own] = lot.permuted(np.tile(own, (self.permutations, 1)), axis=1)
        return drawn, dealt


def correlation(
    x: Float[np.ndarray, "s m"], y: Float[np.ndarray, "s m"], world: Int[np.ndarray, " m"]
) -> Float[np.ndarray, " s"]:
    """Equations (1) and (2) of each row; NaN where one side never changes."""
    a, b = away(x, world), away(y, world)
    below = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.where(below > 1e-9, (a * b).sum(1) / np.where(below > 1e-9, below, 1), np.nan)


def away(
    values: Float[np.ndarray, "s m"], world: Int[np.ndarray, " m"]
) -> Float[np.ndarray, "s m"]:
    """Ranks of each row, less their mean over each world: equation (2)."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1)
    member = (world[:, None] == np.unique(world)).astype(np.float64)
    return ranks - (ranks @ member / member.sum(0)) @ member.T


def middle(values: Float[np.ndarray, " s"]) -> tuple[float, float]:
    """The middle 95 % of what has a value."""
    held = values[~np.isnan(values)]
    if not len(held):
        return float("nan"), float("nan")
    low, high = np.quantile(held, [0.025, 0.975])
    return float(low), float(high)


def checked(
    disentanglement: Tensor, certainty: Tensor, worlds: Sequence[str]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Refuse what is not two numbers per model, of enough models."""
    x, y = (side.detach().to("cpu", torch.float64) for side in (disentanglement, certainty))
    if x.shape != y.shape or x.ndim != 1 or (worlds and len(worlds) != len(x)):
        raise ShapeError(
            f"DisentanglementLink needs a measure, a certainty and, if any, a world for each "
            f"model; it got {tuple(x.shape)}, {tuple(y.shape)} and {len(worlds)} worlds."
        )
    if len(x) < 4 or not (x.isfinite() & y.isfinite()).all():
        raise BadInput(
            f"DisentanglementLink needs finite values of 4 models or more; it got {len(x)} models, "
            f"{int((~(x.isfinite() & y.isfinite())).sum())} of them without. Leave those out, or "
            "train more."
        )
    return x.numpy(), y.numpy()
