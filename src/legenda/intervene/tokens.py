"""Taking tokens out of a grid.

What is put in the place of the tokens that are gone (b n):

    the mean      (1/K) Σ_k c_k, or each entry as often as it is used             (1)
    a resample    t ~ p(t | the tokens that stay), from a prior over tokens       (2)
    a neutral     argmin_{k neutral} ‖c_k - c_t‖                                  (3)
    a substitute  the token that is given

(1) gives acts, the others tokens; a `Painter` makes pictures of either. A decoder sees past the
cell it draws, so its neighbours change a little too, as they would in another picture.

Every one leaves what stays as it is, and an image does not depend on its batch-mates: a resample
draws each image by itself, from the seed and the tokens of that image alone. `at(rows)` is the
same intervention for a batch made of those rows.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. What is asked; it puts black squares on pictures (`squares.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codebook import Codebook
from legenda.core.target import digest
from legenda.errors import BadInput, ShapeError
from legenda.types import Acts, Images, Mask, Tokens

Space = Literal["tokens", "pixels"]


@runtime_checkable
class Intervention(Protocol):
    """Takes away what is gone: from tokens, or from the pixels that were decoded from them."""

    @property
    def space(self) -> Space: ...
    def at(self, rows: Int[Tensor, " r"]) -> "Intervention": ...
    def __call__(self, x: Tensor, gone: Mask) -> Tensor: ...


@runtime_checkable
class Fills(Protocol):
    """A prior over tokens that draws those that are gone anew."""

    def fill(
        self,
        tokens: Tokens,
        gone: Mask,
        *,
        classes: str | list[str] | None,
        rounds: int,
        seed: int,
    ) -> Tokens: ...


@dataclass(frozen=True)
class Painter:
    """Pictures of tokens (b n) or of acts (b n d), `-> b c h w`.

    Parameters
    ----------
    book: what the tokens stand for.
    decode: acts to pictures.
    """

    book: Codebook
    decode: Callable[[Acts], Images] = field(repr=False)

    def __call__(self, z: Tokens | Acts) -> Images:
        return self.decode(self.book.embed(z) if z.ndim == 2 else z)


@dataclass(frozen=True)
class MeanAct:
    """Equation (1), `b n -> b n d`.

    Parameters
    ----------
    book: the codebook.
    use: how often each entry is used; None counts every entry once, dead ones too.
    """

    book: Codebook
    use: Int[Tensor, " k"] | Float[Tensor, " k"] | None = field(
        default=None, repr=False, compare=False
    )
    space: Space = field(default="tokens", init=False, repr=False)

    def __post_init__(self) -> None:
        use = self.use
        if use is None:
            return
        if len(use) != len(self.book) or not (use >= 0).all() or not 0 < use.sum() < torch.inf:
            raise BadInput(
                f"MeanAct needs one count of use per entry of {self.book.name} "
                f"({len(self.book)}), 0 or more and not all 0; it got {len(use)} counts with the "
                f"sum {float(use.sum()):g}. Count the tokens of a corpus."
            )

    def at(self, rows: Int[Tensor, " r"]) -> "MeanAct":
        return self

    @cached_property
    def mean(self) -> Float[Tensor, " d"]:
        """What stands in for a token."""
        atoms = self.book.atoms.double()
        if self.use is None:
            return atoms.mean(0).to(self.book.atoms)
        share = self.use.to(atoms) / self.use.sum().to(atoms)
        return (share @ atoms).to(self.book.atoms)

    def __call__(self, x: Tokens, gone: Mask) -> Acts:
        checked("MeanAct", x, gone)
        return torch.where(gone[..., None], self.mean, self.book.embed(x))  # (1)


@dataclass(frozen=True)
class PriorResample:
    """Equation (2), `b n -> b n`.

    Parameters
    ----------
    prior: has `fill(tokens, gone, classes=…, rounds=…, seed=…)`.
    classes: the class of each image, one for all, or any. The class that is being taken out
        would be painted in again: None asks what the rest of the picture says.
    rounds: passes of the prior per image; more make the tokens fit each other better.
    seed: of what is drawn; an image is drawn alike whichever method chose its mask.
    """

    prior: Fills = field(repr=False)
    classes: str | tuple[str, ...] | None = None
    rounds: int = 8
    seed: int = 0
    space: Space = field(default="tokens", init=False, repr=False)

    def at(self, rows: Int[Tensor, " r"]) -> "PriorResample":
        if not isinstance(self.classes, tuple):
            return self
        return replace(self, classes=tuple(self.classes[row] for row in rows.tolist()))

    def __call__(self, x: Tokens, gone: Mask) -> Tokens:
        checked("PriorResample", x, gone)
        if isinstance(self.classes, tuple) and len(self.classes) != len(x):
            raise BadInput(
                f"PriorResample needs a class for each of {len(x)} images; it got "
                f"{len(self.classes)}. Give one per image, one for all, or None for any."
            )
        found = x.clone()
        for row in gone.any(1).nonzero()[:, 0].tolist():
            found[row] = self._drawn(row, x[row : row + 1], gone[row : row + 1])
        return torch.where(gone, found, x)

    def _drawn(self, row: int, one: Tokens, gone: Mask) -> Int[Tensor, " n"]:
        """Equation (2) for one image, so that its lots are its own."""
        kind = [self.classes[row]] if isinstance(self.classes, tuple) else self.classes
        seed = (int(digest(one), 16) + self.seed) % 2**63
        return self.prior.fill(one, gone, classes=kind, rounds=self.rounds, seed=seed)[0]


@dataclass(frozen=True)
class NearestNeutral:
    """Equation (3), `b n -> b n`. A token that is neutral itself stays: it says nothing.

    Parameters
    ----------
    book: the codebook.
    neutral: entries that say nothing of any concept; fewer lie farther away.
    """

    book: Codebook
    neutral: tuple[int, ...]
    space: Space = field(default="tokens", init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.neutral or not 0 <= min(self.neutral) <= max(self.neutral) < len(self.book):
            raise BadInput(
                f"NearestNeutral needs one neutral entry or more of {self.book.name}, numbered 0 "
                f"to {len(self.book) - 1}; it got {sorted(self.neutral)[:5]}. "
                "Take entries that are frequent in every class."
            )

    def at(self, rows: Int[Tensor, " r"]) -> "NearestNeutral":
        return self

    @cached_property
    def table(self) -> Int[Tensor, " k"]:
        """Equation (3) for every entry, the lowest number in a tie."""
        atoms = self.book.atoms
        ids = torch.tensor(sorted(set(self.neutral)), device=atoms.device)
        table = ids[Codebook(atoms[ids], self.book.name).nearest(atoms[None])[0][0]]
        table[ids] = ids
        return table

    def __call__(self, x: Tokens, gone: Mask) -> Tokens:
        checked("NearestNeutral", x, gone)
        return torch.where(gone, self.table[x].to(x), x)


@dataclass(frozen=True)
class Substitute:
    """The token that is given, `b n -> b n`: one for all, or one for each position (b n)."""

    token: int | Int[Tensor, "b n"] = field(compare=False)
    space: Space = field(default="tokens", init=False, repr=False)

    def at(self, rows: Int[Tensor, " r"]) -> "Substitute":
        return self if isinstance(self.token, int) else Substitute(self.token[rows])

    def __call__(self, x: Tokens, gone: Mask) -> Tokens:
        checked("Substitute", x, gone)
        if isinstance(self.token, Tensor) and self.token.shape != x.shape:
            raise ShapeError(
                f"Substitute needs one token, or one for each position {tuple(x.shape)}; it got "
                f"{tuple(self.token.shape)}. Give tokens of the same images."
            )
        token = torch.as_tensor(self.token, dtype=x.dtype, device=x.device)
        return torch.where(gone, token, x)


def checked(who: str, tokens: Tensor, gone: Tensor) -> None:
    """Refuse a mask that is not of these tokens."""
    if tokens.shape != gone.shape:
        raise ShapeError(
            f"{who} needs a mask for {tuple(tokens.shape)} tokens; it got {tuple(gone.shape)}. "
            "Say of every position whether it is gone."
        )
