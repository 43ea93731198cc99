"""Abstention: from which certainty on a unit is named, chosen on some models and judged on others.

With y_i whether unit i is clear, c_i its certainty and ε the threshold, a unit is *named* where
c_i ≥ ε. The published rule takes, over all thresholds of the ROC curve, the highest of the best:

    ε = argmax_ε 1/2 (share of the clear named + share of the unclear not named)    (1)

and reports the maximum on the units that chose it. Chance labels reach well over 0.5 so, since
the best of many thresholds was taken: of 108 clear and 12 unclear units 0.588 on average, and 0.676
once in twenty times; `InSample` gives both numbers. Here each group of units (a
model) is judged by the ε that (1) finds without it, and what is reported is of these judgements:

    balanced accuracy = the term of (1),   precision = clear among named,
    recall = named among clear,   F1 = 2 TP / (2 TP + FP + FN),   coverage = named among all   (2)

Intervals draw groups with replacement, thresholds held. The control of each number in (2) names
as many units, drawn by lot.

Differs from the official code: (1) is theirs; its value there is called AUC and is in-sample.

References
----------
Zhu, Liu, Pan, Angirekula, Zhao. Explaining latent representations of generative models with large
multimodal models. 2024. (1).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.effect import ends
from legenda.core.explanation import Score
from legenda.core.interval import Interval
from legenda.errors import BadInput
from legenda.score.ranking import (
    Clear,
    Groups,
    Sureness,
    Tally,
    from_above,
    pr_auc,
    ranked,
    resamples,
    risk_auc,
    roc_auc,
    shuffles,
    tally,
)

Rates = Float[Tensor, " r"]


@dataclass(frozen=True)
class InSample:
    """The maximum of (1) on the units that chose it, as published, for comparison only.

    Parameters
    ----------
    value: the published number; it is not held out.
    threshold: its ε.
    chance, chance_interval: the same number for shuffled labels, mean and middle 95 %.
    p: share of shuffled labels that reach it, at least one of them.
    """

    value: float
    threshold: float
    chance: float
    chance_interval: Interval
    p: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What thresholds do on models that did not choose them.

    Parameters
    ----------
    named: whether each unit reaches the threshold of the other groups.
    thresholds: of each group, found without it.
    scores: equations (2), and the areas of `ranking`, by name.
    in_sample: the published number beside them.
    """

    named: Bool[Tensor, " n"] = field(repr=False)
    thresholds: dict[str, float]
    scores: dict[str, Score]
    in_sample: InSample


@dataclass(frozen=True)
class CrossValidated:
    """Equations (1) and (2), the threshold never chosen by the group that it judges.

    Parameters
    ----------
    folds: groups are dealt into so many; 0 leaves out one group at a time.
    seed: of the folds, the intervals and the controls.
    draws: resamples and controls; more give steadier ends.
    """

    folds: int = 0
    seed: int = 0
    draws: int = 1000

    def __call__(self, clear: Clear, sureness: Sureness, groups: Groups) -> HeldOut:
        ranked("CrossValidated", clear, sureness, groups)
        thresholds = self.thresholds(clear, sureness, groups)
        limits = torch.tensor([thresholds[group] for group in groups], dtype=torch.float64)
        named = sureness.double() >= limits
        areas = (
            one(clear, sureness, groups, seed=self.seed, draws=self.draws)
            for one in (roc_auc, pr_auc, risk_auc)
        )
        scores = judged(clear, named, groups, self.seed, self.draws)
        scores |= {score.name: score for score in areas}
        return HeldOut(named, thresholds, scores, in_sample(clear, sureness, self.seed, self.draws))

    def thresholds(self, clear: Clear, sureness: Sureness, groups: Groups) -> dict[str, float]:
        """For each group, equation (1) over the units of the other folds."""
        names = sorted(set(groups))
        count = self.folds or len(names)
        if not 2 <= count <= len(names):
            raise BadInput(
                f"CrossValidated splits models: it needs two folds or more and no more than there "
                f"are models; it got {count} folds of {len(names)} models."
            )
        lot = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(names), generator=lot).tolist()
        fold = {names[at]: i % count for i, at in enumerate(order)}
        found = {}
        for out in range(count):
            others = torch.tensor([fold[group] != out for group in groups])
            ranked(f"CrossValidated, without fold {out},", clear[others], sureness[others], None)
            found[out] = threshold(clear[others], sureness[others])
        return {name: found[fold[name]] for name in names}


def threshold(clear: Clear, sureness: Sureness) -> float:
    """Equation (1)."""
    values = sureness.double().unique()
    rates = balanced(tally(clear[None], sureness))[0].flip(0)  # from the highest value down
    best = int((rates >= rates.max() - 1e-12).nonzero()[0])
    return float(values.flip(0)[best])


def balanced(counts: Tally) -> Float[Tensor, "r v"]:
    """The term of (1) with each value as threshold, rising."""
    hit = from_above(counts.clear) / counts.clear.sum(1, keepdim=True)
    miss = from_above(counts.unclear) / counts.unclear.sum(1, keepdim=True)
    return (hit + 1 - miss) / 2


def in_sample(clear: Clear, sureness: Sureness, seed: int = 0, draws: int = 1000) -> InSample:
    """The published number, and what labels without any meaning would have given."""
    ranked("in_sample", clear, sureness, None)
    value = float(balanced(tally(clear[None], sureness)).max())
    chance = balanced(tally(shuffles(clear, seed, draws), sureness)).amax(1)
    reach = int((chance >= value - 1e-12).sum())
    return InSample(
        value, threshold(clear, sureness), float(chance.mean()), ends(chance, 0.95),
        (1 + reach) / (1 + draws),
    )  # fmt: skip


def judged(
    clear: Clear, named: Clear, groups: Groups | None, seed: int = 0, draws: int = 1000
) -> dict[str, Score]:
    """Equations (2) of some judgements, with intervals over groups and chance as control."""
    weights, lots = resamples(clear, groups, seed, draws).double(), shuffles(named, seed, draws)
    once = torch.ones(1, len(clear), dtype=torch.float64)
    found = {}
    for name, rule in RULES.items():
        value = rule(*crossed(clear, named[None], once))
        spread = rule(*crossed(clear, named[None], weights))
        control = rule(*crossed(clear, lots, once))
        found[name] = Score(
            name, float(value[0]), middle(spread), len(clear), True, float(control.nanmean()),
            middle(control),
        )  # fmt: skip
    return found


def crossed(
    clear: Clear, named: Bool[Tensor, "q n"], weights: Float[Tensor, "r n"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """True and false positives, false and true negatives; rows are resamples or lots."""
    cells = ((clear, named), (~clear, named), (clear, ~named), (~clear, ~named))
    hit, false, missed, silent = ((weights * (a & b)).sum(1) for a, b in cells)
    return hit, false, missed, silent


def middle(values: Rates) -> Interval:
    """The middle 95 % of those that are numbers."""
    real = values[values.isfinite()]
    return ends(real, 0.95) if len(real) else (float("nan"), float("nan"))


RULES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Rates]] = {  # (2)
    "balanced accuracy": lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "precision": lambda tp, fp, fn, tn: tp / (tp + fp),
    "recall": lambda tp, fp, fn, tn: tp / (tp + fn),
    "F1": lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
    "coverage": lambda tp, fp, fn, tn: (tp + fp) / (tp + fp + fn + tn),
}
