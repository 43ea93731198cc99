"""Ties: which tokens went with a class in training that do not go with it elsewhere.

With s_tc the share of class c's images that hold token t, in training (s') and in reference
images (s), a and b the classes:

    gap_t = (s'_ta - s'_tb) - (s_ta - s_tb)                               (6)
    z_t = gap_t / √(Σ s (1 - s) / (n + 2)),  over the four shares         (7)
    owed_t = 1 - s_tc / s'_tc,   c the class that gap_t points to         (8)

(8) is how much of a token's presence in its class was owed to the tie: a token that reference
images hold as often owes nothing. Every share is taken with one image more that holds the token
and one that does not, so that a share of nothing has a spread. A token of the object itself has
the same shares in both: its gap is chance. Equations go on from those of `shortcut`.

References
----------
Agresti, Caffo. Simple and effective confidence intervals for proportions and differences of
proportions result from adding two successes and two failures. The American Statistician 2000.
One image more of each kind.
Levin. The occurrence of lung cancer in man. Acta Unio Internationalis Contra Cancrum 1953. (8),
the attributable share.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.errors import BadInput

Training = tuple[Int[Tensor, "r n"], Sequence[str]]


class Ties(NamedTuple):
    """Equation (6), the two-sided p of (7), and (8)."""

    gap: Float[Tensor, " k"]
    p: Float[Tensor, " k"]
    owed: Float[Tensor, " k"]


def loosened(
    ids: Int[Tensor, " k"],
    present: Int[Tensor, "k 2"],
    images: Int[Tensor, " 2"],
    training: Training,
    classes: tuple[str, str],
) -> Ties:
    """Equations (6) to (8) for each token."""
    held, count = holders(ids, training, classes)
    before, spread_before = shares(held, count)
    here, spread_here = shares(present, images)
    gap = (before[:, 0] - before[:, 1]) - (here[:, 0] - here[:, 1])  # (6)
    z = gap / (spread_before + spread_here).sum(1).sqrt()  # (7)
    side = (gap < 0).long()[:, None]
    owed = 1 - (here.gather(1, side) / before.gather(1, side))[:, 0]  # (8)
    return Ties(gap, torch.special.erfc(z.abs() / 2**0.5), owed)


def shares(
    present: Int[Tensor, "k 2"], images: Int[Tensor, " 2"]
) -> tuple[Float[Tensor, "k 2"], Float[Tensor, "k 2"]]:
    """The shares s, and the variance of each."""
    s = (present.double() + 1) / (images.double() + 2)
    return s, s * (1 - s) / (images.double() + 2)


def holders(
    ids: Int[Tensor, " k"], training: Training, classes: tuple[str, str]
) -> tuple[Int[Tensor, "k 2"], Int[Tensor, " 2"]]:
    """How many training images of each class hold each token, and how many there are."""
    tokens, labels = training
    if len(tokens) != len(labels):
        raise BadInput(
            f"ShortcutTokens needs a class for each training image; it got {len(tokens)} images "
            f"and {len(labels)} classes."
        )
    found, count = [], []
    for name in classes:
        rows = torch.tensor([label == name for label in labels], dtype=torch.bool)
        if not rows.any():
            raise BadInput(
                f"ShortcutTokens compares {classes[0]!r} with {classes[1]!r}; no training image "
                f"is of {name!r}. Give the images that the concept model was trained on."
            )
        own = tokens[rows].cpu().long().sort(1).values
        first = torch.ones_like(own, dtype=torch.bool)
        first[:, 1:] = own[:, 1:] != own[:, :-1]
        size = int(max(own.max(), ids.max() if len(ids) else 0)) + 1
        found.append(own[first].bincount(minlength=size)[ids])
        count.append(len(own))
    return torch.stack(found, 1), torch.tensor(count)
