"""Frames of many sheets at once: every code rewritten, every picture decoded in one pass.

A frame is a unit (or a group of them), a row and a step, in this order. Frames are numbered
through, and decoded so many at a time as `batch` and `pixels` allow, whichever sheet they are of;
a sheet leaves as soon as its last frame is there, so that no more than one is held besides.

What a unit is set to is a quantile, at levels p that are evenly spaced:

    v_s = Φ⁻¹(p_s)     of the prior N(0, 1) of a latent                    (1)
    v_s = F⁻¹(p_s)     of its codes at all positions of some pictures      (2)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.codes import CodeEdit, Codes
from legenda.core.dictionary import Identity
from legenda.core.model import Decodes, Model
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.types import Acts, Images, Mask

Numbers = Int[Tensor, " b"]
Make = Callable[[Numbers, Numbers, Numbers], Acts]
"""The acts of some frames, by the numbers of their unit, row and step."""
Rows = Float[Tensor, "r n d"]
Pool = Float[Tensor, "p n d"]
Where = Bool[Tensor, "r n"]
Strip = Float[Tensor, "r s c h w"]
CACHED, HELD = 1 << 16, 1 << 24
"""Pixels at once on a processor, whose caches are small, and on an accelerator."""


def filmed(
    model: Model[Any], size: tuple[int, int, int], make: Make, batch: int = 256, pixels: int = 0
) -> Iterator[Strip]:
    """The frames of so many (units, rows, steps), unit by unit, on the processor.

    At most `batch` pictures are decoded at once, and at most `pixels` pixels; 0 suits the device.
    """
    if batch < 1 or pixels < 0:
        raise BadInput(
            f"frames are decoded one at once or more; it got batch={batch} and pixels={pixels}. "
            "Leave pixels at 0 for what suits the device."
        )
    count, rows, steps = size
    each, total = rows * steps, count * rows * steps
    held, start, most = torch.empty(0), 0, 1  # the first alone, to see how large pictures are
    while start < total:
        part = torch.arange(start, min(start + most, total))
        found = shown(model, make(part // each, part // steps % rows, part % steps))
        held, start = torch.cat([held, found]) if len(held) else found, start + len(part)
        most = fitting(found, pixels or (CACHED if _on_cpu(model) else HELD), batch)
        while len(held) >= each:
            yield held[:each].unflatten(0, (rows, steps)).clone()
            held = held[each:]


def fitting(pictures: Images, pixels: int, batch: int) -> int:
    """How many such pictures are decoded at once: never fewer than one."""
    return max(1, min(batch, pixels // (pictures.shape[2] * pictures.shape[3])))


def _on_cpu(model: Model[Any]) -> bool:
    return str(getattr(model, "device", "cpu")) == "cpu"


@torch.no_grad()
def shown(model: Any, acts: Acts) -> Images:
    """Acts as colours from 0 to 1, three channels."""
    pictures = model.decode(acts)
    colours = model.visible(pictures) if hasattr(model, "visible") else pictures.clamp(0, 1)
    return colours.expand(-1, 3, -1, -1).float().cpu()


def strips(
    units: Units,
    anchors: Rows,
    columns: Int[Tensor, "u m"],
    values: Float[Tensor, "u s m"],
    *,
    add: bool = False,
    where: Where | None = None,
    batch: int = 256,
    pixels: int = 0,
) -> Iterator[Strip]:
    """For each group of units: rows from the anchors, along which all units of it move."""

    def make(group: Numbers, row: Numbers, step: Numbers) -> Acts:
        here, row = None, row.to(anchors.device)
        if where is not None:
            here = where.to(anchors.device)[row]
        return rewritten(units, anchors[row], columns[group], values[group, step], add, here)

    size = len(columns), len(anchors), values.shape[1]
    return filmed(units.model, size, make, batch, pixels)


def rewritten(
    units: Units,
    acts: Acts,
    columns: Int[Tensor, "b m"],
    values: Float[Tensor, "b m"],
    add: bool = False,
    where: Mask | None = None,
) -> Acts:
    """Acts in which row i has its units `columns[i]` set to `values[i]`, or raised by them."""
    columns, values = columns.to(acts.device), values.to(acts)
    if not isinstance(units.dictionary, Identity):
        return units.lift(placed(columns, values, add, where))(acts)
    index = columns[:, None].expand(-1, acts.shape[1], -1)
    old, wanted = acts.gather(2, index), values[:, None].expand(index.shape)
    found = old + wanted if add else wanted
    return acts.scatter(2, index, found if where is None else found.where(where[..., None], old))


def placed(
    columns: Int[Tensor, "b m"], values: Float[Tensor, "b m"], add: bool, where: Mask | None
) -> CodeEdit:
    """An edit that sets, or raises, units of its own in each row; each gets a slot it lacks."""

    def edit(codes: Codes) -> Codes:
        for unit, value in zip(columns.T[..., None, None], values.T[..., None, None], strict=True):
            codes = _one(codes, unit, value)
        return codes

    def _one(codes: Codes, unit: Tensor, value: Tensor) -> Codes:
        here = torch.ones_like(codes.index[..., :1], dtype=torch.bool)
        here = here if where is None else here & where[..., None]
        on = (codes.index == unit) & here
        weight = torch.where(on, codes.weight + value if add else value, codes.weight)
        missing = here & ~on.any(-1, keepdim=True)
        if not missing.any():
            return Codes(codes.index, weight, codes.size)
        index = torch.cat([codes.index, unit.expand(missing.shape)], -1)
        return Codes(index, torch.cat([weight, missing * value], -1), codes.size)

    return edit


def levels(frames: int, span: float) -> Float[Tensor, " s"]:
    """Evenly spaced shares, the middle `span` of all."""
    return torch.linspace((1 - span) / 2, (1 + span) / 2, frames, dtype=torch.float64)


def of_prior(p: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """Equation (1)."""
    return torch.special.ndtri(p)


@torch.no_grad()
def of_codes(
    units: Units, acts: Pool, indices: Sequence[int], p: Float[Tensor, " s"], positive: bool = False
) -> Float[Tensor, "u s"]:
    """Equation (2); of the positive codes alone if so wanted, NaN where there are none."""
    codes, found = units.dictionary.encode(acts), []
    for index in indices:
        own = codes.of(index).flatten().double().cpu().numpy()
        own = own[own > 0] if positive else own
        found.append(np.quantile(own, p.numpy()) if len(own) else np.full(len(p), np.nan))
    return torch.from_numpy(np.stack(found))


@torch.no_grad()
def spreads(units: Units, acts: Acts, indices: Sequence[int]) -> Float[Tensor, " u"]:
    """The standard deviation σ of each unit's codes, at all positions of some pictures."""
    codes = units.dictionary.encode(acts)
    return torch.stack([codes.of(index).double().std(correction=0).cpu() for index in indices])


