"""Shortcut tokens: what a concept model decides by, though it does not make the concept.

A model tells class a from class b by the margin m = f_a - f_b. A token is a shortcut if it went
with a class in the training images and does not in reference images, and if there, among images
of one true class, those that hold it get a margin farther to that class. For image i of class c,
and token t:

    d_i = #{j in c : m_j < m_i} - #{j in c : m_j > m_i}                   (1)
    S_tc = Σ_{i in c with t} d_i                                          (2)
    δ_t = Σ_c S_tc / Σ_c n_tc1 n_tc0                                      (3)
    z_t = Σ_c S_tc / √(Σ_c n_tc1 n_tc0 Σ_{i in c} d_i² / (N_c (N_c - 1))) (4)
    χ²_t = N (n_ta1 n_tb0 - n_tb1 n_ta0)² / (N_a N_b n_t1 n_t0)           (5)

n_tc1 reference images of class c hold t, n_tc0 do not. (2) counts pairs of one class, one with t
and one without: pairs won less pairs lost, since pairs with t on both sides cancel. So (3) is
Cliff's δ given the class, and (4) the rank-sum test in strata, its variance right under ties.
How far t went with a class in training only is said by (6) to (8), in `ties`. A shortcut needs
both, so that its p is the larger of that of (4) and that of (7); both must point to one class, and
most of its presence there must be owed to the tie. In a world without a shortcut, (7) is chance for
every token, whatever the margin does.

Where the training images are not to be had, (5), what t says about the class itself, must do: the
margin may depend on a token of the object, and should, so that tokens which (5) finds are set
aside before the false-discovery rate is controlled; rejections that nobody questions would make
room for false ones. That is allowed, since (5) does not look at the margins. It is the weaker
test: a margin may follow what is no tie at all, such as the light, and is then flagged.

A token that only shows a clear picture raises the margin of a's images and lowers that of b's.
It is no shortcut, and is not taken for one: the push must be the same way in both classes.

By how much the model follows a token is proved by taking it away: see `Counterfactual`.

The official code audits a generator, not the classifier (see `GroupLean`); this is ours.

References
----------
Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1945. (4), one class.
Van Elteren. On the combination of independent two sample tests of Wilcoxon. Bulletin of the
Institute of International Statistics 1960. Rank sums in strata; his weigh small ones up.
Cliff. Dominance statistics: ordinal analyses to answer ordinal questions. Psychological
Bulletin 1993. (3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.audit.presence import Presence, shuffled, standing
from legenda.audit.ties import Ties, Training, loosened
from legenda.core.effect import CHUNK, benjamini_hochberg, dominance, ends, histogram
from legenda.errors import BadInput
from legenda.types import Tokens

SHUFFLES = 20
"""So often the margins are shuffled within each class, for the control."""


@dataclass(frozen=True)
class Shortcuts:
    """What the margin does with each token that was tested.

    `tokens` are their ids, and every other array has one row for each; columns are the two
    classes. `tie` is (6) to (8), None without training images; `p` is that of (4), or the larger
    of that and of (7). `flagged` are rows, the surest first, `intervals` those of their δ.
    `control` is how many are flagged, on average, where margins are shuffled within each class.
    """

    classes: tuple[str, str]
    images: tuple[int, int]
    tokens: Int[Tensor, " k"] = field(repr=False)
    present: Int[Tensor, "k 2"] = field(repr=False)
    delta: Float[Tensor, " k"] = field(repr=False)
    by_class: Float[Tensor, "k 2"] = field(repr=False)
    p: Float[Tensor, " k"] = field(repr=False)
    adjusted: Float[Tensor, " k"] = field(repr=False)
    class_p: Float[Tensor, " k"] = field(repr=False)
    tie: Ties | None = field(repr=False)
    flagged: Int[Tensor, " f"]
    intervals: Float[Tensor, "f 2"] = field(repr=False)
    control: float

    @property
    def shares(self) -> Float[Tensor, "k 2"]:
        """Share of each class's images that hold the token; their difference is what it says."""
        return self.present.double() / torch.tensor(self.images, dtype=torch.float64)

    @property
    def flagged_tokens(self) -> tuple[int, ...]:
        """The ids of the flagged tokens."""
        return tuple(self.tokens[self.flagged].tolist())

    def toward(self, row: int) -> str:
        """The class that a token pushes the margin to."""
        return self.classes[0] if self.delta[row] > 0 else self.classes[1]


