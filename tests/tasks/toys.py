"""A tiny random VQ autoencoder, a concept model of its tokens, and judges of its pictures.

Each is also a factory, so that the command line can open it.
"""

from functools import cache

import torch
from torch import nn

from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.models.prior import PriorNetwork, TokenPrior
from legenda.models.vq import VQ, vq_of, with_prior
from legenda.zoo.vq.network import VQNetwork

CONCEPTS, ENTRIES, GRID = ("cat", "dog", "horse", "ship"), 16, (16, 16)
BOX = tuple(r * 16 + c for r in range(7, 11) for c in range(7, 11))


def network() -> VQNetwork:
    """Its entries lie among its latents, so that most of them are used."""
    torch.manual_seed(0)
    net = VQNetwork(width=16, depth=1, codes=ENTRIES, dim=6)
    with torch.no_grad():
        latents = net.encode(pixels(4)).flatten(2).mT.flatten(0, 1)
        rows = torch.randperm(len(latents))[:ENTRIES]
        net.codebook.copy_(4 * latents[rows])
        net.to_code.weight.mul_(4)
        net.to_code.bias.mul_(4)
    return net


def pixels(count: int = 1, seed: int = 3) -> torch.Tensor:
    """Blurred noise, from -1 to 1."""
    lot = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=lot) * 2 - 1
    return nn.functional.interpolate(coarse, (32, 32), mode="bilinear")


@cache
def model() -> VQ:
    net = network()
    return vq_of(
        net, Codebook(net.codebook), lambda m, x: m.encode(x), lambda m, z: m.decode(z),
        Preprocess((32, 32)), ref="tests.tasks.toys:model", name="toy-vq",
    )  # fmt: skip


@cache
def model_with_prior() -> VQ:
    torch.manual_seed(1)
    prior = PriorNetwork(ENTRIES, len(CONCEPTS), GRID, width=8, depth=1, heads=2)
    return with_prior(model(), TokenPrior(prior, CONCEPTS))


@cache
def extractor() -> ConceptModel:
    """Random, and not linear."""
    torch.manual_seed(2)
    layers = [nn.Conv2d(6, 8, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 7 * 7, len(CONCEPTS))]
    book = model().codebook
    return ConceptModel(nn.Sequential(*layers), book, CONCEPTS, GRID, name="toy-cnn", ref="toys/cnn")  # fmt: skip # noqa: E501


def judge(seed: int) -> nn.Module:
    """A random classifier of pixels."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(800, len(CONCEPTS))]
    layers[-1].weight.data *= 10
    return nn.Sequential(*layers).eval()


@cache
def judges() -> dict[str, nn.Module]:
    return {"first": judge(4), "second": judge(5)}
