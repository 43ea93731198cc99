"""The bench of an edit: one picture, where it is edited, who judges that, and the record of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from legenda.errors import BadInput, ShapeError
from legenda.models.vq import VQ
from legenda.score.judges import Judge
from legenda.tasks.steps import Written
from legenda.tasks.verdict import Judged, SideEffects, judged, seen, side_effects
from legenda.types import Acts, Images, Mask, Tokens

CONTROLS = 16
LARGE_PRIME = 1_000_003


@dataclass(frozen=True)
class Optimised:
    """What a search raised, the logit of a concept; it proves nothing about the picture.

    `shares` are probabilities before and after. `values` are the logits that the restarts ended
    with, of which `chosen` was taken; `trace` holds step and logit of the first one's looks.
    """

    concept: str
    model: str
    before: float
    after: float
    shares: tuple[float, float]
    values: tuple[float, ...]
    chosen: int
    trace: tuple[tuple[int, float], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Edited:
    """One picture before and after an edit, and what others say of it.

    `before` and `after` are decoded, and these two are compared; `bytes` holds them as they are
    shown and written, behind the original as the encoder took it. `after_tokens` is None where
    acts were shifted off the tokens. `controls` are random edits, of the kind `controlled` names.
    """

    edit: str
    before: Images
    after: Images
    bytes: UInt8[Tensor, "3 h w c"]
    tokens: Tokens
    after_tokens: Tokens | None
    positions: tuple[int, ...]
    grid: tuple[int, int]
    controls: tuple[Images, ...]
    controlled: str
    judged: tuple[Judged, ...]
    effects: SideEffects
    optimised: Optimised | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """A model, a picture, where it is edited, and who judges that.

    Parameters
    ----------
    vq, x: the model, and one picture as it takes it.
    positions: where.
    judges: by name, from pictures in the range of the model to logits.
    names: what the classes of all judges are called; None: by number.
    control: random edits beside this one; more show their spread better.
    seed: of the control, and of a search.
    """

    vq: VQ
    x: Images
    positions: tuple[int, ...]
    judges: Mapping[str, Judge] = field(repr=False)
    names: Sequence[str] | None = None
    control: int = CONTROLS
    seed: int = 0

    def __post_init__(self) -> None:
        size, asked = self.vq.grid[0] * self.vq.grid[1], self.positions
        if len(self.x) != 1:
            raise ShapeError(
                f"an edit is of one picture; it got {len(self.x)}. Edit each by itself."
            )
        if not asked or not 0 <= min(asked) <= max(asked) < size:
            ends = f"{min(asked)} to {max(asked)}" if asked else "none"
            raise BadInput(
                f"an edit of {self.vq.name} needs one or more of the positions 0 to {size - 1}; it "
                f"got {ends}. Choose a region on the grid."
            )
        if self.control < 1:
            raise BadInput(f"an edit needs one random edit beside it or more; it got {self.control}.")  # fmt: skip # noqa: E501

    def written(self) -> Written:
        """The picture as the model writes it."""
        tokens = self.vq.tokens(self.x)
        return Written(tokens, self.vq.embed(tokens))

    def here(self, tokens: Tokens) -> Mask:
        """The region as a mask."""
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, list(self.positions)] = True
        return mask

    @property
    def seeds(self) -> list[int]:
        """A seed for each random edit, if anyone judges them; more leave the first as they are."""
        return [self.seed * LARGE_PRIME + i for i in range(self.control if self.judges else 0)]

    @torch.no_grad()
    def edited(
        self, edit: str, was: Written, now: Written, lots: Sequence[Acts], controlled: str,
        target: str | None = None, optimised: Optimised | None = None, **settings: Any,
    ) -> Edited:  # fmt: skip
        """The record: everything decoded, each picture by itself, and judged."""
        decoded = [self.vq.decode(acts) for acts in (was.acts, now.acts, *lots)]
        pictures = [seen(self.vq, picture) for picture in decoded]
        before, after, *controls = decoded
        shown = torch.cat([self.vq.bytes(picture) for picture in (self.x, before, after)]).cpu()
        entries = torch.equal(now.acts, self.vq.embed(now.tokens))
        settings = {
            "model": self.vq.ref, **settings, "judges": ", ".join(self.judges) or "none",
            "control": f"{len(lots)} {controlled}" if lots else "none", "seed": self.seed,
        }  # fmt: skip
        return Edited(
            edit, before, after, shown, was.tokens, now.tokens if entries else None,
            self.positions, self.vq.grid, tuple(controls), controlled,
            judged(self.judges, pictures, target, self.names),
            side_effects(shown[1], shown[2], self.positions, self.vq.grid), optimised, settings,
        )  # fmt: skip