def decoding(units: Units, who: str) -> None:
    """Refuse a model that makes no pictures."""
    if not isinstance(units.model, Decodes):
        raise Unsupported(
            who, "a model with `decode`", units.model.name,
            "For encoders use Exemplars, or `legenda survey`.",
        )  # fmt: skip


def numbered(units: Units, indices: Sequence[int]) -> list[int]:
    """The numbers of units, if all of them are there."""
    for index in indices:
        if not 0 <= index < len(units):
            raise BadInput(
                f"unit {index} is not in {units.address}, which has {len(units)} units, numbered "
                "from 0. Choose one of them."
            )
    return list(indices)


def begun(anchors: Rows, where: Tensor | None = None, who: str = "Traversal") -> Rows:
    """The acts that rows begin at, if they are some, finite, and fit their mask."""
    if not len(anchors) or not anchors.isfinite().all():
        what = "ones that are not finite" if len(anchors) else "none"
        raise BadInput(f"{who} needs anchors, one for each row; it got {what}. Give some pictures.")
    if where is not None and where.shape != anchors.shape[:2]:
        raise ShapeError(
            f"{who} needs `where` for {tuple(anchors.shape[:2])} rows and positions; it got "
            f"{tuple(where.shape)}. Say of every position whether the unit moves there."
        )
    return anchors.detach()
