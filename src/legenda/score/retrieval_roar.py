"""Retrieval-ROAR: what does removing the attributed content cost a search?

No retraining, and no opinion of the model about one pair in isolation: with a gallery of b
pairs, the share of inputs whose own partner is the nearest is counted before and after the
most attributed content has been removed from one side,

    loss = (Acc - Acc') / Acc                                             (1)

Higher is better. `way="out"` lets each changed input search for its partner (image to text,
where the inputs are images), `way="in"` lets each partner search among the changed inputs.
The interval resamples pairs, the gallery stays as it is.

Differs from AdaIB, which introduced it, in nothing that we know of; share and fill are fields.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.interval import Interval
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from legenda.score.inputs import attribution_in, check, random_like
from legenda.score.removal import Fill, Removal, checked_fill, checked_shares, first, ranks


@dataclass(frozen=True)
class RetrievalROAR:
    """Equation (1), `b c h w -> b` or `b n -> b`, a share of the accuracy; higher is better.

    Parameters
    ----------
    partners: embedding of each input's partner, by the other tower.
    way: changed inputs search "out" for partners, or partners search "in" changed inputs.
    share: how much of the content is removed; more costs more.
    fill, sigma, blank, batch: how it is removed, as of `Deletion`.
    seed: of ties and of the random control.
    """

    partners: Float[Tensor, "b e"] = field(repr=False, compare=False)
    way: Literal["out", "in"] = "out"
    share: float = 0.3
    fill: Fill = "mean"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64
    unit: str = field(default="share of the accuracy", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        checked_fill("RetrievalROAR", self.fill)
        checked_shares("RetrievalROAR", (self.share,))

    @property
    def name(self) -> str:
        """`retrieval-roar-out` or `retrieval-roar-in`."""
        return f"retrieval-roar-{self.way}"

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        evidence = attribution_in(explanation, self.name)
        check(self.name, x, evidence)
        before, after = self.found(units, x, target, evidence)
        _, blind = self.found(units, x, target, random_like(x, evidence, self.seed))
        right = self._right(before)
        lost, gone = before.float() - after.float(), before.float() - blind.float()
        return Score(
            self.name,
            float(lost.mean() / right),
            ratio_interval(lost, before.float(), self.seed),
            len(x),
            self.higher_is_better,
            float(gone.mean() / right),
            ratio_interval(gone, before.float(), self.seed),
            self.unit,
        )

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """What each pair contributes to (1): 1/Acc if it is lost, -1/Acc if it is won."""
        before, after = self.found(units, x, target, evidence)
        return (before.float() - after.float()) / self._right(before)

    def found(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> tuple[Bool[Tensor, " b"], Bool[Tensor, " b"]]:
        """Which pairs are found, before and after."""
        check(self.name, x, evidence)
        most = first(ranks(x, evidence, self.seed), evidence.drawn, self.share)
        removal = Removal(
            units, x, target, evidence, self.fill, self.sigma, self.blank, self.seed, self.batch
        )
        return self._hits(removal.outputs(most & False)), self._hits(removal.outputs(most))

    def _hits(self, found: Float[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        if self.partners.shape != found.shape:
            raise ShapeError(
                f"{self.name} needs the embedding of each partner, {tuple(found.shape)}; it got "
                f"{tuple(self.partners.shape)}. Embed them with the other tower."
            )
        cosine = normalize(found, dim=1) @ normalize(self.partners.to(found), dim=1).T
        nearest = cosine.argmax(1 if self.way == "out" else 0)
        return nearest == torch.arange(len(found), device=found.device)

    def _right(self, before: Bool[Tensor, " b"]) -> float:
        if not before.any():
            raise BadInput(
                f"{self.name} needs a model that finds some partners; it found 0 of "
                f"{len(before)}. Use a smaller gallery or a better model."
            )
        return float(before.float().mean())


def ratio_interval(
    above: Float[Tensor, " n"], below: Float[Tensor, " n"], seed: int = 0, draws: int = 2000
) -> Interval:
    """Percentile bootstrap interval of a ratio of two means, pairs kept together."""
    lot = torch.Generator().manual_seed(seed)
    pick = torch.randint(len(above), (draws, len(above)), generator=lot)
    over, under = above.cpu().double()[pick].mean(1), below.cpu().double()[pick].mean(1)
    ratios = (over / under)[under > 0]
    ends = ratios.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(ends[0]), float(ends[1])
