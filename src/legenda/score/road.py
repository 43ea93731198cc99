"""ROAD: remove and debias.

Erasing leaves holes, and the shape of a hole can betray what was there. ROAD fills removed
pixels with what their neighbours predict, plus a little noise, so that no retraining is
needed. With t the target after removing a share q of the patches,

    most       = mean_q t(most attributed first)                          (1)
    least      = mean_q t(least attributed first)                         (2)
    difference = least - most                                             (3)

A good map has a low (1), a high (2), and so a high (3), which is the one to compare: it is
zero on average for a random map.

Differs from the paper: it measures a classifier's accuracy, this any target; whole patches
are removed, since maps have one score per patch.

References
----------
Rong, Leemann, Borisov, Kasneci, Kasneci. A consistent and efficient evaluation strategy for
attribution methods. ICML 2022. Noisy linear imputation, and both orders of removal.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.score.inputs import check, judge, needs_grid
from legenda.score.removal import Removal, checked_shares, first, ranks


@dataclass(frozen=True)
class RemoveAndDebias:
    """Equation (3), or (1) or (2), `b c h w -> b`, in units of the target.

    Higher is better; for `order="most"` lower.

    Parameters
    ----------
    order: remove the "most" attributed first, the "least", or take the "difference".
    shares: how much is removed; the mean over them is taken.
    seed: of the imputation's noise, of ties and of the random control.
    batch: inputs per forward pass; changes speed, never the result.
    """

    order: Literal["most", "least", "difference"] = "difference"
    shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7)
    seed: int = 0
    batch: int = 64
    unit: str = field(default="of the target", init=False, repr=False)

    def __post_init__(self) -> None:
        checked_shares("RemoveAndDebias", self.shares)
        if self.order not in ("most", "least", "difference"):
            raise BadInput(
                "RemoveAndDebias removes in order 'most', 'least' or 'difference'; "
                f"it got {self.order!r}. Choose one."
            )

    @property
    def name(self) -> str:
        """`road-most`, `road-least`, or `road` for their difference."""
        return "road" if self.order == "difference" else f"road-{self.order}"

    @property
    def higher_is_better(self) -> bool:
        """Whether a better map scores higher."""
        return self.order != "most"

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The value of each pair."""
        most, least = self.curves(units, x, target, evidence)
        both = {"most": most, "least": least, "difference": least - most}  # (1) to (3)
        return both[self.order].mean(0)

    def curves(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, "two s b"]:
        """The target at each share, most attributed first and least attributed first.

        Both orders are exact opposites, ties included.
        """
        check(self.name, x, evidence)
        needs_grid("RemoveAndDebias", evidence)
        drawn, place = evidence.drawn, ranks(x, evidence, self.seed)
        back = drawn.sum(1, keepdim=True) - 1 - place
        ways = {"most": [place], "least": [back], "difference": [place, back]}[self.order]
        gone = torch.stack([first(way, drawn, share) for way in ways for share in self.shares])
        removal = Removal(units, x, target, evidence, "road", seed=self.seed, batch=self.batch)
        found = removal(gone).unflatten(0, (len(ways), -1))
        return found.expand(2, *found.shape[1:])
