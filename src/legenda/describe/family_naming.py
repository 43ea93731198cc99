"""Family naming: a unit is named together with the more general units that are on with it.

Few units say by themselves what they are: sparse coding leaves to a parent what the parent
explains. With M_i the mean code over the exemplars of unit i, and P(j|i) the share of i's
activation at which j is on,

    P(j|i) = D_ij / D_ii,   P(i|i) = 1                                     (1)
    u_ij = P(j|i) 1[P(j|i) > c] M_ij                                       (2)
    w_i = γ mean_k‖M_k‖ u_i / ‖u_i‖                                        (3)
    v_i = Σ_j w_ij d_j + b                                                 (4)

γ = 1.33 lowers the part of the bias. The child's own weight in (2) is P(i|i) = 1: its share of its
exemplars stays whole.

Differs from the official code: (1) to (4) are sparse products over all units, where theirs loops
over units with codes k wide; units that were never on take no part in the mean of (3), and are on
with themselves alone. `child="one"` reads "the child is enforced" as u_ii = 1 instead of M_ii.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies in
vision-language encoders. arXiv 2601.13798. (1) to (4).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.matching import Hubs
from legenda.describe.unit_vectors import UnitEvidence
from legenda.errors import BadInput


@dataclass(frozen=True)
class FamilyNaming:
    """The word nearest to what a unit and its ancestors write together, equation (4), `k e -> k e`.

    Parameters
    ----------
    above: c; larger lets fewer units count as ancestors.
    gain: γ; larger says more of the family and less of the bias.
    child: the child's own weight, that of its "mean" code or "one".
    hubs: "none" as published, or "csls" or "zscore".
    near: neighbours of "csls"; more correct for wider hubs.
    """

    above: float = 0.75
    gain: float = 1.33
    child: Literal["mean", "one"] = "mean"
    hubs: Hubs = "none"
    near: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.above <= 1 or not self.gain > 0:
            raise BadInput(
                f"FamilyNaming needs above from 0 to 1 and a gain above 0; it got "
                f"above={self.above}, gain={self.gain}."
            )

    def directions(self, evidence: UnitEvidence) -> Float[Tensor, "k e"]:
        survey = evidence.asked("FamilyNaming")
        codes = mean_codes(survey)
        family = self.family(survey, codes)
        lengths = lengths_of(codes)
        scale = self.gain * lengths[lengths > 0].mean() if (lengths > 0).any() else 0.0
        own = np.maximum(lengths_of(family), 1e-30)
        weights = sparse.diags_array(scale / own) @ family  # (3)
        written = weights @ evidence.atoms.detach().cpu().double().numpy()
        return torch.from_numpy(written).to(evidence.atoms) + evidence.offset  # (4)

    def family(self, survey: UnitSurvey, codes: Any) -> Any:
        """Equation (2), sparse (k k)."""
        shares = conditional(survey)
        shares.data *= shares.data > self.above
        own = np.ones(len(survey)) if self.child == "one" else codes.diagonal()
        own = np.where(codes.diagonal() > 0, own, 1.0)  # never on: itself alone
        others = shares.multiply(codes).tocsr()
        others.setdiag(0)
        return (others + sparse.diags_array(own)).tocsr()

    def lexicon(self, words: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]:
        return words


def conditional(survey: UnitSurvey) -> Any:
    """Equation (1) without its diagonal's ones, sparse (k k)."""
    own = survey.weighted.diagonal()
    each = np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)
    return (sparse.diags_array(each) @ survey.weighted).tocsr()


def mean_codes(survey: UnitSurvey) -> Any:
    """M: the mean code over each unit's exemplars, sparse (k k)."""
    held = survey.exemplars
    k, m, j = held.index.shape
    seen = held.image >= 0
    share = seen / np.maximum(seen.sum(1, keepdims=True), 1)
    weight = (held.weight.astype(np.float64) * share[:, :, None]).reshape(-1)
    rows = np.repeat(np.arange(k), m * j)
    on = weight != 0
    columns = held.index.reshape(-1)[on]
    return sparse.coo_array((weight[on], (rows[on], columns)), shape=(k, k)).tocsr()


def lengths_of(rows: Any) -> Float[np.ndarray, " k"]:
    """The length of each row of a sparse array."""
    return np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1))


def ancestors(survey: UnitSurvey, above: float = 0.75) -> dict[int, tuple[int, ...]]:
    """Each unit's more general units by equation (1); of two that hold each other, the more frequent."""  # noqa: E501
    shares = conditional(survey).tocoo()
    child, parent = shares.coords
    often = survey.active
    general = (often[parent] > often[child]) | ((often[parent] == often[child]) & (parent < child))
    kept = (shares.data > above) & (child != parent) & general
    found: dict[int, tuple[int, ...]] = {}
    for one, other in zip(child[kept].tolist(), parent[kept].tolist(), strict=True):
        found[one] = tuple(sorted((*found.get(one, ()), other)))
    return found
