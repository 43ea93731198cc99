"""BERTScore: each token finds the nearest token of the other text, by embeddings of both.

With unit vectors x_i of a reference's tokens and y_j of a prediction's, and weights w (all 1, or
the inverse document frequency among the references),

    R = Σ_i w(x_i) max_j x_i·y_j / Σ_i w(x_i)                             (1)
    P = Σ_j w(y_j) max_i x_i·y_j / Σ_j w(y_j)                             (2)
    F = 2 P R / (P + R)                                                   (3)
    w(t) = log((M + 1) / (m_t + 1)),   m_t of M texts have t in a reference   (4)

Of several references the one with the largest F counts. Numbers depend on the network that
embeds; they are not comparable between networks, nor rescaled by a baseline here.

References
----------
Zhang, Kishore, Wu, Weinberger, Artzi. BERTScore: evaluating text generation with BERT. ICLR 2020.
(1) to (3), and (4) with one text more of each kind.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.score.text_metrics import Texts, hundred

EmbeddedTokens = tuple[list[str], Float[Tensor, "_ e"]]
EmbedTokens = Callable[[str], EmbeddedTokens]
"""A text to its tokens and a row for each."""


@dataclass(frozen=True)
class BertScore:
    """Equation (3) of each text, ×100.

    Parameters
    ----------
    embed_tokens: such as `describe.sentence_encoder.SentenceEncoder.tokens`.
    idf: whether rare tokens count more, by equation (4).
    """

    embed_tokens: EmbedTokens = field(repr=False)
    idf: bool = False

    def __call__(self, texts: Texts) -> Float[Tensor, " t"]:
        said = [self.embed_tokens(text) for text in texts.predictions]
        wanted = [[self.embed_tokens(text) for text in of] for of in texts.references]
        weight = rarity([[tokens for tokens, _ in of] for of in wanted]) if self.idf else even
        pairs = zip(said, wanted, strict=True)
        return hundred([max(matched(one, other, weight) for other in of) for one, of in pairs])


Weight = Callable[[list[str]], Float[Tensor, " n"]]


def matched(said: EmbeddedTokens, wanted: EmbeddedTokens, weight: Weight) -> float:
    """Equations (1) to (3); a text without tokens matches nothing."""
    if not said[0] or not wanted[0]:
        return 0.0
    x, y = (normalize(rows.detach().double(), dim=1) for _, rows in (wanted, said))
    cosine = x @ y.T
    recall = mean(cosine.amax(1), weight(wanted[0]))  # (1)
    precision = mean(cosine.amax(0), weight(said[0]))  # (2)
    both = precision + recall
    return 2 * precision * recall / both if both > 0 else 0.0  # (3)


def mean(values: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> float:
    """A weighted mean; where every token is in every text, all count alike."""
    weights = weights if float(weights.sum()) > 0 else torch.ones_like(weights)
    return float((values * weights).sum() / weights.sum())


def even(tokens: list[str]) -> Float[Tensor, " n"]:
    """All tokens count alike."""
    return torch.ones(len(tokens), dtype=torch.float64)


def rarity(references: list[list[list[str]]]) -> Weight:
    """Equation (4)."""
    texts = len(references)
    held = Counter(token for of in references for token in {t for tokens in of for t in tokens})

    def weight(tokens: list[str]) -> Float[Tensor, " n"]:
        each = [log((texts + 1) / (held[token] + 1)) for token in tokens]
        return torch.tensor(each, dtype=torch.float64)

    return weight
