"""A small codebook, and concept models that read its tokens."""

from functools import cache

import torch
from torch import nn

from legenda.concepts.extractors import SMALL
from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.core.units import Units

GRID, CONCEPTS = (4, 4), ("cat", "dog", "horse", "ship", "frog", "truck")


def codebook(k=12, d=6):
    return Codebook(torch.randn(k, d, generator=torch.Generator().manual_seed(3)))


def tokens(count=3, k=12, seed=5):
    return torch.randint(k, (count, 16), generator=torch.Generator().manual_seed(seed))


@cache
def concept_model(kind="cnn", dtype=torch.float32):
    """A random extractor; batch norms hold statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    net = SMALL[kind].build(6, GRID, len(CONCEPTS))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    for parameter in net.parameters():
        parameter.data += 0.15 * torch.randn_like(parameter)  # else it hardly reacts to anything
    book = Codebook(codebook().atoms.to(dtype))
    return ConceptModel(net.to(dtype), book, CONCEPTS, GRID, name=kind, ref=f"toy-{kind}")


def concept_units(kind="cnn", dtype=torch.float32):
    model = concept_model(kind, dtype)
    return Units(model, model.codebook)


class Planted(nn.Module):
    """Its first logit is how many positions hold the planted entry, softly counted."""

    def __init__(self, entry):
        super().__init__()
        self.entry = nn.Parameter(entry)

    def forward(self, e):
        near = (-0.5 * (e - self.entry[:, None, None]).square().sum(1)).exp().sum((1, 2))
        return torch.stack([near, -near], 1)


def planted(token=4):
    """A concept model that looks for one token and at nothing else."""
    book = codebook()
    net = Planted(book.atoms[token])
    model = ConceptModel(net, book, ("planted", "none"), GRID, name="planted", ref="planted")
    return Units(model, book)
