"""Interventions: small functions from codes to codes, to be lifted onto a model.

    units.model.run(x, edit=units.lift(ablate(3, 7)))

Each takes `where`, the positions it applies to (b n); by default everywhere.
"""

from dataclasses import replace

import torch
from torch import Tensor

from legenda.core.codes import CodeEdit, Codes
from legenda.types import Mask


def ablate(*units: int, where: Mask | None = None) -> CodeEdit:
    """Turn units off."""

    def edit(codes: Codes) -> Codes:
        off = torch.isin(codes.index, torch.tensor(units, device=codes.index.device))
        return replace(codes, weight=codes.weight.masked_fill(off & _here(codes, where), 0.0))

    return edit


def steer(unit: int, by: float, where: Mask | None = None) -> CodeEdit:
    """Add `by` to one unit; where it has no slot it is given one."""

    def edit(codes: Codes) -> Codes:
        here, on = _here(codes, where), codes.index == unit
        codes = replace(codes, weight=codes.weight + by * (on & here))
        missing = here & ~on.any(-1, keepdim=True)
        if not missing.any():
            return codes
        return replace(
            codes,
            index=torch.cat([codes.index, torch.full_like(codes.index[..., :1], unit)], -1),
            weight=torch.cat([codes.weight, missing.to(codes.weight.dtype) * by], -1),
        )

    return edit


def put(unit: int, value: float, where: Mask | None = None) -> CodeEdit:
    """Set one unit to `value`."""
    return lambda codes: steer(unit, value, where)(ablate(unit, where=where)(codes))


def swap(old: int, new: int, where: Mask | None = None) -> CodeEdit:
    """Wherever `old` is on, turn `new` on instead, as strongly (added to what `new` had)."""

    def edit(codes: Codes) -> Codes:
        moved = (codes.index == old) & _here(codes, where)
        weight = (codes.weight * moved).sum(-1, keepdim=True)
        target = codes.index == new
        has = target.any(-1, keepdim=True)
        index = torch.where(moved & ~has, new, codes.index)
        kept = codes.weight.masked_fill(moved & has, 0.0) + weight * (target & has)
        return replace(codes, index=index, weight=kept)

    return edit


def _here(codes: Codes, where: Mask | None) -> Tensor:
    """`where` as (b n 1), on the device of the codes."""
    everywhere = torch.ones_like(codes.index[..., :1], dtype=torch.bool)
    return everywhere if where is None else everywhere & where.to(everywhere.device)[..., None]
