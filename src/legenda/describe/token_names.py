"""Token names: a codebook's token is named by what its crops have in common.

A token of an image tokenizer lies in no space of sentences, but the patches that it was decoded
to can be looked at. With E an image encoder in the space of sentences and c the crops of token i,

    v_i = normalise( (1/m) Σ_c E(c) )                                     (1)

is matched as a unit's direction is, and abstains by the same rule. What would a token score whose
crops have nothing in common? The crops are dealt out anew, each token getting as many as it had,
and (1) is taken of those.

References
----------
Our own; naming by the nearest word is that of `naming`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.describe.centred_naming import CentredNaming
from legenda.describe.naming import Abstention, Name, Naming, matchable, matched
from legenda.describe.unit_vectors import UnitEvidence
from legenda.describe.vocabulary import Vocabulary
from legenda.errors import BadInput

EmbedImages = Callable[[Sequence[Any]], Float[Tensor, "m e"]]
BATCH = 64


@dataclass(frozen=True, eq=False)
class Crops:
    """Embedded crops (m), each of unit length, and the token that each shows."""

    rows: Float[Tensor, "m e"]
    token: Int[Tensor, " m"]

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or len(self.rows) != len(self.token) or not len(self.rows):
            raise BadInput(
                f"tokens are named by crops, each with its token; it got {tuple(self.rows.shape)} "
                f"embeddings and {len(self.token)} tokens. Give at least one crop."
            )
        if not bool(self.rows.isfinite().all()):
            bad = int((~self.rows.isfinite()).any(1).sum())
            raise BadInput(f"{bad} of {len(self.rows)} crops embed to NaN or infinity.")


def embedded_crops(
    crops: Mapping[int, Sequence[Any]], embed_images: EmbedImages, batch: int = BATCH
) -> Crops:
    """The crops of each token, embedded in batches."""
    pairs = [(token, crop) for token in sorted(crops) for crop in crops[token]]
    if not pairs:
        raise BadInput("tokens are named by crops; none has any. Survey pictures that hold them.")
    parts = [pairs[i : i + batch] for i in range(0, len(pairs), batch)]
    rows = torch.cat([embed_images([crop for _, crop in part]) for part in parts])
    rows = normalize(rows.detach().to("cpu", torch.float32), dim=1)
    return Crops(rows, torch.tensor([token for token, _ in pairs]))


def token_names(
    crops: Crops,
    tokens: int,
    vocabulary: Vocabulary,
    words: Float[Tensor, "t e"],
    method: Naming | None = None,
    abstain: Abstention | None = None,
    least: int = 3,
) -> tuple[Name, ...]:
    """A name for each of `tokens` tokens; one with fewer than `least` crops has none."""
    method, abstain = method or CentredNaming(), abstain or Abstention()
    matchable(crops.rows.shape[1], vocabulary, words, method)
    if not 0 <= int(crops.token.min()) <= int(crops.token.max()) < tokens:
        raise BadInput(
            f"crops show token {int(crops.token.max())}; the codebook has {tokens} tokens."
        )
    count = crops.token.bincount(minlength=tokens)
    enough = count >= least
    if not bool(enough.any()):
        raise BadInput(
            f"no token has {least} crops or more; the most is {int(count.max())}. Survey more "
            "pictures."
        )
    shown = crops.rows.mean(0)
    pointing = directed(means(crops.rows, crops.token, tokens), shown, method)
    null = dealt(crops, tokens, enough, method, abstain)
    found = matched(pointing, null, vocabulary, words, method, abstain.level, enough)
    return tuple(
        name if enough[name.unit] else replace(name, word=None, reason=few(count, name, least))
        for name in found
    )


def means(
    rows: Float[Tensor, "m e"], token: Int[Tensor, " m"], tokens: int
) -> Float[Tensor, "k e"]:
    """Equation (1); zeros for a token without crops."""
    total = rows.new_zeros(tokens, rows.shape[1]).index_add(0, token, rows)
    return normalize(total, dim=1)  # (1)


def directed(
    vectors: Float[Tensor, "k e"], mean: Float[Tensor, " e"], method: Naming
) -> Float[Tensor, "k e"]:
    """Where a way of naming says that tokens point."""
    return normalize(method.directions(UnitEvidence(vectors, image_mean=mean)), dim=1)


def dealt(
    crops: Crops, tokens: int, enough: Tensor, method: Naming, abstain: Abstention
) -> Float[Tensor, "s e"]:
    """Tokens whose crops are drawn by lot: as many deals as give the draws that were asked for."""
    lot = torch.Generator().manual_seed(abstain.seed)
    mean, found, made = crops.rows.mean(0), [], 0
    while made < abstain.draws:
        mixed = crops.token[torch.randperm(len(crops.token), generator=lot)]
        part = directed(means(crops.rows, mixed, tokens), mean, method)[enough]
        found.append(part)
        made += len(part)
    return torch.cat(found)[: abstain.draws]


def few(count: Int[Tensor, " k"], name: Name, least: int) -> str:
    """Why a token with few crops has no name."""
    own = int(count[name.unit])
    return f"it was seen in {own} crop{'' if own == 1 else 's'}; {least} are needed"
