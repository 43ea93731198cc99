"""A diffusion model whose directions are known: eight of them in noise paint a disc.

The network says which picture is in the noise: the disc of `latent_world`, whose latents are what
x_t holds along eight ways by lot. Its middle block feels each way with a strength of its own, so
that the pullback metric finds the ways, strongest first. Opened as tests.tasks.walk_world:planted.
"""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import torch
from torch import nn

from legenda.explain.pullback import orthonormal
from legenda.models.diffusion import Diffusion
from legenda.models.noising import Noising
from legenda.zoo.ddpm.shipped import open_ddpm
from tests.tasks.latent_world import (
    ACROSS,
    BOTH,
    DOWN,
    GROUND,
    HUE,
    NOTHING,
    SIDE,
    SIZE,
    STILL,
    Discs,
)

PLANTED, SHIPPED = (f"tests.tasks.walk_world:{name}" for name in ("planted", "shipped"))
ORDER = (DOWN, ACROSS, SIZE, BOTH, HUE, GROUND, STILL, NOTHING)
"""What each direction does, strongest first."""


class Painter(nn.Module):
    """x_t to the picture in it, `b 3 32 32 -> b 3 32 32` from -1 to 1."""

    config = SimpleNamespace(sample_size=SIDE, in_channels=3)

    def __init__(self):
        super().__init__()
        self.ways = nn.Parameter(orthonormal(1, 3 * SIDE**2, 8, seed=77)[0].T.contiguous())
        self.register_buffer("strength", 3 * 0.8 ** torch.tensor(ORDER).argsort())
        self.mid_block, self.discs = nn.Identity(), Discs()

    def forward(self, x, time):
        felt = self.mid_block(x.flatten(1) @ self.ways.T * self.strength)
        return self.discs.decode(felt / self.strength) * 2 - 1


def planted():
    noising = Noising(torch.linspace(0.9, 0.01, 10), "sample")
    root = Painter().requires_grad_(False)
    return Diffusion(root, noising, steps=1, name="planted", ref=PLANTED)


def shipped():
    """`zoo:ddpm`, sampled in so few steps that a test has time for it."""
    return replace(open_ddpm(), steps=4)


@cache
def painter():
    return planted()
