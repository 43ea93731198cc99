"""MobileNetV2 in plain torch, with an output stride of 32 or, by dilation, of 16.

A stack of inverted residuals: widen by a 1x1 convolution, filter each channel by a 3x3
convolution, and project back by a linear 1x1 convolution, with a skip where shapes allow. State
dict keys are torchvision's, so its published checkpoints load strictly.

Where the output stride is 16, the last stride of 2 becomes 1 and every later 3x3 convolution has
dilation 2. Row and column 2i of the finer grid then equal row and column i of the ordinary one:
the same weights, read at four times as many places.

References
----------
Sandler, Howard, Zhu, Zhmoginov, Chen. MobileNetV2: Inverted Residuals and Linear Bottlenecks.
CVPR 2018. Table 2 is `STAGES`.
Chen, Papandreou, Kokkinos, Murphy, Yuille. DeepLab. TPAMI 2018. Dilation in place of stride.
"""

from torch import Tensor, nn

from legenda.errors import Unsupported

WIDTH = 1280
STAGES = (  # widening, channels, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, and a ReLU clipped at 6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, groups=1
    ):
        padding = dilation * (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(),
        )


class InvertedResidual(nn.Module):
    """Widen, filter each channel, project; add the input where shape is kept."""

    def __init__(self, inputs: int, outputs: int, widening: int, stride: int, dilation: int, skip):
        super().__init__()
        hidden = inputs * widening
        widen = [Convolution(inputs, hidden, 1)] if widening > 1 else []
        self.skip = skip
        self.conv = nn.Sequential(
            *widen,
            Convolution(hidden, hidden, 3, stride, dilation, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Filter a map of features."""
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileNetV2(nn.Module):
    """Photographs to 1,000 ImageNet logits; `features` holds the nineteen addressable blocks.

    Parameters
    ----------
    output_stride
        32, or 16 for a grid twice as fine (224 px give 14x14) at about twice the cost.

    Examples
    --------
    >>> import torch
    >>> MobileNetV2(output_stride=16).eval().features(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 1280, 4, 4])
    """

    def __init__(self, output_stride: int = 32, classes: int = 1000):
        super().__init__()
        if output_stride not in (16, 32):
            raise Unsupported(
                "MobileNetV2", "an output stride of 16 or 32", output_stride, "Choose one of them."
            )
        self.features = nn.Sequential(*_blocks(output_stride))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Class logits, from the mean over the grid."""
        return self.classifier(self.features(x).mean((2, 3)))


def _blocks(output_stride: int) -> list[nn.Module]:
    """The stem, the seventeen inverted residuals, and the last widening."""
    blocks: list[nn.Module] = [Convolution(3, 32, 3, stride=2)]
    width, reached, dilation = 32, 2, 1
    for widening, channels, count, first in STAGES:
        for index in range(count):
            wanted = first if index == 0 else 1
            stride = wanted if reached * wanted <= output_stride else 1
            skip = wanted == 1 and width == channels
            blocks.append(InvertedResidual(width, channels, widening, stride, dilation, skip))
            dilation *= wanted // stride  # the block that lost its stride still reads densely
            reached *= stride
            width = channels
    return [*blocks, Convolution(width, WIDTH, 1)]
