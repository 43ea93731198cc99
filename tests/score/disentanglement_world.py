"""Pictures that are never drawn: levels of factors, and codes that know them well, mixed or not."""

import numpy as np
import torch
from torch import Tensor

SIZES = (3, 5, 8, 12)
"""One factor of classes, three of ordered levels."""


def levels(n: int = 1000, sizes: tuple[int, ...] = SIZES, seed: int = 0) -> np.ndarray:
    """Drawn independently and evenly."""
    lot = np.random.default_rng(seed)
    return np.stack([lot.integers(0, size, n) for size in sizes], 1)


def noise(n: int = 1000, d: int = 6, seed: int = 1) -> Tensor:
    """Codes that know nothing."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def perfect(v: np.ndarray, idle: int = 2, blur: float = 0.0, seed: int = 1) -> Tensor:
    """One code for each factor, blurred, and some idle ones; all of mean 0 and spread 1."""
    z = torch.from_numpy((v - v.mean(0)) / v.std(0))
    z = z + blur * noise(len(v), v.shape[1], seed + 1)
    z = torch.cat([z, noise(len(v), idle, seed)], 1)
    return (z - z.mean(0)) / z.std(0, correction=0)


def turned(z: Tensor, seed: int = 3) -> Tensor:
    """The same codes seen along other axes."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(z.shape[1],) * 2))[0]
    return z @ torch.from_numpy(axes)


def unwrapped(function):
    """Without shape checks, as a user has it."""
    return getattr(function, "__wrapped__", function)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def bootstrapped(estimate, n: int, draws: int = 200, seed: int = 0) -> float:
    """Width of the literal 95 % bootstrap interval: `estimate(rows)` anew for every draw."""
    lot = np.random.default_rng(seed)
    found = [estimate(lot.integers(0, n, n)) for _ in range(draws)]
    return float(np.quantile(found, 0.975) - np.quantile(found, 0.025))
