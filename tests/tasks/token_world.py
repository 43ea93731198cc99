"""Pictures whose tokens mean something, or nothing, and a dual encoder that knows which.

A picture is four patches of a colour each, with speckles strewn over them. The encoder turns a
colour of a patch into the direction of its word, and does not see speckles, so that a speckle's
crops have nothing in common but chance.
"""

from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, normalize

from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.describe.vocabulary import Vocabulary
from legenda.models.dual import Dual
from legenda.models.module import ModuleModel
from legenda.models.vq import VQ, vq_of
from legenda.models.words import Words
from tests.tasks.palette import Palette, Seeks

MEANT, SPECKLES, NEVER, WIDTH = 12, 11, 23, 32
GRID, CELL, SIDE = (8, 8), 2, 3
COLOURS = [(r, g, b) for r in (0, 120, 250) for g in (0, 120, 250) for b in (0, 120, 250)][:24]
"""Of the words w0 to w11, then of speckles, then one that is nowhere."""
WORDS = (*(f"w{i}" for i in range(MEANT)), *(f"x{i}" for i in range(48)))
VOCABULARY = Vocabulary(WORDS, source="toy words")
CONCEPTS = ("day", "night")


def rows(count, seed):
    """Directions drawn by lot."""
    lot = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, WIDTH, generator=lot), dim=1)


@cache
def model() -> VQ:
    return vq_of(
        Palette(), Codebook(torch.tensor(COLOURS) / 127.5 - 1), lambda m, x: avg_pool2d(x, CELL),
        lambda m, z: interpolate(z, scale_factor=CELL), Preprocess((16, 16)),
        ref="tests.tasks.token_world:model", name="patches",
    )  # fmt: skip


@cache
def extractor() -> ConceptModel:
    """A day has more of the first colour, a night of the second."""
    book = model().codebook
    net = Seeks(book.atoms[[0, 1]].clone())
    return ConceptModel(net, book, CONCEPTS, GRID, name="light", ref="patches/light")


class Sees(nn.Module):
    """Colours in, the mean of their words out; all pictures lie in one cone."""

    def __init__(self, seed):
        super().__init__()
        self.colours = nn.Parameter(torch.tensor(COLOURS) / 127.5 - 1)
        meant = torch.cat([rows(MEANT, seed), torch.zeros(len(COLOURS) - MEANT, WIDTH)])
        self.meant = nn.Linear(len(COLOURS), WIDTH)
        self.meant.weight = nn.Parameter(meant.T.contiguous())
        self.meant.bias = nn.Parameter(rows(1, 77)[0])
        self.flat = nn.Flatten(2)

    def forward(self, x):
        gaps = (self.flat(x).mT[:, :, None] - self.colours).square().sum(3)
        return self.meant((-20 * gaps).softmax(2)).mean(1)


class Reads(nn.Module):
    """The sum of a sentence's known words."""

    def __init__(self, seed):
        super().__init__()
        known = torch.cat([rows(MEANT, seed), rows(len(WORDS) - MEANT, seed + 50)])
        start = torch.cat([torch.zeros(1, WIDTH), 0.1 * rows(1, seed + 90)])  # padding, unknown
        self.table = nn.Embedding.from_pretrained(torch.cat([start, known]))

    def forward(self, ids):
        return self.table(ids).sum(1) + 0.5 * rows(1, 78).to(self.table.weight)


class Splits:
    """A tokenizer: words that it knows have a number each, all others one."""

    pad_token_id, eos_token_id, unk_token_id, is_fast = 0, None, None, False

    def __call__(self, texts, **options):
        ids = [[WORDS.index(w) + 2 if w in WORDS else 1 for w in t.split()] for t in texts]
        most = max(map(len, ids))
        return {"input_ids": torch.tensor([one + [0] * (most - len(one)) for one in ids])}


@cache
def dual(seed: int = 0) -> Dual:
    image = ModuleModel(Sees(seed).eval(), "meant", name="sees", ref=f"toy/image-{seed}@meant")
    text = ModuleModel(Reads(seed).eval(), "table", name="reads", ref=f"toy/text-{seed}@table")
    view = Preprocess((6, 6), "squash", False, interpolation="nearest")
    name = "tests.tasks.token_world:dual"
    return Dual(image, text, view, Words(Splits(), 32), "toy-dual", name)


def plain_module() -> nn.Module:
    """It reads no sentences."""
    return nn.Sequential(nn.Conv2d(3, 3, 1))


def grids(count=60, seed=0):
    """Token grids, and what each shows."""
    lot = np.random.default_rng(seed)
    quarters = lot.integers(0, MEANT, (count, 2, 2)).repeat(4, 1).repeat(4, 2).reshape(count, 64)
    strewn = lot.integers(MEANT, MEANT + SPECKLES, (count, 64))
    some = lot.random((count, 64)) < 0.15
    tokens = np.where(some, strewn, quarters)
    return tokens, [CONCEPTS[row % 2] for row in range(count)]


def painted(grid) -> Image.Image:
    """A picture of tokens."""
    cells = np.array(COLOURS, np.uint8)[np.asarray(grid).reshape(GRID)]
    return Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1))


def world(folder, count=60, seed=0):
    """A folder of pictures, the file of their labels and one of words beside it; their tokens."""
    tokens, labels = grids(count, seed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lines = ["image,label"]
    for row, (grid, label) in enumerate(zip(tokens, labels, strict=True)):
        painted(grid).save(folder / "pictures" / f"{row}.png")
        lines.append(f"{row}.png,{label}")
    (folder / "labels.csv").write_text("\n".join(lines), "utf-8")
    (folder / "words.txt").write_text("\n".join(WORDS), "utf-8")
    return tokens
