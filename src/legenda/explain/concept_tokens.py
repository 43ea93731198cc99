"""Concept tokens: which entries of a codebook the images of a concept rest on.

y is one of Y concepts, T_m the `top` most important positions of image m, t_mp its token at p:

    c_ty = Σ_{m of y} Σ_{p ∈ T_m} [t_mp = t],    f_ty = the same over all positions     (1)
    tf_idf_ty = c_ty log[(1 + Y) / (1 + d_t)]                                         (2)
    pmi_ty = log[p_ty / (p_t p_y)],    p_ty = (c_ty + α) / Σ_ty (c_ty + α)            (3)

d_t is how many concepts have t among their `keep` tokens of largest c (at some top position of
some image, every token once is); p_t and p_y are sums of p_ty. Only tokens of c above 0 are
listed (for "frequency" and "random": f). A tie goes to the lower number, or lower position.

Ranking by c is the published way, by f its published baseline. Differs from the official code:
counts of parts add up to those of the whole; (2), (3), shares, intervals and controls are ours.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Sample-level explanation: c, and f as its baseline.
Salton, Buckley. Term-weighting approaches in automatic text retrieval. Information Processing
and Management 1988. The family of (2).
Church, Hanks. Word association norms, mutual information, and lexicography. Computational
Linguistics 1990. (3), for words.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.interval import wilson
from legenda.errors import BadInput, near
from legenda.types import Tokens

By = Literal["count", "tf_idf", "pmi", "frequency", "random"]
BY = ("count", "tf_idf", "pmi", "frequency", "random")
LEAST = 5  # images of a concept: shares of fewer would say nothing
AnyMaps = Float[Tensor, "_ _"]  # whether these fit the tokens is said in words, below
Labels = Int[Tensor, " _"]


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """How often each concept (c) has each token (k); counts of parts of the images add up.

    `tops` and `cells` are c and f of equation (1), for `top` positions; of a concept's `images`,
    so many have a token at a top position (`seen`), or anywhere (`has`).
    """

    top: int
    images: Int[Tensor, " c"]
    tops: Int[Tensor, "c k"]
    cells: Int[Tensor, "c k"]
    seen: Int[Tensor, "c k"]
    has: Int[Tensor, "c k"]

    def __add__(self, other: "TokenCounts") -> "TokenCounts":
        if self.top != other.top or self.tops.shape != other.tops.shape:
            raise BadInput(
                f"TokenCounts need the same top, concepts and tokens to add up; {self.top} and "
                f"{other.top}, {[*self.tops.shape]} and {[*other.tops.shape]} are not. Count alike."
            )
        parts = ("images", "tops", "cells", "seen", "has")
        return TokenCounts(self.top, *(getattr(self, p) + getattr(other, p) for p in parts))


@dataclass(frozen=True, eq=False)
class RankedTokens:
    """The tokens of one concept, the first first.

    `score` ranked them; `count` is how often they are at top positions. Of the concept's `images`,
    `seen` have them there, `has` anywhere; `share` is seen / images with its 95 % interval (value,
    low, high), `control` the same of all other images.
    """

    concept: str
    images: int
    tokens: Int[Tensor, " r"]
    score: Float[Tensor, " r"]
    count: Int[Tensor, " r"]
    seen: Int[Tensor, " r"]
    has: Int[Tensor, " r"]
    share: Float[Tensor, "r 3"]
    control: Float[Tensor, "r 3"]


@dataclass(frozen=True, eq=False)
class ConceptRanking:
    """Ranked tokens of every concept, and the counts that they come from."""

    by: By
    lists: tuple[RankedTokens, ...]
    counts: TokenCounts

    def __getitem__(self, concept: str) -> RankedTokens:
        names = [found.concept for found in self.lists]
        if concept in names:
            return self.lists[names.index(concept)]
        raise BadInput(
            f"no concept {concept!r} was ranked.{near(concept, names)} Ranked: {', '.join(names)}."
        )


@dataclass(frozen=True)
class ConceptTokens:
    """Tokens of every concept by what its images rest on, `b n -> r` for each concept.

    Parameters
    ----------
    top: positions taken per image; more let in what matters less.
    keep: tokens listed per concept, at most.
    by: "count" (as published), "tf_idf", "pmi", "frequency" (the published baseline), or
        "random" tokens of the concept's images.
    smooth: α of equation (3); larger trusts rare tokens less.
    seed: of "random".
    """

    top: int = 20
    keep: int = 100
    by: By = "count"
    smooth: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in BY or min(self.top, self.keep) < 1 or not 0 <= self.smooth < torch.inf:
            raise BadInput(
                f"ConceptTokens ranks by {', '.join(BY)}, with top and keep of 1 or more and a "
                f"finite smooth of 0 or more; it got {self}. Choose among these."
            )

    def __call__(
        self, tokens: Tokens, scores: AnyMaps, labels: Labels, size: int, concepts: tuple[str, ...]
    ) -> ConceptRanking:
        """Rank the tokens, of `size` that there are, of images labelled by number of concept."""
        counts = count_tokens(tokens, scores, labels, size, len(concepts), self.top)
        return self.rank(counts, concepts)

    def rank(self, counts: TokenCounts, concepts: tuple[str, ...]) -> ConceptRanking:
        """Rank by counts, which may come from several parts of the images."""
        comparable(counts, concepts)
        there = (counts.cells if self.by in ("frequency", "random") else counts.tops) > 0
        score = self.scored(counts)
        order = falling(score.masked_fill(~there, -torch.inf))
        total, everywhere, lists = int(counts.images.sum()), counts.seen.sum(0), []
        for y, (concept, many) in enumerate(zip(concepts, counts.images.tolist(), strict=True)):
            t = order[y, : min(self.keep, int(there[y].sum()))]
            seen, others = counts.seen[y, t], everywhere[t] - counts.seen[y, t]
            own = (score[y, t], counts.tops[y, t], seen, counts.has[y, t])
            both = (shares(seen, many), shares(others, total - many))
            lists.append(RankedTokens(concept, many, t, *own, *both))
        return ConceptRanking(self.by, tuple(lists), counts)

    def scored(self, counts: TokenCounts) -> Float[Tensor, "c k"]:
        """What each token is worth to each concept."""
        c = counts.tops.double()
        if self.by in ("count", "frequency"):
            return c if self.by == "count" else counts.cells.double()  # (1)
        if self.by == "random":
            lot = torch.Generator().manual_seed(self.seed)
            return torch.rand(c.shape, generator=lot, dtype=torch.float64)
        if self.by == "tf_idf":
            listed = torch.zeros_like(c).scatter_(1, falling(c)[:, : self.keep], 1.0) * (c > 0)
            return c * ((1 + len(c)) / (1 + listed.sum(0))).log()  # (2)
        a, (y, k) = self.smooth, c.shape
        # whole numbers are summed exactly, so that tokens of the same counts tie to the last bit
        margins = (c.sum(0) + a * y) * (c.sum(1, keepdim=True) + a * k)
        return ((c + a) * (c.sum() + a * y * k) / margins).log()  # (3)


def count_tokens(
    tokens: Tokens, scores: AnyMaps, labels: Labels, size: int, concepts: int, top: int = 20
) -> TokenCounts:
    """Equation (1), for tokens below `size` and labels below `concepts`."""
    countable(tokens, scores, labels, size, concepts)
    every = labels.long().to(tokens.device)[:, None] * size + tokens
    some = every.gather(1, top_positions(scores, top).to(every.device))
    counted = [tally(c, once, (concepts, size)) for once in (False, True) for c in (some, every)]
    return TokenCounts(top, labels.long().bincount(minlength=concepts).cpu(), *counted)


def tally(cells: Tokens, once: bool, shape: tuple[int, int]) -> Int[Tensor, "c k"]:
    """How often each cell of a table is named; with `once`, by how many rows."""
    if once:
        ordered = cells.sort(1)[0]
        cells = ordered[ordered.diff(dim=1, prepend=ordered[:, :1] - 1) > 0]
    return cells.flatten().bincount(minlength=shape[0] * shape[1]).view(shape).cpu()


def shares(found: Int[Tensor, " r"], images: int) -> Float[Tensor, "r 3"]:
    """Shares of images, each with the ends of Wilson's 95 % interval."""
    rows = [(count / images, *wilson(count, images)) for count in found.tolist()]
    return torch.tensor(rows, dtype=torch.float64).view(-1, 3)


