"""A world with the truth about it: what an image shows is said by tokens at chosen places."""

from functools import cache

import torch

from legenda.concepts.bottleneck import Bottlenecked
from legenda.concepts.extractors import CNN
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import train_concepts
from legenda.core.codebook import Codebook
from legenda.core.units import Units
from legenda.train.loop import Schedule

GRID, ENTRIES, PLANTED = (6, 6), 14, 4
CONCEPTS = ("a", "b", "c", "none")
INNER = CNN(((24, 2),), (32,), 0.1)
QUICK = Schedule(1, lr=5e-3, warmup=20)


def book():
    return Codebook(torch.randn(ENTRIES, 8, generator=torch.Generator().manual_seed(3)))


def world(count, seed=0):
    """Random tokens 3 to 13; of the first three concepts, four places hold their own token.

    Without images that show nothing, a channel could tell the third concept by its silence.
    """
    lot = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CONCEPTS)
    tokens = torch.randint(3, ENTRIES, (count, 36), generator=lot)
    places = torch.rand(count, 36, generator=lot).argsort(1)[:, :PLANTED]
    own = torch.where(labels[:, None] < 3, labels[:, None], tokens.gather(1, places))
    return TokenSet.of(tokens.scatter(1, places, own), labels, CONCEPTS, GRID, ENTRIES)


@cache
def parts():
    return world(1600).split((0.7, 0.15, 0.15), seed=1)


@cache
def trained(beta=None, channel="noise", epochs=10):
    """A concept model of the world; with a price, behind a channel."""
    extractor = INNER if beta is None else Bottlenecked(INNER, beta, channel)
    training, validation, _ = parts()
    return train_concepts(
        extractor, book(), training, validation, epochs=epochs, batch=32, schedule=QUICK
    )


def telling():
    """Test images that show something, their labels, and where the planted tokens are."""
    test = parts()[2]
    tokens, labels = test.batch((test.labels < 3).nonzero()[:, 0])
    return tokens, labels, tokens < 3


def units(model):
    return Units(model, model.codebook)


def recall(scores, planted):
    """Share of the planted tokens among as many first ones."""
    return float(planted.gather(1, scores.topk(PLANTED, 1).indices).float().mean())
