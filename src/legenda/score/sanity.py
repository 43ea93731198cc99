"""Does the map follow the sentence, and only the sentence?

Some methods draw nearly the same map whatever is asked, gibberish included. So every picture
is explained once more: for another picture's caption, for words that mean nothing, or with
another seed, and the maps are compared,

    likeness of the map to the one it must differ from (swap, gibberish)  (1)
    likeness of the map to the ones it must agree with (seeds)            (2)

(1) should be low and (2) high. The control compares a random map instead.

References
----------
Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity checks for saliency maps. NeurIPS
2018. The thought: a map must depend on what it claims to explain.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explainer, Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.score.inputs import Measure, attribution_in, pooled, random_like
from legenda.score.likeness import By, likeness


@dataclass(frozen=True)
class CaptionSwap:
    """Equation (1) for another caption, `b … -> b`, from -1 to 1; lower is better.

    Parameters
    ----------
    explain: the method that made the explanation.
    other: the target with captions swapped, so that none is its picture's own.
    by: likeness by "spearman", or by "ssim", which needs a grid.
    seed: of the random control.
    """

    explain: Explainer[Any, Any]
    other: Target
    by: By = "spearman"
    seed: int = 0
    name: str = field(default="caption-swap", init=False, repr=False)
    unit: str = field(default="correlation", init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return beside(self, x, explanation, [explained(self, self.explain, units, x, self.other)])

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The likeness of each map to the one for the other caption."""
        return alike(self, x, evidence, [explained(self, self.explain, units, x, self.other)])


@dataclass(frozen=True)
class Gibberish:
    """Equation (1) for words that mean nothing, `b … -> b`, from -1 to 1; lower is better.

    Parameters
    ----------
    explain: the method that made the explanation.
    other: the target with sentences such as `nonsense` makes.
    by: likeness by "spearman", or by "ssim", which needs a grid.
    seed: of the random control.
    """

    explain: Explainer[Any, Any]
    other: Target
    by: By = "spearman"
    seed: int = 0
    name: str = field(default="gibberish", init=False, repr=False)
    unit: str = field(default="correlation", init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return beside(self, x, explanation, [explained(self, self.explain, units, x, self.other)])

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The likeness of each map to the one for gibberish."""
        return alike(self, x, evidence, [explained(self, self.explain, units, x, self.other)])


@dataclass(frozen=True)
class SeedStability:
    """Equation (2), `b … -> b`, from -1 to 1, mean over the other seeds; higher is better.

    Parameters
    ----------
    again: the method that made the explanation, with other seeds; more make it steadier.
    by: likeness by "spearman", or by "ssim", which needs a grid.
    seed: of the random control.
    """

    again: tuple[Explainer[Any, Any], ...]
    by: By = "spearman"
    seed: int = 0
    name: str = field(default="seed-stability", init=False, repr=False)
    unit: str = field(default="correlation", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.again:
            raise BadInput(
                "seed-stability needs the method with at least one other seed; it got 0."
            )

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        return beside(self, x, explanation, self._others(units, x, target))

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The likeness of each map to those of the other seeds."""
        return alike(self, x, evidence, self._others(units, x, target))

    def _others(self, units: Units, x: Tensor, target: Target) -> list[Attribution]:
        return [explained(self, explain, units, x, target) for explain in self.again]


Sanity = CaptionSwap | Gibberish | SeedStability


def explained(
    measure: Measure, explain: Explainer[Any, Any], units: Units, x: Tensor, target: Target
) -> Attribution:
    """Explain once more."""
    made = Explanation(target.label, measure.name, explain(units, x, target))
    return attribution_in(made, measure.name)


def beside(
    measure: Sanity, x: Tensor, explanation: Explanation, others: list[Attribution]
) -> Score:
    """The score of an explanation and of a random one, against the same other maps."""
    evidence = attribution_in(explanation, measure.name)
    control = random_like(x, evidence, measure.seed)
    return pooled(measure, alike(measure, x, evidence, others), alike(measure, x, control, others))


def alike(
    measure: Sanity, x: Tensor, evidence: Attribution, others: list[Attribution]
) -> Float[Tensor, " b"]:
    """The mean likeness of each map to others of the same input."""
    found = [likeness(x, evidence, other, measure.by, measure.name) for other in others]
    return torch.stack(found).mean(0)


def nonsense(count: int, words: int = 3, seed: int = 0) -> list[str]:
    """Sentences that can be spoken and mean nothing, such as `vuko pazi tere`."""
    lot = torch.Generator().manual_seed(seed)
    consonants, vowels = "bdfgklmnprtvz", "aeiou"

    def syllable() -> str:
        one, two = torch.randint(65, (2,), generator=lot).tolist()
        return consonants[one % 13] + vowels[two % 5]

    return [" ".join(syllable() + syllable() for _ in range(words)) for _ in range(count)]
