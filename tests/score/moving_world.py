"""Series of measurements in which it is known what moves, and sheets that are drawn to move."""

import torch

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet
from legenda.score.movement import NAMES

COUNT = len(NAMES)
EVEN = torch.ones(COUNT, dtype=torch.float64)
"""A spread of 1 for every attribute."""


def lot_of(seed):
    return torch.Generator().manual_seed(seed)


def series(moves=None, rows=8, steps=8, noise=0.05, seed=0):
    """Measurements `r s a`: each of `moves` grows evenly by so many spreads; all have noise."""
    lot = lot_of(seed)
    values = noise * torch.randn(rows, steps, COUNT, generator=lot, dtype=torch.float64)
    values += torch.randn(rows, 1, COUNT, generator=lot, dtype=torch.float64)
    for name, amount in (moves or {}).items():
        values[..., NAMES.index(name)] += amount * torch.linspace(0, 1, steps, dtype=torch.float64)
    return values


def said(attribute, direction=1):
    return Answer(f"{attribute} moves", attribute, "less", "more", direction)


def as_sheet(values):
    """A sheet that holds measurements in place of colours; `read_off` measures it."""
    r, s, a = values.shape
    return Sheet(values.float().view(r, s, 1, 1, a).expand(r, s, 3, 1, a).contiguous(), torch.arange(float(s)))  # fmt: skip # noqa: E501


def read_off(images):
    """What `as_sheet` wrote."""
    return images[:, :, 0, 0].double()


def square_sheet(change, rows=3, steps=6, seed=0):
    """White squares on black of which one of x, y, size grows (or, -, shrinks)."""
    lot = lot_of(seed)
    frames = torch.zeros(rows, steps, 3, 32, 32)
    for r in range(rows):
        x, y = (torch.rand(2, generator=lot) * 4 + 14).tolist()
        for s in range(steps):
            t = 2 * s / (steps - 1) - 1
            t = -t if change.startswith("-") else t
            name = change.lstrip("-")
            left, top = x + 7 * t * (name == "x"), y + 7 * t * (name == "y")
            half = 4 + 2.5 * t * (name == "size")
            frames[r, s] = soft(left, half)[None, None, :] * soft(top, half)[None, :, None]
    return Sheet(frames, torch.linspace(-1, 1, steps), change)


def soft(middle, half):
    """How much of each of 32 pixels lies within `half` of `middle`."""
    edges = torch.arange(33.0).clamp(middle - half, middle + half)
    return edges.diff()
