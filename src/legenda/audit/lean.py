"""Group lean: whose tokens do images use that were made for neither group?

A concept model learns two groups apart, and each gets a list of the tokens that speak for it.
Images of a neutral prompt are then read: in each one, how many cells hold tokens of a's list
and how many of b's?

    a_i = #{n : t_in in A, not B},    b_i = #{n : t_in in B, not A}       (1)
    δ = (#{a_i > b_j} - #{a_i < b_j}) / N²                                (2)

δ is positive where the images lean to a. Both counts come from the same images, so images are
resampled for the interval, and the tests are paired: Wilcoxon's signed ranks and the signs.

Those tests ask whether the counts differ. They may for a dull reason: the tokens of one list
are common in every image. So δ is set beside that of two lists drawn at random from the tokens
that occur, of the same lengths, many times over; `beyond` is how many of them lean as far.

Differs from the official code: its effect size is (U - N²/2) / N², half of δ; it takes two
counts of the same images for independent samples, and compares them by two loops; a token may
be in both lists, and counts for both; it gives no interval, no test and no control.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. The detection of bias in neutral prompts.
Cliff. Dominance statistics: ordinal analyses to answer ordinal questions. Psychological
Bulletin 1993. (2).
Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1945.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.effect import cliffs_delta, cliffs_delta_interval, ends, magnitude, sign_test
from legenda.core.interval import Interval
from legenda.errors import BadInput
from legenda.types import Tokens

LEAST = 5
"""With five images the exact sign test cannot fall below 1/16; with fewer it says nothing."""


@dataclass(frozen=True)
class Lean:
    """How far images lean to group a (δ above 0) or to group b (below).

    `counts` are equation (1), image by image; `lists` are the tokens that were counted,
    `shared` those of both groups, which were not; `control` is δ of each random pair of lists.
    """

    groups: tuple[str, str]
    delta: float
    interval: Interval
    wilcoxon: float
    sign: float
    n: int
    control: Float[Tensor, " draws"] = field(repr=False)
    control_interval: Interval
    counts: Int[Tensor, "b 2"] = field(repr=False)
    lists: tuple[tuple[int, ...], tuple[int, ...]] = field(repr=False)
    shared: tuple[int, ...] = ()

    @property
    def magnitude(self) -> str:
        """A word for the size of δ."""
        return magnitude(self.delta)

    @property
    def control_mean(self) -> float:
        """Mean δ of random pairs of lists, near 0."""
        return float(self.control.mean())

    @property
    def control_spread(self) -> float:
        """Standard deviation of δ over random pairs of lists."""
        return float(self.control.std(correction=0))

    @property
    def beyond(self) -> float:
        """Share of random pairs of lists that lean at least as far, this one counted in."""
        far = int((self.control.abs() >= abs(self.delta)).sum())
        return (1 + far) / (1 + len(self.control))


@dataclass(frozen=True)
class GroupLean:
    """Counts of two token lists in neutral images, compared, `b n -> one δ`.

    Parameters
    ----------
    groups: what a and b are called.
    draws: resamples of the images; more give a steadier interval.
    controls: random pairs of lists; more give a finer `beyond`.
    level: of the interval; larger is wider.
    seed: of resamples and random lists.
    """

    groups: tuple[str, str] = ("a", "b")
    draws: int = 2000
    controls: int = 200
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.draws, self.controls) < 1 or not 0 < self.level < 1:
            raise BadInput(
                "GroupLean needs at least one draw and one control, and a level between 0 and 1; "
                f"it got draws={self.draws}, controls={self.controls}, level={self.level}."
            )

    def __call__(self, tokens: Tokens, of_a: Sequence[int], of_b: Sequence[int]) -> Lean:
        lists, shared = self.apart(len(tokens), set(of_a), set(of_b))
        occurring, cells = tokens.cpu().long().unique(return_inverse=True)
        members = [torch.isin(occurring, torch.tensor(own)) for own in lists]
        counts = torch.stack([counted(cells, own) for own in members], 1)
        if not counts.any():
            raise BadInput(
                f"none of the {sum(map(len, lists))} tokens of {self.groups[0]!r} and "
                f"{self.groups[1]!r} occurs in these {len(tokens)} images. "
                "Check that images and lists come from one tokenizer."
            )
        a, b = counts.unbind(1)
        control = self.random_lists(cells, len(occurring), (len(lists[0]), len(lists[1])))
        return Lean(
            self.groups, cliffs_delta(a, b),
            cliffs_delta_interval(a, b, self.seed, self.draws, self.level, paired=True),
            signed_ranks(a, b), sign_test(a, b), len(tokens),
            control, ends(control, self.level), counts, lists, shared,
        )  # fmt: skip

    def apart(
        self, images: int, a: set[int], b: set[int]
    ) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[int, ...]]:
        """Both lists without what they share, and what they share."""
        named = f"{self.groups[0]!r} and {self.groups[1]!r}"
        if images < LEAST:
            raise BadInput(f"GroupLean needs {LEAST} images or more; it got {images}.")
        if not a or not b:
            raise BadInput(
                f"GroupLean compares two lists of tokens, of {named}; it got {len(a)} and "
                f"{len(b)} tokens. Give some of each."
            )
        if a <= b or b <= a:
            raise BadInput(
                f"the lists of {named} share {len(a & b)} tokens, which leaves {len(a - b)} and "
                f"{len(b - a)}. Take longer lists, or tokens that tell the groups apart."
            )
        return (tuple(sorted(a - b)), tuple(sorted(b - a))), tuple(sorted(a & b))

    def random_lists(
        self, cells: Int[Tensor, "b n"], kinds: int, sizes: tuple[int, int]
    ) -> Float[Tensor, " draws"]:
        """δ of disjoint lists of the same lengths, drawn from the tokens that occur."""
        if kinds < sum(sizes):
            raise BadInput(
                f"GroupLean draws its control from the tokens that occur; two lists of {sizes[0]} "
                f"and {sizes[1]} need {sum(sizes)}, and {kinds} occur in these images. "
                "Give shorter lists or more images."
            )
        lot, found = torch.Generator().manual_seed(self.seed), []
        for _ in range(self.controls):
            order = torch.randperm(kinds, generator=lot)
            a, b = order < sizes[0], order >= kinds - sizes[1]
            found.append(cliffs_delta(counted(cells, a), counted(cells, b)))
        return torch.tensor(found, dtype=torch.float64)


def counted(cells: Int[Tensor, "b n"], member: Bool[Tensor, " k"]) -> Int[Tensor, " b"]:
    """Equation (1): how many cells of each image hold a token of the list."""
    return member[cells].sum(1)


def signed_ranks(a: Int[Tensor, " b"], b: Int[Tensor, " b"]) -> float:
    """Wilcoxon's paired two-sided p; 1 where no image differs."""
    from scipy.stats import wilcoxon

    return float(wilcoxon((a - b).numpy()).pvalue) if bool((a != b).any()) else 1.0  # pyright: ignore # noqa: E501
