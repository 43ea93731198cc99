"""Answers and labels whose truth is known."""

import torch

from legenda.core.answer import Answer, Fact

SILENT = Answer(abstained="nothing moves visibly")


def says(attribute, direction=0, start="", end="", text="", facts=()):
    return Answer(text, attribute, start, end, direction, tuple(facts))


def fact(attribute, trend, effect):
    return Fact(attribute, 0.0, 1.0, float(trend), float(effect))


def lot(seed=0):
    return torch.Generator().manual_seed(seed)


def ranked_units(n=60, models=6, gap=1.0, seed=0, step=0.1):
    """Labels, certainties in steps so that many are equal, and the model of each unit."""
    clear = torch.rand(n, generator=lot(seed)) < 0.6
    noise = torch.randn(n, generator=lot(seed + 1), dtype=torch.float64)
    sure = ((noise + gap * clear) / step / 4).round() * step
    return clear, sure, [f"m{i % models}" for i in range(n)]
