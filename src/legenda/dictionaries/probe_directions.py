"""Linear probes: the direction that a logistic regression reads a label by.

With p(x) = 1 / (1 + exp(-(x · w + c))) and channels in units of their own spread,

    w = argmin  ½ ‖w‖² + C Σ_i weight_i · log loss(y_i, p(x_i))           (1)

C is chosen by cross-validation among rows that are learned from; rows of the rarer label weigh
more, so that a rare label is not read as absent. A probe finds what separates, which may be a
small part of what changes with the label: class-mean differences are what to move along.

References
----------
Alain, Bengio. Understanding intermediate layers using linear classifier probes. ICLR workshop 2017.
Hewitt, Liang. Designing and interpreting probes with control tasks. EMNLP 2019. Why a probe needs
a control.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.dictionaries.direction_check import (
    DirectionsFound,
    Labels,
    Rows,
    checked,
    labelled,
)
from legenda.dictionaries.directions import Directions, pooled
from legenda.errors import BadInput
from legenda.types import Acts


@dataclass(frozen=True)
class ProbeDirections:
    """One probe per label, `b n d -> y d`, and how well it reads the label.

    Parameters
    ----------
    strengths: the C to choose from; larger trusts the labels more and shrinks less.
    folds: parts of the cross-validation; more choose more steadily, at as much more cost.
    held: share of the pictures that check the probes.
    shuffles: deals of labels in the control; more make its interval steadier.
    seed: of who is held out, of the folds and of the deals.
    """

    strengths: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    folds: int = 5
    held: float = 0.3
    shuffles: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0 or self.folds < 2:
            raise BadInput(
                f"ProbeDirections choose among strengths above 0 in two folds or more; they got "
                f"{self.strengths} and {self.folds}."
            )
        if not 0 < self.held < 1 or self.shuffles < 2:
            raise BadInput(
                f"ProbeDirections hold out a share between 0 and 1 and shuffle twice or more; they "
                f"got held={self.held} and shuffles={self.shuffles}."
            )

    def __call__(
        self, acts: Acts, labels: Bool[Tensor, "b y"], names: Sequence[str]
    ) -> DirectionsFound:
        rows = pooled(acts)
        labelled("ProbeDirections", rows, labels, names)
        columns = labels.cpu().T
        checks = [
            checked(self.learn, rows, own, name, self.held, self.shuffles, self.seed)
            for name, own in zip(names, columns, strict=True)
        ]
        found = [self.fitted(rows, own) for own in columns]
        atoms = torch.stack([line for line, _, _ in found])
        scale = ((rows - rows.mean(0)) @ torch.nn.functional.normalize(atoms, dim=1).T).std(0)
        made: dict[str, Any] = {"learner": type(self).__name__, **asdict(self)}
        made |= {"pictures": len(rows), "chosen": [strength for _, _, strength in found]}
        return DirectionsFound(
            Directions(atoms.float(), names, rows.mean(0).float(), scale.float(), made),
            tuple(checks),
        )

    def learn(self, rows: Rows, labels: Labels) -> tuple[Float[Tensor, " d"], float]:
        """A direction, and the threshold where p = ½."""
        line, threshold, _ = self.fitted(rows, labels)
        return line, threshold

    def fitted(self, rows: Rows, labels: Labels) -> tuple[Float[Tensor, " d"], float, float]:
        """Equation (1): the direction in the units of the rows, its threshold, and the C chosen."""
        mean, spread = rows.mean(0), rows.std(0)
        spread = spread.clamp(min=1e-6 * float(spread.max()) + 1e-12)
        x, y = ((rows - mean) / spread).numpy(), labels.numpy()
        strength = self.chosen(x, y)
        probe = regression(strength).fit(x, y)
        line = torch.from_numpy(probe.coef_[0]) / spread
        if not line.any():
            raise BadInput("a probe found no direction: activations do not vary with the label.")
        return line, float(mean @ line) - float(probe.intercept_[0]), strength

    def chosen(self, x: Any, y: Any) -> float:
        """The C with the least held-out log loss; the smaller of equals."""
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        folds = min(self.folds, int(min(y.sum(), (~y).sum())))
        if len(self.strengths) == 1 or folds < 2:
            return self.strengths[0]
        parts = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        worth = [
            cross_val_score(regression(c), x, y, cv=parts, scoring="neg_log_loss").mean()
            for c in sorted(self.strengths)
        ]
        return sorted(self.strengths)[max(range(len(worth)), key=worth.__getitem__)]


def regression(strength: float) -> Any:
    """Scikit-learn's, balanced; nothing in it is drawn by lot."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
