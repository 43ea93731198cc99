"""Does the right word come first?

Take a sentence that is true of a picture and a foil that differs from it in one word. That
word is why the sentence fits and the foil does not, so it should be attributed most.

    score = share of sentences whose most attributed word is that one     (1)

The chance of a blind guess, 1 / words of each sentence, is known exactly and is the control.
Positions that tie for the first place share it.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.interval import wilson
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from legenda.score.inputs import attribution_in, check
from legenda.types import Tokens


@dataclass(frozen=True)
class ForeignWordFirst:
    """Equation (1), `b n -> b`, a share of sentences with Wilson's interval; higher is better.

    Parameters
    ----------
    foreign: positions of the word that differs, as `differing` finds them.
    seed: unused, since the control is exact; kept so that all measures are called alike.
    """

    foreign: Bool[Tensor, "b n"] = field(repr=False, compare=False)
    seed: int = 0
    name: str = field(default="foreign-word-first", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        evidence = attribution_in(explanation, self.name)
        values = self.each(units, x, target, evidence)
        chance = float(self.chance(evidence).mean())
        return Score(
            self.name,
            float(values.mean()),
            wilson(round(float(values.sum())), len(values)),
            len(values),
            self.higher_is_better,
            chance,
            (chance, chance),
            self.unit,
        )

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """1 where the word is first, a share where it ties, else 0."""
        foreign = self._checked(x, evidence)
        scores = evidence.scores.detach().masked_fill(~evidence.drawn, -torch.inf)
        top = (scores == scores.amax(1, keepdim=True)).float()
        return (top * foreign).sum(1) / top.sum(1)

    def chance(self, evidence: Attribution) -> Float[Tensor, " b"]:
        """How often a blind guess is right, for each sentence."""
        foreign = self.foreign.to(evidence.drawn.device)
        return foreign.sum(1) / evidence.drawn.sum(1)

    def _checked(self, x: Tensor, evidence: Attribution) -> Bool[Tensor, "b n"]:
        check(self.name, x, evidence)
        foreign, drawn = self.foreign.to(evidence.drawn.device), evidence.drawn
        if foreign.shape != drawn.shape:
            raise ShapeError(
                f"{self.name} needs the differing word of every sentence, {tuple(drawn.shape)}; "
                f"it got {tuple(foreign.shape)}. Take it from `differing`."
            )
        if (foreign & ~drawn).any() or not foreign.any(1).all():
            raise BadInput(
                f"{self.name} needs one word that differs in every sentence, among its words. "
                "Take it from `differing`."
            )
        return foreign


def differing(ids: Tokens, foils: Tokens) -> Bool[Tensor, "b n"]:
    """Where sentences differ from their foils; foils must be as long, and differ somewhere."""
    if ids.shape != foils.shape:
        raise ShapeError(
            f"foils must be as long as their sentences, {tuple(ids.shape)} tokens; they are "
            f"{tuple(foils.shape)}. Exchange one word for one of as many tokens."
        )
    foreign = ids != foils
    same = (~foreign.any(1)).nonzero()[:, 0].tolist()
    if same:
        raise BadInput(f"foils must differ from their sentences; those at {same} do not.")
    return foreign
