"""Null sheets: a threshold that needs no labels, from sheets on which there is nothing to say.

A shuffled sheet shows the frames of a unit in no order, a constant one shows a single frame: of
neither may a describer say what changes from left to right. Their certainties, n of one kind,
rising z_(1) ≤ … ≤ z_(n), say how sure it is of nothing. The threshold of that kind is the least
number that is larger than

    z_(k),   k = ⌈(n+1)(1-α)⌉                                             (1)

so that another null of the kind, alike to these, reaches it with a chance of at most α. With
several kinds the highest of their thresholds holds for each of them; pooled, the easy kind would
hide the other. To be tested, nulls are judged by thresholds of other nulls: of other models where
`groups` names them, else of other folds.

References
----------
Vovk, Gammerman, Shafer. Algorithmic learning in a random world. Springer 2005. (1).
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927. Intervals.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.errors import BadInput, ShapeError

Nulls = Mapping[str, Float[Tensor, " _"]]
"""Certainties of null sheets by kind, such as "shuffled" and "constant"; kinds differ in size."""
NullGroups = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class NullCalibration:
    """What nulls say of a threshold.

    Parameters
    ----------
    threshold: a unit is named from here on; larger names less.
    by_kind: the threshold of each kind alone.
    abstained: the share of each kind, and of "all", that stays below a threshold of other nulls.
    """

    threshold: float
    by_kind: dict[str, float]
    abstained: dict[str, Score]


@dataclass(frozen=True)
class NullSheets:
    """Equation (1), and what it does on nulls that it did not see.

    Parameters
    ----------
    alpha: the chance that a null is named; larger names more units, true and false.
    folds: nulls without groups are judged in so many parts.
    seed: of the folds.
    """

    alpha: float = 0.05
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or self.folds < 2:
            raise BadInput(
                "NullSheets needs a share alpha between 0 and 1 and two folds or more; it got "
                f"alpha={self.alpha}, folds={self.folds}."
            )

    def __call__(self, nulls: Nulls, groups: NullGroups | None = None) -> NullCalibration:
        by_kind = {kind: null_threshold(z, self.alpha, kind) for kind, z in nulls.items()}
        if not by_kind:
            raise BadInput("NullSheets needs certainties of null sheets; it got none of any kind.")
        held = self.held_out(nulls, self.dealt(nulls, groups))
        scores = {kind: share(quiet, kind) for kind, quiet in held.items()}
        everything = torch.cat(list(held.values()))
        return NullCalibration(
            max(by_kind.values()), by_kind, scores | {"all": share(everything, "all")}
        )

    def held_out(self, nulls: Nulls, folds: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whether each null stays below the highest threshold of the nulls of other folds."""
        count = 1 + max(int(fold.max()) for fold in folds.values())
        quiet = {kind: torch.zeros(len(z), dtype=torch.bool) for kind, z in nulls.items()}
        for out in range(count):
            limit = max(
                null_threshold(z[folds[kind] != out], self.alpha, kind) for kind, z in nulls.items()
            )
            for kind, z in nulls.items():
                here = folds[kind] == out
                quiet[kind][here] = z[here].double() < limit
        return quiet

    def dealt(self, nulls: Nulls, groups: NullGroups | None) -> dict[str, Tensor]:
        """The fold of each null: that of its group, one each, or one drawn by lot."""
        if groups is None:
            lot = torch.Generator().manual_seed(self.seed)
            return {k: torch.randperm(len(z), generator=lot) % self.folds for k, z in nulls.items()}
        if {k: len(z) for k, z in nulls.items()} != {k: len(g) for k, g in groups.items()}:
            raise ShapeError(
                "NullSheets needs the group of every null; it got "
                f"{ {k: len(z) for k, z in nulls.items()} } nulls and "
                f"{ {k: len(g) for k, g in groups.items()} } groups. Give one for each."
            )
        names = sorted({name for of in groups.values() for name in of})
        return {k: torch.tensor([names.index(name) for name in of]) for k, of in groups.items()}


def null_threshold(nulls: Float[Tensor, " z"], alpha: float = 0.05, kind: str = "null") -> float:
    """The least number larger than (1), so that `certainty >= threshold` names."""
    n = len(nulls)
    k = order(n, alpha)
    if k > n or nulls.isnan().any():
        raise BadInput(
            f"a threshold that at most {alpha:g} of {kind} sheets reach needs "
            f"{least(alpha)} of them or more, none NaN; it got {n}, "
            f"{int(nulls.isnan().sum())} NaN. Make more null sheets, or take a larger alpha."
        )
    return math.nextafter(float(nulls.double().sort().values[k - 1]), math.inf)  # (1)


def order(n: int, alpha: float) -> int:
    """The k of equation (1); 19.000000000000004 is 19."""
    return math.ceil((n + 1) * (1 - alpha) - 1e-9)


def least(alpha: float) -> int:
    """The fewest nulls for which (1) exists."""
    return math.ceil(1 / alpha - 1 - 1e-9)


def share(quiet: Tensor, kind: str) -> Score:
    """The share that abstains, by Wilson's interval."""
    silent, n = int(quiet.sum()), len(quiet)
    return Score(f"abstained on {kind} sheets", silent / n, wilson(silent, n), n, True)
