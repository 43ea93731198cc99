"""Separated attribute predictability: is each factor predicted by one code alone?

S_ik is how well code z_i alone predicts factor v_k: for ordered levels by a line, for classes by
thresholds on z_i, learnt on one half of the pictures and used on the other, and the reverse:

    S_ik = cov(z_i, v_k)² / (var z_i var v_k)                             (1)
    S_ik = mean_l (share of the pictures of level l that are recognised)  (2)
    SAP = mean_k (S_first,k - S_second,k)                                 (3)

first and second being the two codes of largest S_ik. A code that never changes predicts nothing:
(1) is 0, and (2) about one over the number of levels. Of ordered levels, (1) sees only what rises
or falls along with the code: a factor that goes round, such as orientation, scores low.

The pull of a picture on (1) is that on a correlation r, with a and b both standardised,

    w = 2 r (a b - r (a² + b²) / 2)                                       (4)

and on (2) that on a mean of means (`by_image.py`); they give the interval.

Differs from the community's code (disentanglement_lib): classes are told by thresholds and balanced
accuracy, as in the paper, where theirs is a linear SVM and plain accuracy (the SVM is
`classifier="svm"` here). Lines on one number, each for one class against the rest, tell three
classes apart but not many, so that even a perfect code scores below 1. Our thresholds, one fewer
than levels, are the cuts of a tree, chosen one after the other.

References
----------
Kumar, Sattigeri, Balakrishnan. Variational inference of disentangled latent concepts from unlabeled
observations. ICLR 2018. The score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.errors import BadInput
from legenda.score.by_image import mean_of_means, scored
from legenda.score.factor_information import Known, Latents, Levels, known


@dataclass(frozen=True, eq=False)
class PredictabilityFound:
    """Equation (3), and what it rests on.

    Parameters
    ----------
    score: SAP, 0 to 1; larger is better.
    matrix: S of every code and factor.
    each: the gap of each factor.
    first, second: the two codes that predict it best.
    factors: their names.
    """

    score: Score
    matrix: Float[Tensor, "d f"]
    each: Float[Tensor, " f"]
    first: Int[Tensor, " f"]
    second: Int[Tensor, " f"]
    factors: tuple[str, ...]


@dataclass(frozen=True)
class SeparatedPredictability:
    """Equation (3), `n d, n f -> 1`; higher is better.

    Parameters
    ----------
    classifier: of classes: "thresholds" (as published) or "svm".
    strength: of the SVM, inverse of its penalty; larger fits more closely.
    seed: of the halves, the control and the interval.
    """

    classifier: Literal["thresholds", "svm"] = "thresholds"
    strength: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.classifier not in ("thresholds", "svm") or not self.strength > 0:
            raise BadInput(
                f"SeparatedPredictability tells classes by thresholds or svm, of a strength above "
                f"0; it got {self.classifier!r} and {self.strength}."
            )

    def __call__(
        self, codes: Latents, factors: Levels, names: Sequence[str] = (),
        ordered: Sequence[bool] | None = None,
    ) -> PredictabilityFound:  # fmt: skip
        """`ordered`: whether the levels of each factor are; else those of more than 4 levels."""
        data = known("SeparatedPredictability", codes, factors, names, ordered, least=(2, 1))
        per_picture = self.predicted(data)
        matrix = per_picture.mean(0)
        top = matrix.topk(2, dim=0)
        return PredictabilityFound(
            scored("sap", gap(per_picture), gap(self.predicted(data.permuted(self.seed + 1))),
                   self.seed, unit="share"),
            matrix, top.values[0] - top.values[1], top.indices[0], top.indices[1], data.names,
        )  # fmt: skip

    def predicted(self, data: Known) -> Float[Tensor, "n d f"]:
        """Numbers per picture whose mean is S."""
        found = []
        for levels, ordered in zip(data.levels.T, data.ordered, strict=True):
            if ordered:
                found.append(correlated(data.codes, levels))
            else:
                found.append(torch.stack([self.told(code, levels) for code in data.codes.T], 1))
        return torch.stack(found, 2)

    def told(self, code: Float[Tensor, " n"], levels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Equation (2): each half told by what was learnt on the other."""
        order = np.random.default_rng(self.seed).permutation(len(code))
        halves = np.array_split(order, 2)
        hit = torch.zeros(len(code), dtype=torch.float64)
        z = standard(code[:, None]).numpy()
        for fit, asked in (halves, halves[::-1]):
            truth = levels.numpy()
            said = self.learner(int(levels.max()) + 1).fit(z[fit], truth[fit]).predict(z[asked])
            hit[torch.from_numpy(asked)] = torch.from_numpy(said == truth[asked]).double()
        return mean_of_means(hit, torch.arange(len(code)), levels, len(code))  # (2)

    def learner(self, levels: int):
        """What tells classes from one code."""
        from sklearn.svm import LinearSVC
        from sklearn.tree import DecisionTreeClassifier

        if self.classifier == "svm":
            return LinearSVC(C=self.strength, class_weight="balanced", random_state=self.seed)
        return DecisionTreeClassifier(
            max_leaf_nodes=levels, class_weight="balanced", random_state=self.seed
        )


def correlated(codes: Float[Tensor, "n d"], levels: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Numbers per picture whose mean is equation (1)."""
    a, b = standard(codes), standard(levels[:, None].double())
    r = (a * b).mean(0)
    return r.pow(2) + 2 * r * (a * b - r * (a.pow(2) + b.pow(2)) / 2)  # (1), (4)


def standard(values: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Mean 0 and spread 1; 0 where nothing changes."""
    away = values - values.mean(0)
    wide = away.pow(2).mean(0).sqrt()
    return away / wide.where(values.amax(0) > values.amin(0), torch.inf)


def gap(per_picture: Float[Tensor, "n d f"]) -> Float[Tensor, " n"]:
    """Equation (3), as numbers per picture."""
    first, second = per_picture.mean(0).topk(2, dim=0).indices
    columns = torch.arange(per_picture.shape[2])
    return (per_picture[:, first, columns] - per_picture[:, second, columns]).mean(1)  # (3)
