"""Rows made of known parts, and what the tests of classical dictionaries measure."""

import torch


def lot_of(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(count=300, width=10, seed=0):
    """Rows that vary in all directions, in some more than in others."""
    lot = lot_of(seed)
    spread = torch.linspace(3, 0.3, width)
    turn = torch.linalg.qr(torch.randn(width, width, generator=lot)).Q
    return (torch.randn(count, width, generator=lot) * spread) @ turn + 1.0


def sums(count=400, width=30, units=5, seed=0, noise=0.0):
    """Rows that add up non-negative parts, each of six columns of its own, and the parts."""
    lot = lot_of(seed)
    parts = torch.zeros(units, width)
    for i in range(units):
        parts[i, 6 * i : 6 * i + 6] = 0.5 + torch.rand(6, generator=lot)
    on = torch.rand(count, units, generator=lot) < 0.4
    weights = on * torch.rand(count, units, generator=lot)
    return weights @ parts + noise * torch.rand(count, width, generator=lot), parts


def groups(count=600, width=120, families=2, children=3, seed=0):
    """Rows that add up signed groups of ten neurons, whose groups are on in families."""
    lot = lot_of(seed)
    units = families * children
    held = torch.zeros(units, width)
    for i in range(units):
        sign = torch.randn(10, generator=lot).sign()
        held[i, 20 * i : 20 * i + 10] = sign * (1 + torch.rand(10, generator=lot))
    on = torch.rand(count, families, generator=lot) < 0.5
    shared = (on * torch.rand(count, families, generator=lot)).repeat_interleave(children, 1)
    also = torch.rand(count, units, generator=lot) < 0.1
    alone = also * torch.rand(count, units, generator=lot)
    weights = shared * (0.5 + torch.rand(count, units, generator=lot)) + alone
    return weights @ held + 0.02 * torch.randn(count, width, generator=lot), held


def unexplained(dictionary, rows):
    """Fraction of the variance about the mean that a dictionary leaves."""
    written = dictionary.decode(dictionary.encode(rows[None]))[0]
    return float((rows - written).square().sum() / (rows - rows.mean(0)).square().sum())


def jaccard(first, second):
    """How much of the neurons that either group holds both hold."""
    a, b = first != 0, second != 0
    return float((a & b).sum() / (a | b).sum())
