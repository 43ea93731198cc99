"""Counterfactual: what becomes of the margin when a token gives way to another.

That the margin goes with a token may have another reason: what the token stands beside. The
proof is to take it away and nothing else. In every image that holds token t,

    Δ_i = m(x_i with s in place of every t) - m(x_i)                      (1)
    Δ'_i = m(x_i with s in as many random other cells) - m(x_i)           (2)

The mean of (1), beside that of (2), says what the token itself does. The random cells hold
neither t nor s, so that as many cells change; where an image has too few, all of them do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from legenda.audit.shortcut import Shortcuts, finite
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.errors import BadInput
from legenda.types import Mask, Tokens


@dataclass(frozen=True)
class Counterfactual:
    """Mean change of the margin without each flagged token, `b n -> f`.

    Parameters
    ----------
    draws: resamples of the images; more give steadier intervals.
    seed: of resamples and random cells.
    """

    draws: int = 2000
    seed: int = 0

    def __call__(
        self,
        found: Shortcuts,
        tokens: Tokens,
        margin_of: Callable[[Tokens], Tensor],
        substitute: int | Int[Tensor, " k"],
    ) -> tuple[Score, ...]:
        """Equations (1) and (2) as value and control; "better" is away from the token's class.

        `substitute` is one token for all, or one for each token of the codebook.
        """
        return tuple(
            self.without(found, row, tokens, margin_of, substitute)
            for row in found.flagged.tolist()
        )

    def without(
        self,
        found: Shortcuts,
        row: int,
        tokens: Tokens,
        margin_of: Callable[[Tokens], Tensor],
        substitute: int | Int[Tensor, " k"],
    ) -> Score:
        """One token."""
        old = int(found.tokens[row])
        new = substitute if isinstance(substitute, int) else int(substitute[old])
        if new == old:
            raise BadInput(f"token {old} cannot give way to itself. Choose another substitute.")
        x = tokens[(tokens == old).any(1)]
        if not len(x):
            raise BadInput(
                f"token {old} is in none of these {len(tokens)} images. "
                "Give the images in which it was found."
            )
        before = finite("Counterfactual", margin_of(x), len(x))
        change, chance = (
            finite("Counterfactual", margin_of(x.masked_fill(gone, new)), len(x)) - before
            for gone in (x == old, elsewhere(x, old, new, self.seed))
        )
        return Score(
            f"margin without token {old}", float(change.mean()),
            bootstrap(change, self.seed, self.draws), len(x),
            found.toward(row) == found.classes[1], float(chance.mean()),
            bootstrap(chance, self.seed, self.draws), "of the margin",
        )  # fmt: skip


def elsewhere(x: Tokens, old: int, new: int, seed: int) -> Mask:
    """Random cells that hold neither token, as many in each image as hold the old one."""
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).to(x.device)
    taken = (x == old) | (x == new)
    order = noise.masked_fill(taken, 2.0).argsort(1).argsort(1)
    return (order < (x == old).sum(1, keepdim=True)) & ~taken
