"""A latent model of which every latent is known: a soft disc on a plain ground.

    0 across    1 size    2 brightness of the ground    3 across and down at once
    4 nothing, and it costs nothing    5 hue    6 nothing, though the encoder pays for it    7 down

The decoder leaves its latents in the first pixels of the picture, too faintly to be seen, and the
encoder reads them there: what is encoded is what was decoded.
"""

from functools import cache

import torch
from torch import nn

from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.models.vae import from_module

ACROSS, SIZE, GROUND, BOTH, NOTHING, HUE, STILL, DOWN = range(8)
SIDE, FAINT = 32, 1e-3
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])
SMALL = {"rows": 6, "fresh": 4, "pool": 128, "frames": 6}
"""Settings of a study that takes a second."""


class Discs(nn.Module):
    """Latents (b 8) to pictures (b 3 32 32), and back."""

    side, width = SIDE, 8

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def encode(self, x):
        z = (x[:, 0, 0, : self.width] - x[:, 0, -1, -1:]) / FAINT
        z = z * (torch.arange(self.width) != NOTHING)
        return z * self.one, torch.where(torch.arange(self.width) == NOTHING, 0.0, -4.0).expand_as(z)  # fmt: skip # noqa: E501

    def decode(self, z):
        z = z * self.one
        bounded = (z / 1.5).tanh()[:, :, None, None]
        axis = torch.arange(SIDE) + 0.5
        x = SIDE / 2 + 3.5 * (bounded[:, ACROSS] + bounded[:, BOTH])
        y = SIDE / 2 + 1.5 * bounded[:, DOWN] + 3.5 * bounded[:, BOTH]
        radius = 4.5 * (0.35 * bounded[:, SIZE]).exp()
        away = ((axis - x) ** 2 + (axis[:, None] - y) ** 2).sqrt()
        cover = ((radius - away) / 0.5).sigmoid()[:, None]
        ground = (0.2 + 0.05 * bounded[:, GROUND])[:, None].expand(-1, 3, SIDE, SIDE)
        pictures = cover * painted(z[:, HUE]) + (1 - cover) * ground
        code = torch.zeros_like(pictures)
        code[:, 0, 0, : self.width] = z * FAINT * (torch.arange(self.width) != NOTHING)
        return pictures + code


def painted(z):
    """Colours that are equally bright, whatever their hue."""
    first = torch.tensor([1.0, 0.0, 0.0]) - LUMA[0] / LUMA.square().sum() * LUMA
    first = first / first.norm()
    then = torch.linalg.cross(LUMA / LUMA.norm(), first)
    turn = (1.2 * (z / 1.5).tanh())[:, None]
    return (0.65 + 0.25 * (turn.cos() * first + turn.sin() * then))[:, :, None, None]


@cache
def discs():
    model = from_module(Discs(), ref="discs")
    return Units(model, Identity(model.width, "latents"))


@cache
def pictures(count=64, seed=5):
    """What the model gives for draws of its prior, as pictures to begin at."""
    z = torch.randn(count, 1, 8, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return discs().model.decode(z).clamp(0, 1)
