"""Tiny non-linear models whose output depends on one known position, and a tiny real one."""

from functools import cache

import torch
from torch import nn

from legenda.core.dictionary import Identity
from legenda.core.model import Rerun, Run
from legenda.core.units import Units
from legenda.models.module import ModuleModel

PLANTED = 6


class Reads(nn.Module):
    """Two outputs, made of one position of a map: rising, and bent."""

    def __init__(self, at=PLANTED, width=6):
        super().__init__()
        self.at = at
        self.first, self.second = nn.Linear(width, 8), nn.Linear(8, 2)

    def forward(self, maps):
        return self.second(self.first(maps.flatten(2)[..., self.at]).tanh())


class Mixes(nn.Module):
    """Two outputs, made of all positions together."""

    def __init__(self, width=6):
        super().__init__()
        self.first, self.second = nn.Linear(16 * width, 8), nn.Linear(8, 2)

    def forward(self, maps):
        return self.second(self.first(maps.flatten(1)).tanh())


def opened(head, seed=0):
    """4x4 patches of a 16x16 image, opened behind the first non-linearity."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.Tanh(), head())
    model = ModuleModel(module.eval(), "1", name="toy", example=torch.randn(1, 3, 16, 16))
    return Units(model, Identity(6))


def planted():
    return opened(Reads)


def mixed():
    return opened(Mixes)


def pictures(count=3, side=16, seed=1):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class Text:
    """Ids with begin (1), end (2) and padding (0); the output reads the word at position 2."""

    name, ref, grid, at = "toy-text", "toy-text", None, 2

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.table = nn.Embedding(12, 6)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def parameters(self):
        return [p for m in (self.table, self.first, self.second) for p in m.parameters()]

    def acts(self, x):
        return self.table(x)

    def run(self, x, edit=None):
        acts = self.table(x) if edit is None else edit(self.table(x))
        return Run(acts, self.second(self.first(acts[:, self.at]).tanh()))

    def prefix(self, x):
        return Rerun(self, x, self.table(x).detach(), (x == 1) | (x == 2), x != 0)


IDS = torch.tensor([[1, 5, 7, 9, 4, 2], [1, 3, 8, 2, 0, 0]])


def sentence_units():
    return Units(Text(), Identity(6))


class Looks(nn.Module):
    """A class token before 4x4 patches; one head, whose class row prefers one patch."""

    name, ref, grid = "toy-looks", "toy-looks", (4, 4)

    def __init__(self, at=PLANTED, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.patch, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        prefers = torch.zeros(17, 17)
        prefers[0, 1 + at] = 4.0
        self.register_buffer("prefers", prefers)

    def acts(self, x):
        patches = self.patch(x).flatten(2).mT.tanh()
        return torch.cat([self.token.expand(len(x), -1, -1), patches], 1)

    def rest(self, acts):
        similar = acts @ acts.mT / 10 + self.prefers
        weights = similar.softmax(-1)[:, None]
        return self.head((weights[:, 0] @ acts)[:, 0].tanh()), weights

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, self.rest(acts)[0])

    def attentions(self, x):
        output, weights = self.rest(self.acts(x).detach().requires_grad_())
        return output, [weights]

    def prefix(self, x):
        special = torch.zeros(len(x), 17, dtype=torch.bool)
        special[:, 0] = True
        return Rerun(self, x, self.acts(x).detach(), special, torch.ones_like(special))


@cache
def tiny_clip():
    """A random CLIP of transformers: 4x4 patches, three blocks per tower, opened after one."""
    from transformers import CLIPConfig, CLIPModel

    from legenda.corpus.view_box import Preprocess
    from legenda.models.hub import dual_of
    from legenda.zoo.scenes.words import tokenizer

    words = tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    size["num_attention_heads"] = 2
    ends = {f"{k}_token_id": getattr(words, f"{k}_token_id") for k in ("bos", "eos", "pad")}
    text = {**size, **ends, "vocab_size": len(words), "max_position_embeddings": 24}
    vision = {**size, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    for parameter in model.parameters():  # a fresh CLIP barely looks at its input
        if parameter.ndim > 1:
            parameter.data *= 3
    preprocess = Preprocess((32, 32))
    return dual_of(model.eval(), words, preprocess, site={"image": 0, "text": 0}, ref="tiny-clip")
