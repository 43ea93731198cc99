"""The small autoencoder of `zoo:vq`: 32 × 32 pixels as 16 × 16 tokens, and back."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import group_norm, pixel_shuffle, silu

from legenda.errors import Missing


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

    CODES = 512
    used: Tensor
    """How often each entry was chosen since the last look, in training."""

    def __init__(self, width: int = 64, depth: int = 3, codes: int = CODES, dim: int = 16):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.down = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.to_code = nn.Conv2d(width, dim, 1)
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        self.register_buffer("used", torch.zeros(codes, dtype=torch.int64), persistent=False)
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


def weighed(network: Any, path: Path) -> Any:
    """A network with the weights of a file, in float32, as it is explained."""
    if not path.exists():
        raise Missing(
            f"zoo:vq has no weights at {path.parent.name}/{path.name}. "
            "Reinstall legenda, or train them with `legenda zoo train vq`."
        )
    network.load_state_dict({name: w.float() for name, w in load_file(path).items()})
    return network.eval().requires_grad_(False)
