"""Judges: classifiers of pixels that know nothing of tokens, for pictures of `zoo:vq`.

An explanation by a concept model is tested by what it does to somebody else: a small
convolutional network, trained by us on pixels, and MobileNetV2 as ImageNet left it, under a
linear head that we trained. Neither sees a token, a codebook or a concept model. Both take
pixels from -1 to 1 and give a logit for each name in `CONCEPTS`.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from legenda.errors import Missing
from legenda.types import Images
from legenda.zoo.photos.fetch import home
from legenda.zoo.photos.mobilenet import WIDTH, MobileNetV2
from legenda.zoo.photos.towers import MEAN, STD
from legenda.zoo.vq.data import CONCEPTS
from legenda.zoo.vq.network import weighed

Judge = Callable[[Images], Float[Tensor, "b c"]]
FOLDER = Path(__file__).parent / "weights"
LARGE = 96
"""The side to which MobileNetV2 gets its pictures enlarged."""


class SmallCNN(nn.Sequential):
    """Six 3 × 3 convolutions in three widths, their mean, and a linear head."""

    def __init__(self, width: int = 48, classes: int = len(CONCEPTS)):
        layers: list[nn.Module] = []
        channels = 3
        for step, stride in ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 1)):
            layers += [
                nn.Conv2d(channels, step * width, 3, stride, 1, bias=False),
                nn.BatchNorm2d(step * width),
                nn.ReLU(),
            ]
            channels = step * width
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
        super().__init__(*layers, *pool, nn.Linear(channels, classes))


class Enlarged(nn.Module):
    """MobileNetV2 without its head, on enlarged pictures: their mean features."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: MobileNetV2):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, x: Images) -> Float[Tensor, "b d"]:
        """Pixels from -1 to 1 as 1,280 features."""
        large = interpolate((x.clamp(-1, 1) + 1) / 2, (LARGE, LARGE), mode="bilinear")
        return self.network.features((large - self.mean) / self.std).mean((2, 3))


def enlarged(cache: Path | None = None) -> Enlarged:
    """MobileNetV2 from the cache."""
    path = home(cache) / "mobilenet_v2.pth"
    if not path.exists():
        raise Missing(
            "the judge mobilenet needs MobileNetV2, which is not in the cache. "
            "Fetch it with `legenda zoo fetch photos`."
        )
    network = MobileNetV2()
    network.load_state_dict(torch.load(path, weights_only=True))
    return Enlarged(network).eval().requires_grad_(False)


def small_cnn(folder: Path = FOLDER) -> nn.Module:
    """The judge that ships."""
    return weighed(SmallCNN(), folder / "judge.safetensors")


def mobilenet(cache: Path | None = None, folder: Path = FOLDER) -> nn.Module:
    """The judge whose body is fetched and whose head ships."""
    head = weighed(nn.Linear(WIDTH, len(CONCEPTS)), folder / "head.safetensors")
    return nn.Sequential(enlarged(cache), head).eval().requires_grad_(False)


def judges(cache: Path | None = None, folder: Path = FOLDER) -> dict[str, nn.Module]:
    """Every judge that can be opened here: one always, two where MobileNetV2 is fetched."""
    found = {"small cnn": small_cnn(folder)}
    if (home(cache) / "mobilenet_v2.pth").exists():
        found["mobilenet"] = mobilenet(cache, folder)
    return found