def top_tokens(
    tokens: Int[Tensor, " n"], scores: Float[Tensor, " n"], count: int
) -> tuple[Int[Tensor, " top"], Int[Tensor, " top"]]:
    """The positions of one image that matter most, and the tokens there."""
    positions = top_positions(scores[None], count)[0].to(tokens.device)
    return positions, tokens[positions]


def top_positions(scores: Float[Tensor, "b n"], count: int) -> Int[Tensor, "b top"]:
    """The positions of highest score, the highest first."""
    n, bad = scores.shape[1], int((~scores.isfinite()).sum())
    if not 1 <= count <= n:
        raise BadInput(f"a grid of {n} positions has no top {count}. Take 1 to {n} of them.")
    if bad:
        raise BadInput(
            f"top positions need finite scores; {bad} of {scores.numel()} are NaN or infinite. "
            "Look at the attribution that they come from."
        )
    return falling(scores.detach())[:, :count]


def falling(values: Float[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """Places of each row from the largest value down; the lower place wins a tie."""
    return values.sort(dim=1, descending=True, stable=True).indices


def countable(tokens: Tensor, scores: Tensor, labels: Tensor, size: int, concepts: int) -> None:
    """Refuse what does not belong together."""
    if scores.shape != tokens.shape or len(labels) != len(tokens):
        raise BadInput(
            f"ConceptTokens got tokens {tuple(tokens.shape)}, scores {tuple(scores.shape)} and "
            f"{len(labels)} labels. Give one score per token and one label per image."
        )
    for what, held, limit in (("token", tokens, size), ("label", labels, concepts)):
        if (wrong := held[(held < 0) | (held >= limit)]).numel():
            raise BadInput(
                f"ConceptTokens got the {what} {int(wrong[0])}; there are {limit}, numbered from "
                "0. Use the codebook and the concepts that they come from."
            )


def comparable(counts: TokenCounts, concepts: tuple[str, ...]) -> None:
    """Refuse concepts that cannot be told from each other."""
    if not 2 <= len(counts.images) == len(set(concepts)) == len(concepts):
        raise BadInput(
            f"ConceptTokens compares two concepts or more, each by its own name; it counted "
            f"{len(counts.images)} and got the names {', '.join(concepts)}. Name each once."
        )
    many = zip(concepts, counts.images.tolist(), strict=True)
    if few := [f"{concept!r} has {count}" for concept, count in many if count < LEAST]:
        raise BadInput(
            f"ConceptTokens needs {LEAST} images or more of every concept; {', '.join(few)}. "
            "Add images, or leave the concept out."
        )
