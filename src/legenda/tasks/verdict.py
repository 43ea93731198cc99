"""What others say of an edit: judges of the pictures, before and after, beside a control.

Judges see what a person sees, pictures in whole levels from 0 to 255, and each by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from legenda.errors import BadInput, LegendaError, Refused, ShapeError
from legenda.models.vq import VQ
from legenda.score.judges import Judge
from legenda.types import Images, Mask, Tokens

Bytes = UInt8[Tensor, "h w c"]


@dataclass(frozen=True)
class Change:
    """The probability of one class before and after an edit, and after each random one."""

    label: str
    before: float
    after: float
    control: tuple[float, ...]

    @property
    def higher(self) -> int:
        """How many of the random edits are below this one."""
        return sum(value < self.after for value in self.control)


@dataclass(frozen=True)
class Judged:
    """What one judge says.

    `source` is the class that it sees before the edit, `target` the one that was aimed at, if
    any and if it knows it. `largest` is the class that the edit changed most; after each random
    edit, the class that this one changed most is another, and `shifts` holds by how much.
    """

    judge: str
    source: Change
    target: Change | None
    largest: Change
    shifts: tuple[float, ...]


@dataclass(frozen=True)
class SideEffects:
    """How far an edit reaches: a decoder sees past the cell it paints.

    Shares of pixels that changed at all, and the mean absolute difference in levels of 255,
    within the edited positions and elsewhere; None where there is no elsewhere.
    """

    changed_inside: float
    changed_outside: float | None
    difference_inside: float
    difference_outside: float | None


def judged(
    judges: Mapping[str, Judge],
    pictures: Sequence[Images],
    target: str | None,
    names: Sequence[str] | None,
) -> tuple[Judged, ...]:
    """What all judges say of a picture before, after, and after each random edit."""
    found = []
    for name, judge in judges.items():
        shares = probabilities(name, judge, pictures, names)
        said = names or [f"class {i}" for i in range(shares.shape[1])]
        moved = (shares[1:] - shares[:1]).abs()

        def change(number: int, shares: Tensor = shares, said: Sequence[str] = said) -> Change:
            before, after, *control = shares[:, number].tolist()
            return Change(said[number], before, after, tuple(control))

        found.append(
            Judged(
                name,
                change(int(shares[0].argmax())),
                change(said.index(target)) if target and target in said else None,
                change(int(moved[0].argmax())),
                tuple(moved[1:].amax(1).tolist()),
            )
        )
    return tuple(found)


def probabilities(
    name: str, judge: Judge, pictures: Sequence[Images], names: Sequence[str] | None
) -> Float[Tensor, "r classes"]:
    """What a judge gives to each class, picture by picture."""
    rows = []
    for picture in pictures:
        logits = asked(name, judge, picture)
        shape = tuple(getattr(logits, "shape", ()))
        if not isinstance(logits, Tensor) or len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
            raise ShapeError(
                f"judge {name} must give a row of two logits or more per picture (b c); for one "
                f"picture it gave {shape or type(logits).__name__}. Leave out what comes after."
            )
        if names is not None and shape[1] != len(names):
            raise BadInput(
                f"judge {name} knows {shape[1]} classes; {len(names)} are named. A judge needs a "
                "logit for each name, in their order."
            )
        if not logits.isfinite().all():
            raise Refused(
                f"judge {name} gave NaN or infinity. Check its weights and the range of its pixels."
            )
        rows.append(logits.double().softmax(1).cpu())
    return torch.cat(rows)


def asked(name: str, judge: Judge, picture: Images) -> Any:
    """What a judge returns, or the sentence that it failed."""
    try:
        with torch.no_grad():
            return judge(picture)
    except LegendaError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise Refused(
            f"judge {name} raised {type(error).__name__}: {error}. It is called with pictures "
            f"{tuple(picture.shape)}; call it yourself to see where."
        ) from error


def seen(vq: VQ, images: Images) -> Images:
    """Pictures as they are once they were written as bytes."""
    pre = vq.preprocess
    mean, std = (images.new_tensor(v)[:, None, None] for v in (pre.mean, pre.std))
    return (vq.bytes(images).permute(0, 3, 1, 2).to(images) / 255 - mean) / std


def side_effects(
    before: Bytes, after: Bytes, positions: Sequence[int], grid: tuple[int, int]
) -> SideEffects:
    """How much of two pictures differs, within some positions of the grid and outside."""
    inside = cells(positions, grid, (before.shape[0], before.shape[1]))
    gap = (after.double() - before.double()).abs()
    changed, outside = gap.amax(2) > 0, ~inside

    def mean(values: Tensor, where: Tensor) -> float | None:
        return float(values[where].double().mean()) if where.any() else None

    return SideEffects(
        mean(changed, inside) or 0.0, mean(changed, outside),
        mean(gap, inside) or 0.0, mean(gap, outside),
    )  # fmt: skip


def cells(
    positions: Sequence[int], grid: tuple[int, int], size: tuple[int, int]
) -> Bool[Tensor, "h w"]:
    """The pixels of some positions."""
    mask = torch.zeros(grid[0] * grid[1], dtype=torch.bool)
    mask[list(positions)] = True
    rows, columns = (torch.arange(s) * g // s for s, g in zip(size, grid, strict=True))
    return mask.view(grid)[rows][:, columns]


def fillings(vq: VQ, tokens: Tokens, gone: Mask, seeds: Sequence[int]) -> tuple[list[Tokens], str]:
    """Random fillings of what is gone, each with a seed of its own, and what they are.

    A prior that is told no class knows what fits, and not what is wanted; without one, tokens
    of the picture itself are drawn, as often as they stand there.
    """
    if vq.prior is not None:
        return [vq.prior.fill(tokens, gone, None, seed=s) for s in seeds], "fillings by the prior"
    found = []
    for seed in seeds:
        lot = torch.Generator().manual_seed(seed)
        drawn = tokens[:, torch.randint(tokens.shape[1], (tokens.shape[1],), generator=lot)]
        found.append(torch.where(gone, drawn, tokens))
    return found, "fillings with tokens of the picture by lot"
