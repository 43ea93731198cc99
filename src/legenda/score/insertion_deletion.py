"""Insertion and deletion.

Take the patches (or words) away one share after another, most attributed first, and watch the
target fall; or start from nothing and put them back, and watch it rise. With t(q) the target
when the share q is gone (or back), q in steps of 1/s,

    auc = ∫₀¹ t(q) dq, by trapezia                                        (1)

Low for deletion and high for insertion is good. The unit is that of the target.

Differs from the paper: whole patches go, since maps have one score per patch; words are
blanked; ties are broken by lot, so that a constant map is a random one.

References
----------
Petsiuk, Das, Saenko. RISE: randomized input sampling for explanation of black-box models.
BMVC 2018. Both measures; its insertion starts from a blurred picture.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.score.inputs import check, judge
from legenda.score.removal import Fill, Removal, checked_fill, first, ranks


@dataclass(frozen=True)
class Deletion:
    """Equation (1) as content goes, `b c h w -> b` or `b n -> b`, in units of the target.

    Lower is better.

    Parameters
    ----------
    steps: how many times a share is taken; more trace the curve finer, at as much more cost.
    fill: "mean" colour, "blur" or "road" where patches are gone.
    sigma: width of the blur as a share of the picture's height; larger leaves less.
    blank: token that stands for removed words; None puts the sentence's mean act at the site.
    seed: of ties and of the random control.
    batch: inputs per forward pass; changes speed, never the result.
    """

    steps: int = 12
    fill: Fill = "mean"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64
    name: str = field(default="deletion", init=False, repr=False)
    unit: str = field(default="of the target", init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The area under each pair's curve."""
        return area(self.curve(units, x, target, evidence))

    def curve(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, "b s"]:
        """The target with 0, 1/steps, …, all of the content gone."""
        return curve(self, units, x, target, evidence)


@dataclass(frozen=True)
class Insertion:
    """Equation (1) as content comes back, `b c h w -> b` or `b n -> b`, in units of the target.

    Higher is better.

    Parameters
    ----------
    steps, sigma, blank, seed, batch: as of `Deletion`.
    fill: what the picture starts from: its "blur" (as published), the "mean" colour or "road".
    """

    steps: int = 12
    fill: Fill = "blur"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64
    name: str = field(default="insertion", init=False, repr=False)
    unit: str = field(default="of the target", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return judge(self, units, x, target, explanation)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The area under each pair's curve."""
        return area(self.curve(units, x, target, evidence))

    def curve(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, "b s"]:
        """The target with 0, 1/steps, …, all of the content back."""
        return curve(self, units, x, target, evidence)


def checked(how: Deletion | Insertion) -> None:
    """Refuse a fill that is not known, and a curve without steps."""
    checked_fill(type(how).__name__, how.fill)
    if how.steps < 1:
        raise BadInput(f"{type(how).__name__} needs at least one step; it got {how.steps}. Try 12.")


def curve(
    how: Deletion | Insertion, units: Units, x: Tensor, target: Target, evidence: Attribution
) -> Float[Tensor, "b s"]:
    """The target at each share of the content."""
    check(how.name, x, evidence)
    place, drawn = ranks(x, evidence, how.seed), evidence.drawn
    most = torch.stack([first(place, drawn, i / how.steps) for i in range(how.steps + 1)])
    gone = drawn & ~most if isinstance(how, Insertion) else most
    removal = Removal(
        units, x, target, evidence, how.fill, how.sigma, how.blank, how.seed, how.batch
    )
    return removal(gone).mT


def area(curve: Float[Tensor, "b s"]) -> Float[Tensor, " b"]:
    """Equation (1)."""
    return (curve[:, :-1] + curve[:, 1:]).mean(1) / 2
