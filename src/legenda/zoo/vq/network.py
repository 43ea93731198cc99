"""The small autoencoder of `zoo:vq`: 32 × 32 pixels as 16 × 16 tokens, and back."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import group_norm, pixel_shuffle, silu


class Block(nn.Module):
    """Two convolutions around a residual stream."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(silu(self.norm2(self.conv1(silu(self.norm1(x))))))


class VQNetwork(nn.Module):
    """An encoder, a codebook and a decoder, all of whose work is done at 16 × 16.

    Pixels are in [-1, 1]. `encode` returns what has not been quantised yet.

    Parameters
    ----------
    width: channels inside.
    depth: residual blocks on either side; more see farther.
    codes: entries of the codebook.
    dim: width of an entry.
    """

    def __init__(self, width: int = 64, depth: int = 3, codes: int = 512, dim: int = 16):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.down = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.to_code = nn.Conv2d(width, dim, 1)
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        self.from_code = nn.Conv2d(dim, width, 3, padding=1)
        self.up = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.head = nn.Conv2d(width, 12, 3, padding=1)

    def encode(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d y x"]:
        """Latents, before the codebook."""
        return self.to_code(self.down(self.stem(x)))

    def decode(self, z: Float[Tensor, "b d y x"]) -> Float[Tensor, "b 3 h w"]:
        """Pixels from codebook entries."""
        x = self.up(self.from_code(z))
        return pixel_shuffle(self.head(silu(group_norm(x, 8))), 2)
