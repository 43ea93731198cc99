"""Information extractors: classifiers from a grid of token embeddings to a concept.

Three families, each sized by its fields, `b d y x -> b c`. `PUBLISHED` holds the sizes of the
paper, for a codebook of width 256 and a grid of 16 × 16.

Differs from the official code: its transformer for text-to-image tokens attends across the
batch instead of across tokens; ours attends across tokens.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. The information extractor models and their sizes.
Hu, Shen, Sun. Squeeze-and-excitation networks. CVPR 2018. The gate of `ResNet`.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from legenda.errors import BadInput

Grid = tuple[int, int]


@runtime_checkable
class Extractor(Protocol):
    """The sizes of a network, and how to build it."""

    def build(self, width: int, grid: Grid, classes: int) -> nn.Module: ...


@dataclass(frozen=True)
class CNN:
    """Stages of 3 × 3 convolutions, each halved by a maximum, and a head of two hidden layers.

    Parameters
    ----------
    stages: channels and number of convolutions of each stage; all but those after the last
        halving end in one.
    hidden: widths of the head.
    dropout: share of the first hidden layer that is dropped in training.
    tail: convolutions after the last halving.
    """

    stages: tuple[tuple[int, int], ...] = ((64, 2), (96, 2))
    hidden: tuple[int, ...] = (192,)
    dropout: float = 0.3
    tail: int = 0

    def build(self, width: int, grid: Grid, classes: int) -> nn.Module:
        """The untrained network."""
        layers: list[nn.Module] = []
        for channels, count in self.stages:
            for _ in range(count):
                layers += _convolution(width, channels)
                width = channels
            layers.append(nn.MaxPool2d(2))
        for _ in range(self.tail):
            layers += _convolution(width, width)
        h, w = (side >> len(self.stages) for side in grid)
        if min(h, w) < 1:
            raise BadInput(
                f"a CNN of {len(self.stages)} halvings needs a grid of {1 << len(self.stages)} or "
                f"more; it got {grid[0]} × {grid[1]}. Take fewer stages."
            )
        layers.append(nn.Flatten())
        inner = width * h * w
        for number, size in enumerate(self.hidden):
            layers += [nn.Linear(inner, size), nn.BatchNorm1d(size), nn.ReLU()]
            layers += [nn.Dropout(self.dropout)] if number == 0 else []
            inner = size
        return nn.Sequential(*layers, nn.Linear(inner, classes))


@dataclass(frozen=True)
class ResNet:
    """Residual stages with squeeze-excite, each halving at its first block; one hidden layer.

    Parameters
    ----------
    stages: channels and number of blocks of each stage.
    squeeze: how much narrower the gate is than what it gates.
    hidden: width of the head.
    dropout: share of the head that is dropped in training.
    """

    stages: tuple[tuple[int, int], ...] = ((64, 2), (96, 2))
    squeeze: int = 8
    hidden: int = 192
    dropout: float = 0.2

    def build(self, width: int, grid: Grid, classes: int) -> nn.Module:
        """The untrained network."""
        layers: list[nn.Module] = []
        for channels, count in self.stages:
            for number in range(count):
                stride = 2 if number == 0 else 1
                layers.append(Residual(width, channels, stride, self.squeeze))
                width = channels
        head = [nn.Linear(width, self.hidden), nn.ReLU(), nn.Dropout(self.dropout)]
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, *pool, *head, nn.Linear(self.hidden, classes))


@dataclass(frozen=True)
class Transformer:
    """Tokens embedded, a class token, learned positions, pre-norm blocks.

    Parameters
    ----------
    width: of the residual stream.
    depth, heads: number of blocks, and of heads in each.
    mlp: width inside a block.
    hidden: width of the head.
    dropout: share that is dropped in training.
    branch_norm: whether each branch also ends in a batch norm (as published).
    """

    width: int = 128
    depth: int = 3
    heads: int = 4
    mlp: int = 256
    hidden: int = 128
    dropout: float = 0.1
    branch_norm: bool = False

    def build(self, width: int, grid: Grid, classes: int) -> nn.Module:
        """The untrained network."""
        return TokenTransformer(self, width, grid, classes)


PUBLISHED: dict[str, Extractor] = {
    "cnn": CNN(((512, 4), (512, 4)), (4096, 4096), 0.5),
    "cnn-deep": CNN(((512, 4), (512, 4)), (4096, 2048), 0.5, tail=2),
    "resnet": ResNet(((512, 3), (512, 3)), 16, 2048, 0.4),
    "transformer": Transformer(512, 12, 8, 2048, 1024, 0.2, branch_norm=True),
    "transformer-6": Transformer(512, 6, 8, 2048, 1024, 0.2, branch_norm=True),
}
SMALL: dict[str, Extractor] = {"cnn": CNN(), "resnet": ResNet(), "transformer": Transformer()}
"""What suits a small codebook and a laptop."""


class Residual(nn.Module):
    """Two convolutions, a gate per channel, and a way around them."""

    def __init__(self, width: int, channels: int, stride: int, squeeze: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )  # fmt: skip
        inner = max(1, channels // squeeze)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.ReLU(),
            nn.Conv2d(inner, channels, 1), nn.Sigmoid(),
        )  # fmt: skip
        self.around: nn.Module = nn.Identity()
        if stride != 1 or width != channels:
            around = nn.Conv2d(width, channels, 1, stride, bias=False)
            self.around = nn.Sequential(around, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        return torch.relu(out * self.gate(out) + self.around(x))


class TokenTransformer(nn.Module):
    """The network of `Transformer`."""

    def __init__(self, size: Transformer, width: int, grid: Grid, classes: int):
        super().__init__()
        inner, count = size.width, grid[0] * grid[1]
        self.scale = inner**0.5
        self.embed = nn.Sequential(nn.Linear(width, inner), nn.LayerNorm(inner), nn.GELU())
        self.start = nn.Parameter(torch.zeros(1, 1, inner))
        self.place = nn.Parameter(0.02 * torch.randn(1, count + 1, inner))
        self.blocks = nn.Sequential(*(TokenBlock(size) for _ in range(size.depth)))
        self.head = nn.Sequential(
            nn.LayerNorm(inner), nn.Linear(inner, size.hidden), nn.GELU(),
            nn.Dropout(size.dropout), nn.Linear(size.hidden, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.flatten(2).mT) * self.scale
        tokens = torch.cat([self.start.expand(len(x), -1, -1), tokens], 1) + self.place
        return self.head(self.blocks(tokens)[:, 0])


class TokenBlock(nn.Module):
    """Attention across tokens, then a perceptron, each around a norm."""

    def __init__(self, size: Transformer):
        super().__init__()
        inner = size.width
        self.norm1, self.norm2 = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.attention = nn.MultiheadAttention(inner, size.heads, size.dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(inner, size.mlp), nn.GELU(), nn.Dropout(size.dropout),
            nn.Linear(size.mlp, inner), nn.Dropout(size.dropout),
        )  # fmt: skip
        self.ends = nn.ModuleList(
            nn.BatchNorm1d(inner) if size.branch_norm else nn.Identity() for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = self.norm1(x)
        x = x + self._ended(0, self.attention(seen, seen, seen, need_weights=False)[0])
        return x + self._ended(1, self.mlp(self.norm2(x)))

    def _ended(self, branch: int, x: Tensor) -> Tensor:
        return self.ends[branch](x.mT).mT


def _convolution(width: int, channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(width, channels, 3, padding=1)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU()]
