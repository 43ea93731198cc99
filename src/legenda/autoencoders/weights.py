"""Weights to begin with, drawn by a seed and nothing else; and how a rival learns.

A linear or convolutional layer in which each output reads n inputs begins with

    U(-1/√n, 1/√n),   weights and offsets alike                           (1)

as such layers of torch do, but from a generator of its own. Other layers stay as they are.
"""

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor, nn

from legenda.corpus.windows import lot
from legenda.train.loop import Schedule

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@torch.no_grad()
def initialise(network: nn.Module, seed: int, *purpose: int) -> None:
    """Draw equation (1) for every layer, in their order."""
    drawn = lot(seed, *purpose)
    for layer in network.modules():
        if not isinstance(layer, LAYERS):
            continue
        bound = layer.weight[0].numel() ** -0.5
        for part in (layer.weight, layer.bias):
            if isinstance(part, Tensor):
                part.copy_(bound * (2 * torch.rand(part.shape, generator=drawn) - 1))  # (1)


def perceptron(sizes: Sequence[int], slope: float = 0.0) -> nn.Sequential:
    """Linear layers of these sizes with leaky rectifiers between, their weights yet to be drawn."""
    made: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layer = nn.utils.skip_init(nn.Linear, before, after)  # it would draw from the global lot
        made += [layer, nn.LeakyReLU(slope)]
    return nn.Sequential(*made[:-1])


def against(steps: int, rate: float) -> Schedule:
    """What a rival follows: Adam at one rate, with a short memory, as what it is after moves."""
    return Schedule(
        steps, rate, warmup=0, decay=0.0, weight_decay=0.0, clip=inf, betas=(0.5, 0.9), fused=True
    )
