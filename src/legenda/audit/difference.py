"""Differing tokens: which tokens the images of one group hold more often than those of another.

n_it is how many cells of image i hold token t. Over the N = N_a + N_b images j of both groups,

    d_it = #{j : n_jt < n_it} - #{j : n_jt > n_it}                        (1)
    S_t = Σ_{i in a} d_it                                                 (2)
    δ_t = S_t / (N_a N_b)                                                 (3)
    z_t = S_t / √(N_a N_b Σ_i d_it² / (N (N - 1)))                        (4)

Pairs within a cancel in (2), which so counts pairs of an image of a and one of b, pairs won less
pairs lost: (3) is Cliff's δ, and (4) the rank-sum test, its variance right under ties. (1) goes by
the count alone, so a histogram of counts for each token is enough, in whole numbers.

A token may differ because it makes the group, or because it only comes along with it: nothing in
these images tells one from the other. For that, see `ShortcutTokens`.

The official code has no such test; this is ours.

References
----------
Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1945. (4).
Cliff. Dominance statistics: ordinal analyses to answer ordinal questions. Psychological
Bulletin 1993. (3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.effect import benjamini_hochberg, cliffs_delta_interval, dominance
from legenda.errors import BadInput
from legenda.types import Tokens

SHUFFLES = 20
"""So often the groups are dealt by lot, for the control."""


@dataclass(frozen=True)
class Differing:
    """By how much two groups differ in each token that was tested.

    `tokens` are their ids, and every other array has one row for each; columns of `present` are
    the groups. δ is above 0 where the first group has more. `differ` are rows, the surest first;
    `intervals` are those of the first few of them. `control` is how many differ, on average,
    where the groups are dealt by lot.
    """

    groups: tuple[str, str]
    images: tuple[int, int]
    tokens: Int[Tensor, " k"] = field(repr=False)
    present: Int[Tensor, "k 2"] = field(repr=False)
    delta: Float[Tensor, " k"] = field(repr=False)
    p: Float[Tensor, " k"] = field(repr=False)
    adjusted: Float[Tensor, " k"] = field(repr=False)
    differ: Int[Tensor, " f"]
    intervals: Float[Tensor, "i 2"] = field(repr=False)
    control: float


@dataclass(frozen=True)
class DifferingTokens:
    """Tokens that two groups hold unequally often, `b n -> k`.

    Parameters
    ----------
    fdr: share of false ones tolerated among those that differ; larger lets more in.
    least: smallest |δ| worth naming; larger names fewer.
    min_count: images of either group that hold a token; larger tests fewer tokens.
    most: tokens that get an interval, at most.
    draws: resamples of the images; more give steadier intervals.
    seed: of resamples and of the groups by lot.
    """

    fdr: float = 0.05
    least: float = 0.147
    min_count: int = 5
    most: int = 20
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.fdr < 1 and 0 <= self.least <= 1) or min(self.min_count, self.draws) < 1:
            raise BadInput(
                "DifferingTokens needs a rate between 0 and 1, a least |δ| from 0 to 1, and counts "
                f"and draws of 1 or more; it got {self}."
            )

    def __call__(self, tokens: Tokens, labels: Sequence[str], groups: tuple[str, str]) -> Differing:
        """Compare the counts of every token between the groups."""
        first = sides(tokens, labels, groups)
        tokens = tokens.cpu().long()
        held = Counted(tokens, self.min_count)
        whole = held.histogram(torch.ones_like(first))
        delta, p, adjusted, differ = self.judged(held, first, whole)
        rows = torch.tensor(
            sorted(differ.nonzero()[:, 0].tolist(), key=lambda row: (p[row], -abs(delta[row]))),
            dtype=torch.int64,
        )
        lot = torch.Generator().manual_seed(self.seed)
        dealt = [first[torch.randperm(len(first), generator=lot)] for _ in range(SHUFFLES)]
        false = sum(int(self.judged(held, one, whole)[3].sum()) for one in dealt)
        return Differing(
            groups, (int(first.sum()), int((~first).sum())), held.ids, held.present(first), delta,
            p, adjusted, rows, self.intervals(tokens, first, held.ids[rows]), false / SHUFFLES,
        )  # fmt: skip

    def judged(
        self, held: "Counted", first: Bool[Tensor, " b"], whole: Int[Tensor, "k v"]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Equations (3), (4) as p values, raw and corrected, and which tokens differ."""
        d, n, pairs = dominance(whole), len(first), int(first.sum()) * int((~first).sum())  # (1)
        won = (held.histogram(first) * d).sum(1)  # (2)
        spread = pairs * (whole * d**2).sum(1).double() / (n * (n - 1))
        delta, z = won.double() / pairs, won / spread.sqrt().clamp(min=1e-9)  # (3), (4)
        p = torch.special.erfc(z.abs() / 2**0.5)
        adjusted = benjamini_hochberg(p)
        return delta, p, adjusted, (adjusted <= self.fdr) & (delta.abs() >= self.least)

    def intervals(
        self, tokens: Tokens, first: Bool[Tensor, " b"], ids: Int[Tensor, " f"]
    ) -> Float[Tensor, "i 2"]:
        """95 % of (3) for the first few tokens, both groups resampled."""
        counts = [(tokens == token).sum(1) for token in ids[: self.most]]
        found = [cliffs_delta_interval(n[first], n[~first], self.seed, self.draws) for n in counts]
        return torch.tensor(found, dtype=torch.float64).view(-1, 2)


class Counted:
    """How many cells of each image hold each token, kept where any do.

    Parameters
    ----------
    tokens: the token grids.
    least: images that hold a token, for it to be kept.
    """

    def __init__(self, tokens: Tokens, least: int):
        ids, column = tokens.unique(return_inverse=True)
        pair = torch.arange(len(tokens))[:, None] * len(ids) + column
        pair, count = pair.unique(return_counts=True)
        token, self.width = pair % len(ids), int(count.max()) + 1
        kept = token.bincount(minlength=len(ids)) >= least
        mine = kept[token]
        self.ids, self.image = ids[kept], (pair // len(ids))[mine]
        self.token, self.count = (kept.cumsum(0) - 1)[token[mine]], count[mine]

    def histogram(self, chosen: Bool[Tensor, " b"]) -> Int[Tensor, "k v"]:
        """How many of the chosen images hold a token so often; v counts from 0."""
        mine, size = chosen[self.image], len(self.ids) * self.width
        cell = self.token[mine] * self.width + self.count[mine]
        made = cell.bincount(minlength=size)[:size].view(-1, self.width)
        made[:, 0] = chosen.sum() - made.sum(1)
        return made

    def present(self, first: Bool[Tensor, " b"]) -> Int[Tensor, "k 2"]:
        """How many images of each group hold a token at all."""
        return torch.stack([self.histogram(side)[:, 1:].sum(1) for side in (first, ~first)], 1)


def sides(tokens: Tokens, labels: Sequence[str], groups: tuple[str, str]) -> Bool[Tensor, " b"]:
    """Which images are of the first group, if all are of one or the other."""
    if len(tokens) != len(labels):
        raise BadInput(
            f"DifferingTokens needs a group for each image; it got {len(tokens)} images and "
            f"{len(labels)} groups."
        )
    counts = [list(labels).count(name) for name in groups]
    if groups[0] == groups[1] or min(counts) < 2 or sum(counts) < len(labels):
        raise BadInput(
            f"DifferingTokens compares {groups[0]!r} with {groups[1]!r}, two images or more of "
            f"each and no others; it got {counts[0]} and {counts[1]} of {len(labels)} images."
        )
    return torch.tensor([label == groups[0] for label in labels])
