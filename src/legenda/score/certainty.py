"""Certainty: how much n answers agree, which of them speaks for all, and when to stop asking.

With S the agreement of n answers (`answer_agreement`), each left out of its own account,

    s_i = 1/(n-1) Σ_{j≠i} S_ij                                            (1)
    certainty = 1/n Σ_i s_i                                               (2)
    medoid = argmax_i s_i, the first of equal ones                        (3)

(2) is the published rule. Its interval comes from drawing n answers anew with replacement, c_i
times the i-th; two copies of one answer agree by construction, so that their pairs are left out:

    certainty* = Σ_{i≠j} c_i c_j S_ij / Σ_{i≠j} c_i c_j                   (4)

Where all answers agree, so do all resamples: (1, 1) says no more than that, and of two answers
nothing can be resampled, so that their interval is (0, 1). Certainty is agreement, not truth: a
describer that errs in the same way each time is certain.

`Sampler` asks until more answers would hardly change (3): its claim has been the same after each
of the last few answers, and the interval of (2) is narrow. A medoid with which no other answer
agrees is not stable, whatever the interval.

References
----------
Zhu, Liu, Pan, Angirekula, Zhao. Explaining latent representations of generative models with large
multimodal models. 2024. (1) to (3).
Efron. Bootstrap methods: another look at the jackknife. Annals of Statistics 1979. (4), but for
what it leaves out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.attribute import attribute_of
from legenda.core.interval import Interval
from legenda.errors import BadInput
from legenda.score.answer_agreement import AnswerAgreement, Pairwise

DIGITS = 12
"""Certainties are rounded here: those that are equal but for the order of a sum must be equal, or a
threshold would tell them apart.
"""
Claim = tuple[str, int]
"""The attribute and direction of an answer."""


@dataclass(frozen=True, eq=False)
class Certainty:
    """Equations (1) to (4) of one unit.

    Parameters
    ----------
    value: equation (2); larger means that the answers agree more.
    per_answer: equation (1).
    medoid: equation (3), the number of an answer.
    interval: 95 % of equation (4).
    n: answers.
    """

    value: float
    per_answer: Float[Tensor, " n"] = field(repr=False)
    medoid: int
    interval: Interval
    n: int


def certainty(
    similarity: Pairwise, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> Certainty:
    """Equations (1) to (4) of a matrix of agreements; its diagonal is not looked at."""
    n = len(similarity)
    bad = n < 2 or not bool(similarity.isfinite().all())
    if bad:
        raise BadInput(
            f"certainty compares two answers or more, by finite agreements; it got {n} answers, "
            f"{int((~similarity.isfinite()).sum())} agreements not finite. Ask more than once."
        )
    others = apart(similarity)
    per_answer = others.sum(1) / (n - 1)  # (1)
    interval = resampled(others, seed, draws, level)
    value = round(float(per_answer.mean()), DIGITS)  # (2)
    return Certainty(value, per_answer, medoid(per_answer), interval, n)


def medoid(per_answer: Float[Tensor, " n"]) -> int:
    """Equation (3); sums of one set in another order are equal here."""
    return int((per_answer >= per_answer.max() - 10**-DIGITS).nonzero()[0])


def resampled(others: Pairwise, seed: int, draws: int, level: float) -> Interval:
    """The interval of equation (4); resamples of one answer only are left out."""
    n = len(others)
    if n < 3:
        return (0.0, 1.0)
    lot = torch.Generator().manual_seed(seed)
    pick = torch.randint(n, (draws, n), generator=lot)
    count = torch.zeros(draws, n, dtype=torch.float64)
    count.scatter_add_(1, pick, torch.ones(draws, n, dtype=torch.float64))
    pairs = n * n - count.square().sum(1)
    agreed = ((count @ others) * count).sum(1)
    found = agreed[pairs > 0] / pairs[pairs > 0]  # (4)
    edges = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = found.quantile(edges).tolist()
    return (low, high)


def apart(similarity: Pairwise) -> Pairwise:
    """The agreements of different answers, in float64, the diagonal 0."""
    return similarity.detach().to("cpu", torch.float64).clone().fill_diagonal_(0)


@dataclass(frozen=True, eq=False)
class Sampled:
    """What was asked: the answers, their certainty, and whether the medoid was stable."""

    answers: tuple[Answer, ...]
    certainty: Certainty
    stable: bool

    @property
    def answer(self) -> Answer:
        """The one that speaks for all."""
        return self.answers[self.certainty.medoid]


@dataclass(frozen=True)
class Sampler:
    """Asks until the medoid is stable; the same answers give the same stop.

    Parameters
    ----------
    ask: the i-th answer, from another look, seed or sample.
    agreement: of answers, `n n`.
    least, most: answers asked for at least and at most; larger costs more and is surer.
    stable: after so many answers in a row the medoid must have said the same; larger is surer.
    width: of the interval at which asking may stop; larger stops sooner.
    seed: of the interval.
    """

    ask: Callable[[int], Answer] = field(repr=False)
    agreement: AnswerAgreement
    least: int = 3
    most: int = 12
    stable: int = 3
    width: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.least <= self.most or self.stable < 1 or not self.width >= 0:
            raise BadInput(
                "Sampler asks at least twice and no more than `most` times, and stops after one "
                f"stable answer or more; it got least={self.least}, most={self.most}, "
                f"stable={self.stable}, width={self.width}."
            )

    def __call__(self) -> Sampled:
        answers = [self.ask(0)]
        claims: list[Claim | None] = [claim(answers[0])]
        while True:
            answers.append(self.ask(len(answers)))
            found = certainty(self.agreement(answers), self.seed)
            claims.append(supported(answers, found))
            low, high = found.interval
            last = claims[-self.stable :]
            steady = len(claims) >= self.stable and last[0] is not None and len(set(last)) == 1
            settled = steady and high - low <= self.width
            if len(answers) == self.most or (len(answers) >= self.least and settled):
                return Sampled(tuple(answers), found, settled)


def supported(answers: list[Answer], found: Certainty) -> Claim | None:
    """What the medoid claims, if another answer agrees with it at all, or if it is silence."""
    answer = answers[found.medoid]
    alone = not answer.none and float(found.per_answer[found.medoid]) <= 0
    return None if alone else claim(answer)


def claim(answer: Answer) -> Claim:
    """What an answer claims, whatever its wording."""
    return attribute_of(answer.attribute), answer.direction
