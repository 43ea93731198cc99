"""A model whose every latent has a known task: a disc on black, drawn by rule, and read off again.

Latents 0 to 3 set where the disc is, how large and how bright it is; latent 4 shakes it without a
pattern, and latent 5 does nothing. Opened as tests.cli.latent_model:grey, or :colour.
"""

import torch
from torch import nn

SIDE, LATENTS = 32, 6
GREY, COLOUR, MAPS, BLIND = (f"tests.cli.latent_model:{n}" for n in ("grey", "colour", "maps", "blind"))  # fmt: skip # noqa: E501
TASKS = {0: "x", 1: "y", 2: "size", 3: "object_brightness"}
"""What a latent sets, by its name in `core.attribute`."""


class Discs(nn.Module):
    """Discs whose place, size and light are told by one latent each."""

    side = SIDE

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.paint = nn.Parameter(torch.tensor([1.0, 0.45, 0.2])[:channels])

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        axis = (torch.arange(SIDE) + 0.5) / SIDE
        shake = 0.12 * torch.sin(11 * z[:, 4] + 23 * z[:, 3])
        x, y = 0.5 + 0.1 * z[:, 0] + shake, 0.5 + 0.1 * z[:, 1] - shake
        radius, light = 0.15 * (0.25 * z[:, 2]).exp(), (0.7 + 0.1 * z[:, 3]).clamp(0.2, 1)
        far = (axis[None, None] - x[:, None, None]) ** 2 + (axis[None, :, None] - y[:, None, None]) ** 2  # fmt: skip # noqa: E501
        cover = ((radius[:, None, None] - far.sqrt()) * SIDE).clamp(-0.5, 0.5) + 0.5
        return (cover * light[:, None, None])[:, None] * self.paint[:, None, None]

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        level = x[:, 0] / self.paint[0]
        axis = (torch.arange(SIDE) + 0.5) / SIDE
        whole, light = level.sum((1, 2)).clamp(min=1e-6), level.amax((1, 2)).clamp(min=1e-6)
        across = (level.sum(1) * axis).sum(1) / whole
        down = (level.sum(2) * axis).sum(1) / whole
        radius = (whole / light / torch.pi).sqrt() / SIDE
        one, none = torch.ones_like(whole), torch.zeros_like(whole)
        mean = [10 * (across - 0.5), 10 * (down - 0.5), 4 * (radius / 0.15).log(), 10 * (light - 0.7), one, none]  # fmt: skip # noqa: E501
        spread = torch.tensor([-4.0, -4.0, -4.0, -4.0, -2.0, 0.0]).expand(len(x), -1)
        return torch.stack(mean, 1).clamp(-3, 3), spread


class Maps(nn.Module):
    """Latents on a grid of 4 × 4: nothing says where to begin but pictures."""

    side, channels = 32, 3

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = 4 * nn.functional.avg_pool2d(x, 8) - 2
        return mean, torch.full_like(mean, -4.0)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate((z + 2) / 4, scale_factor=8.0).clamp(0, 1)


def grey() -> nn.Module:
    return Discs(1)


def colour() -> nn.Module:
    return Discs(3)


def maps() -> nn.Module:
    return Maps()


def blind() -> nn.Module:
    """An encoder without a decoder."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
