"""Small models that decode: one vector of latents, latents on a grid, tokens; and a planted one."""

from functools import cache

import torch
from torch import nn

from legenda.core.codebook import Codebook
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.corpus.view_box import Preprocess
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.models.burgess import Burgess
from legenda.models.vae import from_module
from legenda.models.vq import vq_of

SIDE = 16


def pictures(count=3, side=SIDE, seed=1):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@cache
def vector():
    """A random VAE of six latents, whose pictures do change with them."""
    torch.manual_seed(0)
    network = Burgess(SIDE, 3, 6)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data *= 2.5
    model = from_module(network, ref="vector")
    return Units(model, Identity(model.width, "latents"))


class Bars(nn.Module):
    """Latent 0 says how many columns are white, latent 1 how bright the rest is; 2 says nothing."""

    side = 16

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def encode(self, x):
        white = (x[:, 0] > 0.99).all(1).float().sum(1)
        return torch.stack([white / 4 - 2, x[:, 0, 0, -1] * 4 - 2, 0 * white], 1)

    def decode(self, z):
        z = z * self.one
        white = torch.arange(16) < ((z[:, :1] + 2) * 4).round()
        rest = ((z[:, 1:2] + 2) / 4).clamp(0, 0.9)
        return torch.where(white, 1.0, rest)[:, None, None].expand(-1, 3, 16, 16)


def bars():
    return Units(from_module(Bars(), ref="bars"), Identity(3, "latents"))


class Grid(nn.Module):
    """Maps of 4 x 4 positions and five channels."""

    side = SIDE

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Conv2d(3, 5, 4, 4), nn.ConvTranspose2d(5, 3, 4, 4)

    def encode(self, x):
        return self.down(x).tanh()

    def decode(self, z):
        return self.up(z.sin()).sigmoid()


@cache
def spatial():
    model = from_module(Grid(), ref="grid")
    return Units(model, Identity(model.width, "channels"))


@cache
def tokens():
    """A VQ of 4 x 4 tokens, of twelve entries."""
    torch.manual_seed(0)
    network = Grid()
    book = Codebook(torch.randn(12, 5, generator=torch.Generator().manual_seed(3)))
    model = vq_of(
        network, book, lambda m, x: m.down(x), lambda m, z: m.up(z.sin()).tanh(),
        Preprocess((SIDE, SIDE)), ref="tokens",
    )  # fmt: skip
    return Units(model, model.codebook)


def sparse(units, width=5, signed=False, most=3):
    """Seven directions in the acts of a model, three of which are on at a position."""
    atoms = torch.randn(7, width, generator=torch.Generator().manual_seed(5))
    rule = Projection(most, signed)
    return Units(units.model, LinearDictionary(atoms, torch.full((width,), 0.1), rule, "sparse"))
