"""Class-mean differences: from where pictures without a label lie to where those with it lie.

Let m₁ and m₀ be the mean activations with and without a label, and S the covariance within:

    Δ = m₁ - m₀                                        plain              (1)
    Δ_c / S_cc                                         standardised       (2)
    ((1 - λ) S + λ (tr S / d) I)⁻¹ Δ                   shrunk             (3)

(1) is the move that turns the one mean into the other: take it to change pictures. It also carries
what merely goes with the label. (3), Fisher's discriminant, is what reads the label best from a
Gaussian: what varies without the label counts less. (2) is (3) as if channels were independent,
for when pictures are few. λ is Ledoit and Wolf's, which asks for nothing.

References
----------
Fisher. The use of multiple measurements in taxonomic problems. Annals of Eugenics 1936. (3), λ = 0.
Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices. Journal of
Multivariate Analysis 2004. λ.
Marks, Tegmark. The geometry of truth. COLM 2024. (1) as a probe.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.dictionaries.direction_check import (
    DirectionsFound,
    Labels,
    Rows,
    checked,
    halfway,
    labelled,
)
from legenda.dictionaries.directions import Directions, pooled
from legenda.errors import BadInput
from legenda.types import Acts

FORMS = ("plain", "standardised", "shrunk")


@dataclass(frozen=True)
class ClassMeanDirections:
    """One direction per label, `b n d -> y d`, and how well it reads the label.

    Parameters
    ----------
    form: "plain", "standardised" or "shrunk", by equation (1), (2) or (3).
    held: share of the pictures that check the directions; larger checks more surely what was
        found on fewer. The directions that are returned are found on all.
    shuffles: deals of labels in the control; more make its interval steadier.
    seed: of who is held out, and of the deals.
    """

    form: Literal["plain", "standardised", "shrunk"] = "plain"
    held: float = 0.3
    shuffles: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.form not in FORMS or not 0 < self.held < 1 or self.shuffles < 2:
            raise BadInput(
                f"ClassMeanDirections are {', '.join(FORMS)}, with a share held out between 0 and "
                f"1 and two shuffles or more; they got {self.form!r}, held={self.held} and "
                f"shuffles={self.shuffles}."
            )

    def __call__(
        self, acts: Acts, labels: Bool[Tensor, "b y"], names: Sequence[str]
    ) -> DirectionsFound:
        """Classes are labels, too: one column for each, as one-hot rows have them."""
        rows = pooled(acts)
        labelled("ClassMeanDirections", rows, labels, names)
        columns = labels.cpu().T
        checks = [
            checked(self.learn, rows, own, name, self.held, self.shuffles, self.seed)
            for name, own in zip(names, columns, strict=True)
        ]
        atoms = torch.stack([self.line(rows, own) for own in columns])
        scale = ((rows - rows.mean(0)) @ torch.nn.functional.normalize(atoms, dim=1).T).std(0)
        made = {"learner": type(self).__name__, **asdict(self), "pictures": len(rows)}
        found = Directions(atoms.float(), names, rows.mean(0).float(), scale.float(), made)
        return DirectionsFound(found, tuple(checks))

    def learn(self, rows: Rows, labels: Labels) -> tuple[Float[Tensor, " d"], float]:
        """A direction, and the threshold half way between the means on it."""
        line = self.line(rows, labels)
        return line, halfway(rows, labels, line)

    def line(self, rows: Rows, labels: Labels) -> Float[Tensor, " d"]:
        """Equation (1), (2) or (3)."""
        ones, others = rows[labels].mean(0), rows[~labels].mean(0)
        delta = ones - others  # (1)
        if self.form == "plain":
            return delta
        within = rows - torch.where(labels[:, None], ones, others)
        if self.form == "standardised":
            spread = within.square().mean(0)
            return delta / spread.clamp(min=1e-6 * float(spread.max()))  # (2)
        return torch.linalg.solve(shrunk(within), delta)  # (3)


def shrunk(centred: Rows) -> Float[Tensor, "d d"]:
    """Ledoit and Wolf's covariance; a little is added where it is not invertible."""
    from sklearn.covariance import ledoit_wolf

    found = torch.from_numpy(ledoit_wolf(centred.numpy(), assume_centered=True)[0])
    return found + 1e-9 * found.diagonal().mean() * torch.eye(len(found), dtype=found.dtype)
