"""The convolutional VAE of the disentanglement papers, as disentangling-vae lays it out.

Encoder: convolutions 4 × 4 of stride 2, as many as bring the side to 4, then linear maps 512,
256, 256 and out, where each latent has its mean and its log-variance side by side. Decoder: the
same backwards. The names of the weights are those of the published checkpoints.

References
----------
Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner. Understanding disentangling in
β-VAE. 2018. The architecture.
"""

from math import log2

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.errors import BadInput
from legenda.types import Images

HIDDEN, WIDE, LEAST = 32, 256, 4

Code = Float[Tensor, "b d"]
Told = Float[Tensor, "b y"]


class Burgess(nn.Module):
    """Pictures to Gaussians and back, `b c h w -> (b d, b d)`, `b d -> b c h w`.

    Parameters
    ----------
    side: of the pictures: 32 or 64, or another power of two from 16 on.
    channels: 1 for grey, 3 for colours.
    latents: how many variables; more say more.
    conditions: numbers that encoder and decoder are told besides, for a conditional model.
    """

    def __init__(self, side: int = 64, channels: int = 3, latents: int = 10, conditions: int = 0):
        super().__init__()
        if side < 16 or side & (side - 1):
            raise BadInput(
                f"Burgess takes pictures whose side is a power of two from 16 on; it got {side}. "
                "Use 32 or 64."
            )
        self.side, self.channels, self.latents, self.conditions = side, channels, latents, conditions  # fmt: skip # noqa: E501
        deep = int(log2(side // LEAST))
        self.encoder = _Encoder(deep, channels, latents, conditions)
        self.decoder = _Decoder(deep, channels, latents + conditions)

    def encode(self, x: Images, y: Told | None = None) -> tuple[Code, Code]:
        """Mean and log-variance."""
        return self.encoder(x, y)

    def decode(self, z: Code, y: Told | None = None) -> Images:
        """Colours from 0 to 1."""
        return self.logits(z, y).sigmoid()

    def logits(self, z: Code, y: Told | None = None) -> Images:
        """What the decoder gives before the sigmoid."""
        return self.decoder(z if y is None else torch.cat([z, y], 1))


class _Encoder(nn.Module):
    def __init__(self, deep: int, channels: int, latents: int, conditions: int):
        super().__init__()
        names = [f"conv{i + 1}" for i in range(3)][:deep] + [f"conv_{8 << i}" for i in range(3, deep)]  # fmt: skip # noqa: E501
        self.order = names
        for i, name in enumerate(names):
            self.add_module(name, nn.Conv2d(HIDDEN if i else channels, HIDDEN, 4, 2, 1))
        self.lin1 = nn.Linear(HIDDEN * LEAST * LEAST + conditions, WIDE)
        self.lin2 = nn.Linear(WIDE, WIDE)
        self.mu_logvar_gen = nn.Linear(WIDE, 2 * latents)

    def forward(self, x: Images, y: Told | None = None) -> tuple[Code, Code]:
        for name in self.order:
            x = getattr(self, name)(x).relu()
        flat = x.flatten(1) if y is None else torch.cat([x.flatten(1), y], 1)
        out = self.mu_logvar_gen(self.lin2(self.lin1(flat).relu()).relu())
        mean, log_variance = out.unflatten(1, (-1, 2)).unbind(2)
        return mean, log_variance


class _Decoder(nn.Module):
    def __init__(self, deep: int, channels: int, latents: int):
        super().__init__()
        self.lin1 = nn.Linear(latents, WIDE)
        self.lin2 = nn.Linear(WIDE, WIDE)
        self.lin3 = nn.Linear(WIDE, HIDDEN * LEAST * LEAST)
        last = [f"convT{i + 1}" for i in range(3)][-deep:]
        self.order = [f"convT_{8 << i}" for i in reversed(range(3, deep))] + last
        for i, name in enumerate(self.order):
            out = channels if i == deep - 1 else HIDDEN
            self.add_module(name, nn.ConvTranspose2d(HIDDEN, out, 4, 2, 1))

    def forward(self, z: Code) -> Images:
        flat = self.lin3(self.lin2(self.lin1(z).relu()).relu()).relu()
        x = flat.unflatten(1, (HIDDEN, LEAST, LEAST))
        x = x.contiguous(memory_format=torch.channels_last)  # faster so on a CPU
        for i, name in enumerate(self.order):
            x = getattr(self, name)(x.relu() if i else x)
        return x
