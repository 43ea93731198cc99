"""Toys whose truth is known: a picture model that reads two patches, a sentence model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from legenda.core.dictionary import Identity
from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation
from legenda.core.model import Run
from legenda.core.units import Units
from legenda.models.module import ModuleModel

GRID, SIDE = (4, 4), 16
READ = (5, 10)
PAD, BOS, EOS, MASK = 0, 1, 2, 3


class Patches:
    """Acts are the mean colours of patches; the output reads the patches in READ only."""

    name, ref, grid = "patches", "toy:patches", GRID

    def acts(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, GRID).flatten(2).mT

    def run(self, x: Tensor, edit=None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        seen = torch.tanh(acts[:, list(READ)])
        return Run(acts, torch.cat([seen.sum((1, 2))[:, None], seen.flatten(1)], 1))

    def parameters(self):
        return []


class Sentences:
    """Acts are word vectors; the output sums tanh of them over all but padding."""

    name, ref, grid = "sentences", "toy:sentences", None

    def __init__(self):
        lot = torch.Generator().manual_seed(0)
        self.table = 0.1 * torch.randn(30, 4, generator=lot)
        self.table[MASK] = 0
        self.table[20:] += 1

    def acts(self, x: Tensor) -> Tensor:
        return self.table[x]

    def run(self, x: Tensor, edit=None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, (torch.tanh(acts) * (x != PAD)[..., None]).sum(1))

    def parameters(self):
        return []


def pictures(b: int = 5, seed: int = 0) -> Tensor:
    """Bright pictures: taking anything away lowers what the toy says."""
    return 0.2 + torch.rand(b, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def units(model=None) -> Units:
    return Units(model or Patches(), Identity(3))


def maps(scores: Tensor, x: Tensor, figures=None) -> Attribution:
    """Maps of the toy pictures."""
    return Attribution(
        x, scores, torch.ones_like(scores, dtype=torch.bool), GRID, "nats", figures or {}
    )


def noise(b: int = 5, n: int = 16, seed: int = 1) -> Tensor:
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


def truth(x: Tensor) -> Attribution:
    """The map that knows which patches are read."""
    scores = 0.01 * noise(len(x))
    scores[:, list(READ)] += 1
    return maps(scores, x)


def wrong(x: Tensor) -> Attribution:
    """Its opposite."""
    return maps(-truth(x).scores, x)


def told(evidence) -> Explanation:
    return Explanation("toy", "test", evidence)


def sentences() -> tuple[Tensor, Tensor]:
    """Ids and drawn positions; words 20 and above matter."""
    ids = torch.tensor(
        [[BOS, 5, 20, 6, 7, EOS], [BOS, 21, 8, EOS, PAD, PAD], [BOS, 9, 10, 22, EOS, PAD]]
    )
    return ids, ids > MASK


def of_words(scores: Tensor, ids: Tensor) -> Attribution:
    return Attribution(ids, scores, ids > MASK, None, "nats")


def network() -> ModuleModel:
    """A small convolutional network with its site in the middle."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 6, 4, 4), nn.Tanh(), nn.Conv2d(6, 6, 1), nn.Tanh(), nn.Flatten(),
        nn.Linear(96, 4),
    ]  # fmt: skip
    return ModuleModel(nn.Sequential(*layers).eval(), "3", example=pictures(2))


@dataclass(frozen=True)
class Activity:
    """Explains by acts times gradient: it knows the model and the target."""

    jitter: float = 0.0

    def __call__(self, units, x, target) -> Attribution:
        acts = units.model.acts(x).detach().requires_grad_()
        run = units.model.run(x, edit=lambda _: acts)
        (slope,) = torch.autograd.grad(target(run).sum(), [acts])
        scores = (slope * acts).sum(-1).detach()
        return maps(scores + self.jitter * noise(len(x), 16, 9), x)


@dataclass(frozen=True)
class Edges:
    """Explains by the picture alone: it knows nothing of the model."""

    def __call__(self, units, x, target) -> Attribution:
        return maps(nn.functional.adaptive_avg_pool2d(x, GRID).sum(1).flatten(1), x)


def refused(measure, name, value) -> None:
    """Check a measure again with a setting that its annotation forbids, as users can give it."""
    object.__setattr__(measure, name, value)
    measure.__post_init__()
