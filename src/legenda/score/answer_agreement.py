"""Agreement of answers: how far each two of n looks say the same of a unit.

Every measure here takes n answers and gives a matrix `n n` from 0 to 1, with 1 on the diagonal
unless it says otherwise; `certainty` takes its mean. With a_i the attribute of answer i, d_i its
direction, t_i its text, f_i a fact of it,

    attribute  S_ij = [a_i = a_j] · w(d_i, d_j),   w = 1 same, 0 opposite, `unknown` else   (1)
    sentence   S_ij = max(0, cos(E(t_i), E(t_j)))                                           (2)
    n-gram     S_ij = cos(c(t_i), c(t_j)),   c counts the words of a text                   (3)
    fact       S_ij = max(0, cos(v_i, v_j)),   v_ia = Σ_{f_i about a} trend · effect        (4)

A direction that an answer does not give is read off its words: the ends of the attribute where
it uses them; else two answers that both say from what to what are opposite where one ends as the
other begins, and the same where not. An abstention agrees with nothing, so that a unit of which
all looks say nothing has certainty 0; `silence` says otherwise.

(3) is the published measure. It does not hear a negation, nor the order of words: "from small to
large" and "from large to small" are one to it. (2) hears little more of both; (1) and (4) do.

References
----------
Zhu, Liu, Pan, Angirekula, Zhao. Explaining latent representations of generative models with large
multimodal models. 2024. (3), and certainty as agreement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES, attribute_of
from legenda.errors import BadInput

Pairwise = Float[Tensor, "n n"]
Embed = Callable[[list[str]], Float[Tensor, "t e"]]
AnswerAgreement = Callable[[Sequence[Answer]], Pairwise]
"""How far each two of some answers say the same, 0 to 1."""


@dataclass(frozen=True)
class AttributeAgreement:
    """Equation (1): the same attribute, the same way.

    Parameters
    ----------
    unknown: what two answers with one attribute get where the direction of one is not known; at 1
        a missing direction is held for agreement.
    silence: what two abstentions get; at 1 a unit of which all say nothing is sure to be unclear.
    """

    unknown: float = 0.5
    silence: float = 0.0

    def __post_init__(self) -> None:
        shares("AttributeAgreement", unknown=self.unknown, silence=self.silence)

    def __call__(self, answers: Sequence[Answer]) -> Pairwise:
        claims = [claimed(answer) for answer in answers]
        first = {claim: i for i, claim in reversed(list(enumerate(claims)))}
        kinds = list(first)  # equal claims are compared once
        rows = [[self.pair(answers[first[a]], answers[first[b]]) for b in kinds] for a in kinds]
        small = torch.tensor(rows, dtype=torch.float64).reshape(len(kinds), len(kinds))
        place = torch.tensor([kinds.index(claim) for claim in claims], dtype=torch.long)
        return small[place[:, None], place].fill_diagonal_(1)

    def pair(self, one: Answer, other: Answer) -> float:
        """One entry of (1)."""
        if one.none or other.none:
            return self.silence if one.none and other.none else 0.0
        if attribute_of(one.attribute) != attribute_of(other.attribute):
            return 0.0
        ways = way(one) * way(other)
        if ways:
            return float(ways > 0)
        if not all((one.start, one.end, other.start, other.end)):
            return self.unknown
        return 0.0 if crossed(one, other) else 1.0


@dataclass(frozen=True)
class SentenceAgreement:
    """Equation (2): texts that mean much the same, by some embedding of sentences.

    Parameters
    ----------
    embed: texts to rows, such as `describe.sentence_encoder.SentenceEncoder`.
    silence: what two abstentions get; larger holds saying nothing for agreement.
    """

    embed: Embed = field(repr=False)
    silence: float = 0.0

    def __post_init__(self) -> None:
        shares("SentenceAgreement", silence=self.silence)

    def __call__(self, answers: Sequence[Answer]) -> Pairwise:
        said = [i for i, answer in enumerate(answers) if not answer.none]
        found = quiet([answer.none for answer in answers], self.silence)
        if said:
            rows = self.embed([spoken(answers[i]) for i in said])
            place = torch.tensor(said)
            found[place[:, None], place] = cosine(rows)
        return found.fill_diagonal_(1)


@dataclass(frozen=True)
class NgramAgreement:
    """Equation (3), the published measure: bags of words, as scikit-learn counts them.

    A text without a word agrees with nothing, itself included, and abstentions are texts like all
    others: both as published.

    Parameters
    ----------
    n: the longest run of words that is counted; larger hears more of their order.
    """

    n: int = 1

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadInput(f"NgramAgreement counts runs of 1 word or more; it got n={self.n}.")

    def __call__(self, answers: Sequence[Answer]) -> Pairwise:
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(ngram_range=(1, self.n))
        texts, words = [spoken(answer) for answer in answers], counter.build_analyzer()
        if not any(words(text) for text in texts):  # scikit-learn refuses an empty vocabulary
            return torch.zeros(len(texts), len(texts), dtype=torch.float64)
        counts: Any = counter.fit_transform(texts)
        return cosine(torch.from_numpy(counts.toarray()))


@dataclass(frozen=True)
class FactAgreement:
    """Equation (4): the same numbers move the same way, by degrees.

    Parameters
    ----------
    of_silent: whether what an abstention measured counts too; False lets it agree with nothing.
    """

    of_silent: bool = False

    def __call__(self, answers: Sequence[Answer]) -> Pairwise:
        names = sorted({attribute_of(fact.attribute) for one in answers for fact in one.facts})
        rows = torch.zeros(len(answers), len(names), dtype=torch.float64)
        for i, one in enumerate(answers):
            for fact in one.facts if self.of_silent or not one.none else ():
                rows[i, names.index(attribute_of(fact.attribute))] += fact.trend * fact.effect
        return cosine(rows.nan_to_num(0.0, 0.0, 0.0)).fill_diagonal_(1)


def claimed(answer: Answer) -> tuple[bool, str, int, str, str]:
    """All that (1) looks at."""
    ends = answer.start.strip().lower(), answer.end.strip().lower()
    return (answer.none, attribute_of(answer.attribute), answer.direction, *ends)


def way(answer: Answer) -> int:
    """The direction of an answer, or what its words say of it; 0 where they do not."""
    known = ATTRIBUTES.get(attribute_of(answer.attribute))
    if answer.direction or known is None:
        return answer.direction
    start, end = answer.start.strip().lower(), answer.end.strip().lower()
    ends = (known.less.lower(), known.more.lower())
    return int((start, end) == ends) - int((end, start) == ends)


def crossed(one: Answer, other: Answer) -> bool:
    """Whether one begins as the other ends: the two go opposite ways."""
    a, b, c, d = (w.strip().lower() for w in (one.start, one.end, other.start, other.end))
    return (a == d or b == c) and (a, b) != (c, d)


def spoken(answer: Answer) -> str:
    """What an answer says, in one piece, even where it came as fields only."""
    if answer.text or answer.none:
        return answer.text
    ends = f" from {answer.start} to {answer.end}" if answer.start and answer.end else ""
    return answer.attribute + ends


def quiet(silent: list[bool], both: float) -> Pairwise:
    """`both` where two abstain, 0 elsewhere."""
    none = torch.tensor(silent, dtype=torch.float64)
    return both * none[:, None] * none


def cosine(rows: Float[Tensor, "n e"] | Tensor) -> Pairwise:
    """Cosine of each two rows, clipped to 0..1; a row of zeros agrees with nothing."""
    unit = normalize(rows.detach().to("cpu", torch.float64), dim=1)
    found = (unit @ unit.T).clamp(0, 1)
    return (found + found.T) / 2  # a product of matrices is symmetric but for its last bit


def shares(who: str, **fields: float) -> None:
    """Refuse what is not between 0 and 1."""
    if not all(0 <= value <= 1 for value in fields.values()):
        got = ", ".join(f"{name}={value}" for name, value in fields.items())
        raise BadInput(f"{who} gives agreements from 0 to 1; it got {got}. Stay between them.")
