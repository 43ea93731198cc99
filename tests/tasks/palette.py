"""A VQ model whose tokens are known: the nearest of eight colours, in cells of four pixels.

Its pictures are written token by token, and its concept model looks for one colour per concept.
"""

from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.models.vq import VQ, vq_of

COLOURS = [
    (0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0),
    (0, 255, 0), (0, 0, 255), (255, 255, 0), (254, 0, 0),
]  # fmt: skip
"""Black, white, grey, red, green, blue, yellow, and a red that nothing is nearest to but itself."""
RED, GREEN, BLUE, YELLOW, NEVER = 3, 4, 5, 6, 7
GRID, CELL = (4, 4), 4
CONCEPTS = ("apple", "pear")


class Palette(nn.Module):
    """Nothing is learned; the one parameter says where it is."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1))


@cache
def model() -> VQ:
    atoms = torch.tensor(COLOURS) / 127.5 - 1
    return vq_of(
        Palette(), Codebook(atoms), lambda m, x: avg_pool2d(x, CELL),
        lambda m, z: interpolate(z, scale_factor=CELL), Preprocess((16, 16)),
        ref="tests.tasks.palette:model", name="palette",
    )  # fmt: skip


class Seeks(nn.Module):
    """Each logit is how many cells have the colour that is sought, softly counted."""

    def __init__(self, sought):
        super().__init__()
        self.sought = nn.Parameter(sought)

    def forward(self, e):
        gaps = (e[:, None] - self.sought[None, :, :, None, None]).square().sum(2)
        return (-2 * gaps).exp().sum((2, 3))


@cache
def seeker() -> ConceptModel:
    """Apples are red and pears are green, and it looks at nothing else."""
    book = model().codebook
    net = Seeks(book.atoms[[RED, GREEN]].clone())
    return ConceptModel(net, book, CONCEPTS, GRID, name="seeker", ref="palette/seeker")


def grids(count=12, seed=0):
    """Token grids, and what each shows: two cells are red in an apple, and green in a pear.

    Blue and yellow go together in every third picture; all else is black, white or grey.
    """
    lot = np.random.default_rng(seed)
    tokens, labels = lot.integers(0, 3, (count, 16)), []
    for row, grid in enumerate(tokens):
        cells = lot.permutation(16)[:4]
        grid[cells[:2]] = (RED, GREEN)[row % 2]
        grid[cells[2:]] = (BLUE, YELLOW) if row % 3 == 0 else grid[cells[2:]]
        labels.append(CONCEPTS[row % 2])
    return tokens, labels


def painted(grid) -> Image.Image:
    """A picture of tokens."""
    cells = np.array(COLOURS, np.uint8)[np.asarray(grid).reshape(GRID)]
    return Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1))


def world(folder, count=12, seed=0):
    """A folder of pictures with the file of their labels beside it; and their tokens."""
    tokens, labels = grids(count, seed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lines = ["image,label"]
    for row, (grid, label) in enumerate(zip(tokens, labels, strict=True)):
        painted(grid).save(folder / "pictures" / f"{row}.png")
        lines.append(f"{row}.png,{label}")
    (folder / "labels.csv").write_text("\n".join(lines), "utf-8")
    return tokens, labels


def plain_module() -> nn.Module:
    """No VQ model."""
    return nn.Sequential(nn.Conv2d(3, 3, 1))
