"""How well a sheet bears out a claim, by measurement: no model of language is needed.

With the effects of `movement`, the claimed attribute a and its direction d,

    fit = mean over rows of  d · effect_ra / max(1, √(effect_ra² + Σ_g E_rg²))     (1)

It is 1 where a alone moves, by a spread or more and as was claimed; -1 where it moves the other
way; near 0 where it does not move, or where much else does (E_rg, tied attributes once). Anything
that gives such a number, such as a model that looks at the sheet and reads the claim, may stand in.
"""

import weakref
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet
from legenda.measure.picture import measure_rows
from legenda.score.movement import NAMES, Tied, Values, beside, movement, tied

Measures = Callable[[Float[Tensor, "r s c h w"]], Values]


@runtime_checkable
class ClaimScore(Protocol):
    """How well a sheet bears out a claim; larger is better."""

    def __call__(self, claim: Answer, sheet: Sheet) -> float: ...


class MeasuredScore:
    """Equation (1). A sheet is measured once, however many claims it is asked about.

    Parameters
    ----------
    spread: of each attribute among pictures of the model.
    ties: which attributes are one thing; those of `tied` by definition unless given.
    measure: what measures the frames of a sheet.
    """

    def __init__(
        self,
        spread: Float[Tensor, " a"],
        ties: Tied | None = None,
        measure: Measures = measure_rows,
    ):
        self.spread, self.ties, self.measure = spread, tied() if ties is None else ties, measure
        self._seen: dict[int, tuple[weakref.ref[Sheet], Tensor]] = {}

    def __call__(self, claim: Answer, sheet: Sheet) -> float:
        """0 for a claim of nothing, and of what is not measured."""
        if claim.attribute not in NAMES:
            return 0.0
        return fit(self._effects(sheet), NAMES.index(claim.attribute), claim.direction, self.ties)

    def _effects(self, sheet: Sheet) -> Float[Tensor, "r a"]:
        known = self._seen.get(id(sheet))
        if known is None or known[0]() is not sheet:  # an id may have been that of another
            effect = movement(self.measure(sheet.images), self.spread).effect
            self._seen[id(sheet)] = known = (weakref.ref(sheet), effect)
        return known[1]


def fit(effects: Float[Tensor, "r a"], named: int, direction: int, ties: Tied) -> float:
    """Equation (1); of a claim without a direction, either will do."""
    own, others = effects[:, named].nan_to_num(0.0), beside(effects, named, ties).others
    size = (own.square() + others.square().sum(1)).sqrt().clamp(min=1.0)
    found = float((own / size).mean())  # (1)
    return found * direction if direction else abs(found)
