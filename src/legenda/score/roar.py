"""ROAR+: remove and retrain, for models that match pictures with sentences.

A picture without its patches is unlike any that the model has seen, and what it says of it
may be due to that alone. So the most attributed patches are removed from training pictures
too, and the model is fine-tuned on those. If it still finds the right sentences for held-out
pictures that are changed alike, what was removed was not needed. With Acc(q) the retrieval
accuracy after fine-tuning without the share q,

    cost = mean_q Acc(0) - Acc(q)                                         (1)

A better map costs more. The control removes as many patches at random.

Differs from the paper on M2IB, which names the measure and not its settings: shares, fill
(the mean colour), training set and schedule are ours, and stated. The interval is over
held-out pairs; it does not cover the luck of a training run.

References
----------
Hooker, Erhan, Kindermans, Kim. A benchmark for interpretability methods in deep neural
networks. NeurIPS 2019. ROAR, for classifiers.
Wang, Rudner, Wilson. Visual explanations of image-text representations via multi-modal
information bottleneck attribution. NeurIPS 2023. ROAR+, its name for the contrastive form.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.score.inputs import attribution_in, check, needs_grid, pooled, random_like
from legenda.score.removal import checked_shares, without_most
from legenda.types import Images

Tune = Callable[[Images, Images], Tensor]
"""Fine-tunes a fresh model on the first pictures; says how well it finds each of the second."""

QUICK = (0.5,)
"""The shares of a quick form: two fine-tunings for a method, and one for the control."""


@dataclass(frozen=True)
class RemoveAndRetrain:
    """Equation (1), `b c h w -> t`, a share of the held-out pairs; higher is better.

    The inputs are the training pictures followed by the held-out ones.

    Parameters
    ----------
    tune: fine-tunes on pictures and returns the hits (t) among others, 0 to 1 each; always
        from the same start. `legenda.zoo.scenes.tuning.Tuning` is one.
    train: how many of the inputs are for training; the others are held out.
    shares: how much is removed; the mean over them is taken. `QUICK` is one share only.
    seed: of ties and of the random control.
    """

    tune: Tune
    train: int
    shares: tuple[float, ...] = (0.1, 0.3, 0.5)
    seed: int = 0
    name: str = field(default="roar", init=False, repr=False)
    unit: str = field(default="share", init=False, repr=False)
    higher_is_better: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        checked_shares("RemoveAndRetrain", self.shares)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        evidence = attribution_in(explanation, self.name)
        self._check(x, evidence)
        whole = self.hits(x, evidence, 0.0)
        cost = whole - self.curve(x, evidence).mean(0)
        blind = whole - self.curve(x, random_like(x, evidence, self.seed)).mean(0)
        return pooled(self, cost, blind)

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " t"]:
        """What removal costs each held-out pair, on average over the shares."""
        self._check(x, evidence)
        return self.hits(x, evidence, 0.0) - self.curve(x, evidence).mean(0)  # (1)

    def curve(self, x: Tensor, evidence: Attribution) -> Float[Tensor, "s t"]:
        """The hits at each share: one fine-tuning each."""
        return torch.stack([self.hits(x, evidence, share) for share in self.shares])

    def hits(self, x: Tensor, evidence: Attribution, share: float) -> Float[Tensor, " t"]:
        """How well each held-out pair is found after fine-tuning without a share."""
        less = without_most(x, evidence, share, self.seed)
        return self.tune(less[: self.train], less[self.train :]).float()

    def _check(self, x: Tensor, evidence: Attribution) -> None:
        check(self.name, x, evidence)
        needs_grid(self.name, evidence)
        if not 0 < self.train < len(x):
            raise BadInput(
                f"{self.name} needs pictures to train on and pictures to test on; it got "
                f"train={self.train} of {len(x)}. Leave some of each."
            )
