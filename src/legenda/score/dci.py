"""DCI: disentanglement, completeness and informativeness, from what predicts each factor.

A learner predicts factor v_k from the whole code, and says how much it used each code z_i:
R_ik ≥ 0, by which a forest's splits lower its error, or the size of a lasso's weight. Over f
factors and d codes,

    P_ik = R_ik / Σ_k R_ik,    D_i = 1 + Σ_k P_ik log_f P_ik              (1)
    D = Σ_i ρ_i D_i,           ρ_i = Σ_k R_ik / Σ_ik R_ik                 (2)
    Q_ik = R_ik / Σ_i R_ik,    C_k = 1 + Σ_i Q_ik log_d Q_ik,   C = mean_k C_k     (3)
    I_k = 1 - Σ loss / Σ loss of the best constant,             I = mean_k I_k     (4)

D_i is 1 for a code that serves one factor, C_k for a factor that rests on one code. The loss is
squared for ordered levels and 0 or 1 for classes. It is taken on pictures that the learner was not
fitted to: pictures are dealt into G folds, and each fold is asked of a learner fitted to the rest.
R is the mean over folds. As D^(g) and C^(g) lack fold g, they give the delete-a-group jackknife,

    SE² = (G - 1) / G · Σ_g (D^(g) - mean D^(g))²,      D ± t_(G-1) SE    (5)

Differs from the paper: I is a share explained, larger is better, where theirs is an error. The
default learner is a random forest of 8 trees per fold, for speed, whose every split may choose
among all codes, since a split that cannot must use codes that say nothing. disentanglement_lib
boosts trees, takes every factor as classes, reports accuracy for I, and weighs C_k by Σ_i R_ik:
the same mean as (3), since importances of trees sum to 1 for each factor.

References
----------
Eastwood, Williams. A framework for the quantitative evaluation of disentangled representations.
ICLR 2018. (1) to (4).
Kott. The delete-a-group jackknife. Journal of Official Statistics 2001. (5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import Interval
from legenda.errors import BadInput
from legenda.score.by_image import ratio, scored
from legenda.score.factor_information import Known, Latents, Levels, known

Whole = Callable[[Tensor], float]
LEARNERS = ("forest", "boosting", "lasso")


@dataclass(frozen=True, eq=False)
class DCIFound:
    """Equations (2) to (4), and what they rest on; of each, larger is better.

    Parameters
    ----------
    disentanglement, completeness, informativeness: the three scores.
    importance: R.
    of_codes: D_i; 0 for a code that nothing uses.
    of_factors: C_k and I_k.
    factors: their names.
    """

    disentanglement: Score
    completeness: Score
    informativeness: Score
    importance: Float[Tensor, "d f"]
    of_codes: Float[Tensor, " d"]
    of_factors: Float[Tensor, "2 f"]
    factors: tuple[str, ...]


class Fitted(NamedTuple):
    """R of each fold, and (4) as numbers per picture."""

    importance: Float[Tensor, "g d f"]
    explained: Float[Tensor, "n f"]


@dataclass(frozen=True)
class DCI:
    """Equations (2) to (4), `n d, n f -> 1, 1, 1`; higher is better.

    Parameters
    ----------
    learner: "forest", "boosting" (slow) or "lasso" (sees only lines).
    trees: of a forest or of boosting; more predict better, at as much more cost.
    leaf: pictures in a leaf at least; larger splits less, on less noise.
    penalty: of the lasso on standardised codes; larger uses fewer codes.
    folds: more fit on more pictures, at as much more cost.
    seed: of folds, learners, the control and the intervals.
    """

    learner: Literal["forest", "boosting", "lasso"] = "forest"
    trees: int = 8
    leaf: int = 20
    penalty: float = 0.05
    folds: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.learner not in LEARNERS or min(self.trees, self.leaf, self.folds - 1) < 1:
            raise BadInput(
                f"DCI learns by {', '.join(LEARNERS)}, with a tree, a picture in each leaf and 2 "
                f"folds or more; it got {self.learner!r}, trees={self.trees}, leaf={self.leaf}, "
                f"folds={self.folds}."
            )

    def __call__(
        self, codes: Latents, factors: Levels, names: Sequence[str] = (),
        ordered: Sequence[bool] | None = None,
    ) -> DCIFound:  # fmt: skip
        """`ordered`: whether the levels of each factor are; else those of more than 4 levels."""
        data = known("DCI", codes, factors, names, ordered, least=(2, 2))
        real, null = self.fitted(data), self.fitted(data.permuted(self.seed + 1))
        told, beside = real.explained.mean(1), null.explained.mean(1)
        mean = real.importance.mean(0)
        return DCIFound(
            jackknifed("disentanglement", disentangled, real, null),
            jackknifed("completeness", complete, real, null),
            scored("informativeness", told, beside, self.seed, unit="share"),
            mean, concentrated(mean),
            torch.stack([concentrated(mean.T), real.explained.mean(0)]), data.names,
        )  # fmt: skip

    def fitted(self, data: Known) -> Fitted:
        """Every factor learnt in every fold."""
        n, z = len(data.codes), data.codes.numpy()
        order = np.random.default_rng(self.seed).permutation(n)
        folds = np.array_split(order, self.folds)
        used, lost, base = [], np.empty((n, len(data.names))), np.empty((n, len(data.names)))
        for asked in folds:
            fit = np.setdiff1d(order, asked)
            column = []
            for k, ordered in enumerate(data.ordered):
                v = data.levels[:, k].numpy()
                said, importance = self.learn(z[fit], v[fit], z[asked], ordered)
                lost[asked, k] = loss(said, v[asked], ordered)
                base[asked, k] = loss(constant(v[fit], ordered), v[asked], ordered)
                column.append(torch.from_numpy(importance))
            used.append(torch.stack(column, 1))
        told = [1 - ratio(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(lost.T, base.T, strict=True)]  # fmt: skip # noqa: E501
        return Fitted(torch.stack(used), torch.stack(told, 1))  # (4)

    def learn(
        self, z: Float[np.ndarray, "m d"], v: np.ndarray, asked: Float[np.ndarray, "q d"],
        ordered: bool,
    ) -> tuple[np.ndarray, Float[np.ndarray, " d"]]:  # fmt: skip
        """What is said of the pictures asked about, and what was used."""
        if self.learner == "lasso":
            return self.by_lasso(z, v, asked, ordered)
        grown = self.grower(ordered).fit(z, v)
        return grown.predict(asked), grown.feature_importances_.clip(0)

    def grower(self, ordered: bool) -> Any:
        """Trees, not yet grown."""
        from sklearn import ensemble

        settings: dict[str, Any] = {
            "n_estimators": self.trees, "min_samples_leaf": self.leaf, "random_state": self.seed,
        }  # fmt: skip
        if self.learner == "boosting":
            kind = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
        else:
            kind = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor)
            settings["max_features"] = None
        return kind[ordered](**settings)

    def by_lasso(
        self, z: Float[np.ndarray, "m d"], v: np.ndarray, asked: Float[np.ndarray, "q d"],
        ordered: bool,
    ) -> tuple[np.ndarray, Float[np.ndarray, " d"]]:  # fmt: skip
        """Lines on standardised codes; a class is the level whose line is highest."""
        from sklearn.linear_model import Lasso

        levels = np.unique(v)
        aim = v[:, None].astype(np.float64) if ordered else (v[:, None] == levels) * 1.0
        middle, wide = z.mean(0), np.where(z.std(0) > 0, z.std(0), 1)
        centre, spread = aim.mean(0), np.where(aim.std(0) > 0, aim.std(0), 1)
        line = Lasso(alpha=self.penalty).fit((z - middle) / wide, (aim - centre) / spread)
        said = line.predict((asked - middle) / wide).reshape(len(asked), -1) * spread + centre
        weights = np.abs(line.coef_).reshape(-1, z.shape[1]).sum(0)
        return said[:, 0] if ordered else levels[said.argmax(1)], weights


def loss(said: Any, truth: np.ndarray, ordered: bool) -> np.ndarray:
    """Squared for ordered levels, 0 or 1 for classes."""
    return (said - truth) ** 2.0 if ordered else (said != truth) * 1.0


def constant(levels: np.ndarray, ordered: bool) -> Any:
    """The best guess of all who have not seen a picture."""
    return levels.mean() if ordered else np.bincount(levels).argmax()


def concentrated(used: Float[Tensor, "r q"]) -> Float[Tensor, " r"]:
    """1 less the entropy of each row in its own units: equations (1) and (3); 0 of an empty row."""
    total = used.sum(1, keepdim=True)
    p = used / total.where(total > 0, 1.0)
    told = 1 + torch.xlogy(p, p).sum(1) / float(np.log(used.shape[1]))
    return told.where(total[:, 0] > 0, 0.0)


def disentangled(used: Float[Tensor, "d f"]) -> float:
    """Equation (2); 0 where nothing is used."""
    weight = used.sum(1)
    return float((weight * concentrated(used)).sum() / weight.sum()) if bool(weight.any()) else 0.0


def complete(used: Float[Tensor, "d f"]) -> float:
    """Equation (3)."""
    return float(concentrated(used.T).mean())


def jackknifed(name: str, of: Whole, real: Fitted, null: Fitted) -> Score:
    """D or C with the interval of equation (5), beside the control's."""
    (value, around), (beside, about) = (grouped(of, one.importance) for one in (real, null))
    return Score(name, value, around, len(real.explained), True, beside, about, "share")


def grouped(of: Whole, used: Float[Tensor, "g d f"]) -> tuple[float, Interval]:
    """The value from all folds, and equation (5), within 0 and 1."""
    from scipy.stats import t

    each, g = np.array([of(one) for one in used]), len(used)
    half = float(t.ppf(0.975, g - 1)) * float(np.sqrt((g - 1) / g * ((each - each.mean()) ** 2).sum()))  # fmt: skip # noqa: E501
    value = of(used.mean(0))
    return value, (max(0.0, value - half), min(1.0, value + half))
