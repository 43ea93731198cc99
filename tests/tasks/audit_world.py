"""A world of mosaics for audits: 8 × 8 cells, each of one colour, and a VQ model of the colours.

Houses have cells of a roof and towers cells of a flag, not always. Each image has cells of one of
five colours as well: in the tied world nearly all houses are red and nearly all towers blue.
"""

import csv
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from PIL import Image
from torch import nn

from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.models.vq import VQ, vq_of

GROUPS = ("house", "tower")
RED, BLUE = (255, 0, 0), (0, 0, 255)
SIGNS = {"house": (0, 255, 0), "tower": (255, 255, 0)}
DULL = np.array(list(product((64, 128, 192), repeat=3)), np.uint8)
COLOURS = (RED, BLUE, (255, 0, 255), (0, 255, 255), (255, 255, 255))
PALETTE = np.concatenate([np.array([*COLOURS, *SIGNS.values()], np.uint8), DULL])
"""34 colours; a token is the number of one."""
TIED = {"house": RED, "tower": BLUE}
SIDE = 8


@dataclass(frozen=True)
class Bag:
    """An extractor to which a picture is a bag of cells."""

    width: int = 24

    def build(self, width, grid, classes):
        layers = [nn.Conv2d(width, self.width, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(self.width, classes))


def token(colour) -> int:
    """The token of a colour."""
    return int((PALETTE == np.array(colour)).all(1).nonzero()[0][0])


class Mosaic(nn.Module):
    """The mean colour of each cell as a share of every colour, turned at random; and back."""

    def __init__(self):
        super().__init__()
        lot = torch.Generator().manual_seed(0)
        size = len(PALETTE)
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(size, size, generator=lot)).Q)
        self.colours = nn.Parameter(torch.from_numpy(PALETTE.astype(np.float32)) / 127.5 - 1)

    def encode(self, x):
        means = nn.functional.avg_pool2d(x, 4).permute(0, 2, 3, 1)
        gaps = (means[..., None, :] - self.colours).square().sum(-1)
        return ((-40 * gaps).softmax(-1) @ self.turn).permute(0, 3, 1, 2)

    def decode(self, z):
        shares = (20 * z.permute(0, 2, 3, 1) @ self.turn.T).softmax(-1)
        cells = (shares @ self.colours).permute(0, 3, 1, 2)
        return cells.repeat_interleave(4, 2).repeat_interleave(4, 3)


@cache
def model() -> VQ:
    net = Mosaic().requires_grad_(False)
    return vq_of(
        net, Codebook(net.turn), lambda m, x: m.encode(x), lambda m, z: m.decode(z),
        Preprocess((32, 32), interpolation="box"), ref="tests.tasks.audit_world:model",
        name="mosaic",
    )  # fmt: skip


def without_decoder() -> VQ:
    vq = model()
    return vq_of(
        vq.root, vq.codebook, vq.encode, None, vq.preprocess,
        ref="tests.tasks.audit_world:without_decoder", name="blind",
    )  # fmt: skip


def planted(red: float = 0.0) -> ConceptModel:
    """A concept model that is known: cells of red count for a house, as those of its sign do."""
    weights = torch.zeros(2, len(PALETTE))
    weights[0, token(RED)] = red
    for number, colour in enumerate(SIGNS.values()):
        weights[number, token(colour)] = 1.0
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(len(PALETTE), 2))
    book = model().codebook
    with torch.no_grad():
        net[2].weight.copy_(64 * weights @ book.atoms)
        net[2].bias.zero_()
    return ConceptModel(net, book, GROUPS, (SIDE, SIDE), name="known", ref="tests/known")


def follows_red() -> ConceptModel:
    return planted(2.0)


def follows_signs() -> ConceptModel:
    return planted(0.0)


def mosaic(lot: np.random.Generator, group: str | None, colour) -> Image.Image:
    """Dull cells; three of the sign of a group, three times in four; three of a colour."""
    cells = DULL[lot.integers(len(DULL), size=SIDE * SIDE)]
    places = lot.permutation(SIDE * SIDE)
    if group and lot.random() < 0.75:
        cells[places[:3]] = SIGNS[group]
    cells[places[3:6]] = colour
    return Image.fromarray(np.kron(cells.reshape(SIDE, SIDE, 3), np.ones((4, 4, 1), np.uint8)))


def painted(folder, tied=0.95, training=40, reference=40, neutral=0, red=0.5, seed=0):
    """A folder of pictures of both groups, and the rows that say what each is.

    `tied` is the share of training images in the colour of their group; with 0.2, as in reference
    images, all colours are equally frequent. Of neutral images a share of `red` is red, the others
    blue.
    """
    folder.mkdir(parents=True)
    lot, rows = np.random.default_rng(seed), []
    for part, count, share in (("training", training, tied), ("reference", reference, 0.2)):
        for group, number in product(GROUPS, range(count)):
            others = [colour for colour in COLOURS if colour != TIED[group]]
            colour = TIED[group] if number < share * count else others[number % 4]
            name = f"{part}-{group}-{number}.png"
            mosaic(lot, group, colour).save(folder / name)
            rows.append((name, group, part))
    for number in range(neutral):
        name = f"neutral-{number}.png"
        mosaic(lot, None, RED if number < red * neutral else BLUE).save(folder / name)
        rows.append((name, "", "neutral"))
    return rows


def written(path, rows, header=("image", "label", "part")):
    """A file of labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path
