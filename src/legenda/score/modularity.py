"""Modularity and explicitness: does each code tell one factor, and is each factor easy to read?

With m_ik ≥ 0 the information of code z_i on factor v_k (`factor_information.py`) and θ_i the
largest of code i's, an ideal code has θ_i in that place and 0 in all others:

    modularity_i = 1 - Σ_{k ≠ best} m_ik² / (θ_i² (f - 1)),   mean over i      (1)

A linear classifier reads each level l of factor k from the whole code; on pictures that it was
not fitted to, with AUC the chance that it ranks one of level l above one that is not,

    explicitness = mean_k mean_l AUC_kl,     ½ for guessing               (2)

To first order a picture pulls (1) through every m_ik, and (2) by how many pictures of the other
kind it stands above or below (DeLong); these pulls give the intervals (`by_image.py`).

Differs from the paper: codes that no permutation can tell from chance are left out of (1), since
noise would give them any modularity whatever; where none remains it is 0. Classifiers are softmax
regressions, since one line against the rest cannot single out a middle level of a factor that is
perfectly coded in one number (`classifier="one-vs-rest"` is the paper's). Each factor counts once
in (2), however many levels it has. disentanglement_lib keeps all codes in (1), 0 for those whose
histogram is exactly empty of information, and has the softmax too.

References
----------
Ridgeway, Mozer. Learning deep disentangled embeddings with the F-statistic loss. NeurIPS 2018.
Both measures.
DeLong, DeLong, Clarke-Pearson. Comparing the areas under two or more correlated receiver operating
characteristic curves. Biometrics 1988. The pull of a picture on an area.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.errors import BadInput
from legenda.score.by_image import scored
from legenda.score.factor_information import FactorInformation, Known, Latents, Levels, known


@dataclass(frozen=True, eq=False)
class ModularityFound:
    """Equations (1) and (2).

    Parameters
    ----------
    modularity, explicitness: larger is better.
    each: (1) of each code; NaN for those that cannot be told from chance.
    explicit: (2) of each factor.
    factors: their names.
    """

    modularity: Score
    explicitness: Score
    each: Float[Tensor, " d"]
    explicit: Float[Tensor, " f"]
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Modularity:
    """Equations (1) and (2), `n d, n f -> 1, 1`; higher is better.

    Parameters
    ----------
    information: how m is estimated.
    least: standard deviations above chance that a code must reach; larger leaves more codes out.
    classifier: "softmax", or "one-vs-rest" (as published).
    strength: of the classifier, inverse of its penalty; larger fits more closely.
    seed: of the halves, the control and the intervals.
    """

    information: FactorInformation = FactorInformation()
    least: float = 4.0
    classifier: Literal["softmax", "one-vs-rest"] = "softmax"
    strength: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.classifier not in ("softmax", "one-vs-rest") or not self.strength > 0:
            raise BadInput(
                f"Modularity reads factors by softmax or one-vs-rest, of a strength above 0; it "
                f"got {self.classifier!r} and {self.strength}."
            )

    def __call__(
        self, codes: Latents, factors: Levels, names: Sequence[str] = ()
    ) -> ModularityFound:
        data = known("Modularity", codes, factors, names, least=(1, 2))
        null = data.permuted(self.seed + 1)
        each, per_picture = self.of_codes(data)
        explicit, held_out = self.of_factors(data)
        modular = scored("modularity", per_picture, self.of_codes(null)[1], self.seed, unit="share")
        low, high = modular.interval
        return ModularityFound(
            replace(modular, interval=(max(0.0, low), min(1.0, high))),
            scored("explicitness", held_out, self.of_factors(null)[1], self.seed, unit="area"),
            each, explicit, data.names,
        )  # fmt: skip

    def of_codes(self, data: Known) -> tuple[Float[Tensor, " d"], Float[Tensor, " n"]]:
        """Equation (1), and its mean as numbers per picture."""
        found = self.information.of(data)
        m, kept = found.nats.clamp(min=0), found.told_apart(self.least).any(1)
        kept &= (m > 0).any(1)
        theta, best = m.max(1, keepdim=True)
        rest = m.scatter(1, best, 0.0)
        many = m.shape[1] - 1
        each = 1 - rest.pow(2).sum(1) / (theta[:, 0].pow(2) * many)  # (1)
        slope = -2 * rest / (theta.pow(2) * many)
        slope = slope.scatter(1, best, 2 * (1 - each)[:, None] / theta)
        away = found.pointwise - found.pointwise.mean(0)
        pull = (away * slope.where(kept[:, None], 0.0)).sum((1, 2)) / kept.sum().clamp(min=1)
        value = each[kept].mean() if bool(kept.any()) else pull.new_zeros(())
        return each.where(kept, torch.nan), value + pull

    def of_factors(self, data: Known) -> tuple[Float[Tensor, " f"], Float[Tensor, " q"]]:
        """Equation (2) of each factor, and its mean as numbers per held-out picture."""
        order = np.random.default_rng(self.seed).permutation(len(data.codes))
        fit, asked = np.array_split(order, 2)
        z = data.codes.numpy()
        wide = z[fit].std(0)
        z = (z - z[fit].mean(0)) / np.where(wide > 0, wide, 1)
        found = []
        for levels in data.levels.T.numpy():
            scores, classes = self.read(z[fit], levels[fit], z[asked])
            found.append(areas(scores, torch.from_numpy(levels[asked, None] == classes)))
        per_picture = torch.stack(found, 1)
        return per_picture.mean(0), per_picture.mean(1)

    def read(
        self, z: Float[np.ndarray, "m d"], levels: np.ndarray, asked: Float[np.ndarray, "q d"]
    ) -> tuple[Float[Tensor, "q l"], np.ndarray]:
        """How likely each level is in each picture asked about, up to a rising map."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        reader, classes = LogisticRegression(C=self.strength, max_iter=1000), np.unique(levels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a good fit ranks as well
            if self.classifier == "softmax":
                return torch.from_numpy(reader.fit(z, levels).predict_proba(asked)), classes
            own = [reader.fit(z, levels == one).decision_function(asked) for one in classes]
        return torch.from_numpy(np.stack(own, 1)), classes


def areas(scores: Float[Tensor, "q l"], true: Bool[Tensor, "q l"]) -> Float[Tensor, " q"]:
    """Numbers per picture whose mean is the mean area over levels that are there to be found."""
    from scipy.stats import rankdata

    found = []
    for score, hit in zip(scores.numpy().T, true.numpy().T, strict=True):
        if not hit.any() or hit.all():
            continue
        beaten, rank = np.empty(len(hit)), rankdata(score)
        beaten[hit] = (rank[hit] - rankdata(score[hit])) / (~hit).sum()
        beaten[~hit] = 1 - (rank[~hit] - rankdata(score[~hit])) / hit.sum()
        area = beaten[hit].mean()
        found.append(area + (beaten - area) / np.where(hit, hit.mean(), (~hit).mean()))
    return torch.from_numpy(np.mean(found, 0) if found else np.full(len(true), np.nan))