class Judged(NamedTuple):
    """Equations (3), class by class, (4) as p values, raw and corrected, and the verdict."""

    delta: Tensor
    by_class: Tensor
    p: Tensor
    adjusted: Tensor
    flag: Bool[Tensor, " k"]


@dataclass(frozen=True)
class ShortcutTokens:
    """Tokens that a margin follows given the class, `b n -> k`.

    Parameters
    ----------
    fdr: share of false ones tolerated among the flagged; larger flags more.
    least: smallest |δ| worth a flag; larger flags fewer.
    silent: without training images, a token is left out where (5) has a p of at most this; larger
        leaves out more, and of tokens that say nothing this very share.
    owed: least share of a token's presence in its class that must be owed to the tie; larger flags
        only what is nothing but the shortcut.
    min_count: images with and without the token that a class needs; larger tests fewer tokens.
    same_way: whether both classes must be pushed the same way, and so both have enough images.
    draws: resamples of the images; more give steadier intervals.
    seed: of resamples and shuffles.
    """

    fdr: float = 0.05
    least: float = 0.147
    silent: float = 0.05
    owed: float = 0.7
    min_count: int = 5
    same_way: bool = True
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        from_0_to_1 = all(0 <= one <= 1 for one in (self.least, self.silent, self.owed))
        if not 0 < self.fdr < 1 or not from_0_to_1:
            raise BadInput(
                "ShortcutTokens needs a rate between 0 and 1, and a least |δ|, a p and a share "
                f"owed from 0 to 1; it got fdr={self.fdr}, least={self.least}, "
                f"silent={self.silent}, owed={self.owed}."
            )
        if min(self.min_count, self.draws) < 1:
            raise BadInput(
                "ShortcutTokens needs counts and draws of 1 or more; it got "
                f"min_count={self.min_count}, draws={self.draws}."
            )

    def __call__(
        self,
        tokens: Tokens,
        labels: Sequence[str],
        margins: Tensor,
        classes: tuple[str, str],
        training: Training | None = None,
    ) -> Shortcuts:
        """Test every token of reference images.

        `margins` are f_a - f_b, `classes` the names of a and of b, `training` the images that the
        model was trained on, and their classes.
        """
        side = self.sides(tokens, labels, margins, classes)
        tokens, margins = tokens.cpu().long(), margins.detach().to("cpu", torch.float64)
        held, d = Presence(tokens, side, self.min_count, self.same_way), standing(margins, side)
        tie = training and loosened(held.ids, held.present, held.images, training, classes)
        delta, by_class, p, adjusted, flag = self.judged(held, d, tie)
        flagged = torch.tensor(
            sorted(flag.nonzero()[:, 0].tolist(), key=lambda row: (p[row], -abs(delta[row]))),
            dtype=torch.int64,
        )
        lot = torch.Generator().manual_seed(self.seed)
        false = [self.judged(held, shuffled(d, side, lot), tie).flag.sum() for _ in range(SHUFFLES)]
        a, b = held.images.tolist()
        return Shortcuts(
            classes, (a, b), held.ids, held.present, delta, by_class, p, adjusted, held.class_p,
            tie, flagged, self.intervals(held, tokens, margins, side, flagged),
            float(sum(false)) / SHUFFLES,
        )  # fmt: skip

    def judged(self, held: Presence, d: Int[Tensor, " b"], tie: Ties | None) -> Judged:
        """Equations (2) to (4), and who is flagged."""
        won = held.won(d)  # (2)
        sums = torch.zeros(2, dtype=torch.float64).index_add(0, held.side, d.double() ** 2)
        spread = sums / (held.images * (held.images - 1))
        delta = won.sum(1).double() / held.pairs.sum(1)  # (3)
        z = won.sum(1) / (held.pairs * spread).sum(1).sqrt().clamp(min=1e-9)  # (4)
        p = torch.special.erfc(z.abs() / 2**0.5)
        quiet, adjusted = held.class_p > self.silent, torch.full_like(p, torch.nan)
        if tie is not None:
            p, quiet = p.maximum(tie.p), torch.ones_like(quiet)
        adjusted[quiet] = benjamini_hochberg(p[quiet])
        flag = (adjusted <= self.fdr) & (delta.abs() >= self.least)  # NaN is not flagged
        if tie is not None:
            flag &= (tie.gap * delta > 0) & (tie.owed >= self.owed)
        if self.same_way:
            flag &= won[:, 0].sign() * won[:, 1].sign() > 0
        return Judged(delta, won.double() / held.pairs, p, adjusted, flag)

    def intervals(
        self,
        held: Presence,
        tokens: Tokens,
        margins: Float[Tensor, " b"],
        side: Int[Tensor, " b"],
        flagged: Int[Tensor, " f"],
    ) -> Float[Tensor, "f 2"]:
        """95 % of (3) for the flagged tokens, each class's images resampled."""
        if not len(flagged):
            return torch.empty(0, 2, dtype=torch.float64)
        has = torch.stack([(tokens == one).any(1) for one in held.ids[flagged]], 1).double()
        used, lot = held.pairs[flagged] > 0, torch.Generator().manual_seed(self.seed)
        won = torch.zeros(self.draws, len(flagged), dtype=torch.float64)
        pairs = torch.zeros_like(won)
        for c in (0, 1):
            place, own = margins[side == c].unique(return_inverse=True)[1], has[side == c]
            for start in range(0, self.draws, CHUNK):
                rows = slice(start, min(start + CHUNK, self.draws))
                pick = torch.randint(len(own), (rows.stop - start, len(own)), generator=lot)
                times = histogram(pick, len(own))
                d = dominance(histogram(place[pick], int(place.max()) + 1))[:, place]
                some = times.double() @ own
                won[rows] += used[:, c] * ((times * d).double() @ own)
                pairs[rows] += used[:, c] * some * (len(own) - some)
        deltas = won / pairs.clamp(min=1)
        return torch.tensor([ends(column, 0.95) for column in deltas.T], dtype=torch.float64)

    def sides(
        self, tokens: Tokens, labels: Sequence[str], margins: Tensor, classes: tuple[str, str]
    ) -> Int[Tensor, " b"]:
        """0 for images of a, 1 for those of b, if all is there."""
        if not len(tokens) == len(labels) == len(margins):
            raise BadInput(
                f"ShortcutTokens needs a class and a margin for each image; it got {len(tokens)} "
                f"images, {len(labels)} classes and {len(margins)} margins."
            )
        if classes[0] == classes[1]:
            raise BadInput(f"ShortcutTokens compares two classes; it got {classes[0]!r} twice.")
        if others := sorted(set(labels) - set(classes)):
            raise BadInput(
                f"ShortcutTokens compares {classes[0]!r} with {classes[1]!r}; it also got images "
                f"of {', '.join(map(repr, others))}. Leave them out."
            )
        finite("ShortcutTokens", margins, len(tokens))
        for name in classes:
            if (count := list(labels).count(name)) < 2 * self.min_count:
                raise BadInput(
                    f"ShortcutTokens needs {2 * self.min_count} images or more of each class, "
                    f"{self.min_count} with a token and {self.min_count} without; it got {count} "
                    f"of {name!r}. Give more, or lower min_count."
                )
        return torch.tensor([classes.index(name) for name in labels])


def finite(who: str, margins: Tensor, images: int) -> Float[Tensor, " b"]:
    """One margin for each image, in float64."""
    if margins.shape != (images,) or not margins.isfinite().all():
        raise BadInput(
            f"{who} needs one finite margin for each of {images} images; it got the "
            f"shape {tuple(margins.shape)}, {int((~margins.isfinite()).sum())} of them NaN or "
            "infinite. Check the concept model."
        )
    return margins.detach().to("cpu", torch.float64)
