"""A tiny autoencoder and tiny pictures, for every objective."""

import torch
from torch import nn

from legenda.autoencoders.objective import Moment

SIDE, LATENTS = 6, 3


class Tiny(nn.Module):
    """Linear maps and a bend; told numbers lie beside what goes in."""

    def __init__(self, latents=LATENTS, told=0, channels=1):
        super().__init__()
        self.shape, self.latents, self.conditions = (channels, SIDE, SIDE), latents, told
        pixels = channels * SIDE * SIDE
        self.into = nn.Linear(pixels + told, 16)
        self.out = nn.Linear(16, 2 * latents)
        self.back = nn.Linear(latents + told, 16)
        self.draw = nn.Linear(16, pixels)

    def encode(self, x, y=None):
        flat = x.flatten(1) if y is None else torch.cat([x.flatten(1), y], 1)
        return self.out(self.into(flat).tanh()).chunk(2, 1)

    def logits(self, z, y=None):
        z = z if y is None else torch.cat([z, y], 1)
        return self.draw(self.back(z).tanh()).unflatten(1, self.shape)

    def decode(self, z, y=None):
        return self.logits(z, y).sigmoid()


class Split(Tiny):
    """The same with a subspace for what is told, which alone hears it, and what is expected."""

    def __init__(self, latents=LATENTS, told=2, subspace=1):
        super().__init__(latents - subspace)
        self.latents, self.subspace, self.conditions = latents, subspace, told
        self.ear = nn.Linear(SIDE * SIDE + told, 16)
        self.own = nn.Linear(16, 2 * subspace)
        self.back = nn.Linear(latents, 16)
        self.guess = nn.Linear(told, 2 * subspace)

    def encode(self, x, y):
        z = super().encode(x)
        w = self.own(self.ear(torch.cat([x.flatten(1), y], 1)).tanh()).chunk(2, 1)
        return torch.cat([z[0], w[0]], 1), torch.cat([z[1], w[1]], 1)

    def prior(self, y):
        return self.guess(y).chunk(2, 1)


def tiny(seed=0, **more):
    """One whose weights are drawn by the seed, in float64."""
    return weighted(Tiny(**more), seed)


def weighted(network, seed=0):
    """The same network in float64, its weights drawn by the seed."""
    network, lot = network.double(), torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=lot, dtype=torch.float64)
    return network


def pictures(count=8, seed=0, channels=1):
    lot = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, SIDE, SIDE, generator=lot, dtype=torch.float64)


def told(count=8, width=2, seed=0):
    """Numbers of each picture, 0 or 1, each of which comes up."""
    lot = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (count, width), generator=lot).double()
    y[0], y[1] = 0, 1
    return y


MOMENT = Moment(step=3, steps=10, seed=1, pictures=40)


class Bars:
    """A source of pictures without end: a bar, its place and its brightness; told: whether left."""

    key = "bars"

    def __init__(self, count=None, told=False):
        self.count, self.told = count, told

    def batch(self, step, size, seed):
        lot = torch.Generator().manual_seed(10_007 * seed + step)
        place, light = torch.randint(SIDE, (size,), generator=lot), torch.rand(size, generator=lot)
        x = torch.zeros(size, 1, SIDE, SIDE)
        x[torch.arange(size), 0, :, place] = 0.3 + 0.7 * light[:, None]
        left = (place < SIDE // 2).float()
        return (x, torch.stack([left, 1 - left], 1)) if self.told else x
