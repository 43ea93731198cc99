"""Concept models that know nothing: of random weights, and of shuffled labels."""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from benchmarks.table import quick
from legenda.concepts.extractors import SMALL
from legenda.concepts.model import ConceptModel
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import SCHEDULE, train_concepts
from legenda.models.vq import VQ


def scrambled(model: ConceptModel, seed: int = 0) -> ConceptModel:
    """The same network, every matrix drawn anew with the spread that it had."""
    root, lot = deepcopy(model.root), torch.Generator().manual_seed(seed)
    for module in root.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            noise = torch.randn(weight.shape, generator=lot)
            weight.data.copy_(weight.mean() + weight.std() * noise)
    return replace(model, root=root, name="random weights", ref="random weights")


def shuffled_labels(vq: VQ, known: TokenSet, seed: int = 0) -> ConceptModel:
    """A concept model that learned wrong names by heart, as far as it could."""
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
    wrong = replace(known, labels=known.labels[order])
    half = torch.arange(len(wrong)) % 8 == 0
    training, validation = (wrong.some(rows.nonzero()[:, 0]) for rows in (~half, half))
    epochs = 1 if quick() else 4
    return train_concepts(
        SMALL["cnn"], vq.codebook, training, validation, epochs=epochs, batch=64, schedule=SCHEDULE
    )
