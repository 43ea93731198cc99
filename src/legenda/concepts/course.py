"""What a concept model learns, in what order, and under what noise.

    L = CE(f(e), y),    and with a channel in front of f:  + β mean_n I_n       (1)

Every epoch goes through all images once, in an order of its own. Order, noise and dropout are
drawn from the seed and the number of the epoch or the step.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from legenda.concepts.extractors import Extractor
from legenda.concepts.token_set import TokenSet
from legenda.core.codebook import Codebook
from legenda.corpus.survey import FLOOR

LARGE_PRIME = 1_000_003
PURPOSES = ("dropout", "noise", "order", "weights")
AT_ONCE = 256
"""Images at once, where nothing is learned."""
RISE = 0.5
"""The price rises from nothing over this first share of the steps, else a dear channel shuts
before there is anything worth its price."""


@runtime_checkable
class Priced(Protocol):
    """A network that pays for what goes through a noisy channel."""

    beta: float

    def noisy(self, x: Tensor, lot: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits through the channel, and the nats of each token."""
        ...

    def refer(self, mean: Float[Tensor, " d"], spread: Float[Tensor, " d"]) -> None:
        """Take the mean and the spread of embeddings as they are used."""
        ...


@dataclass
class Course:
    """What is learned, in what order, under what noise."""

    codebook: Codebook
    training: TokenSet
    validation: TokenSet
    steps: int
    epochs: int
    seed: int
    order: tuple[int, Tensor] = field(default=(-1, torch.empty(0)), init=False)

    def begun(self, extractor: Extractor) -> nn.Module:
        """The untrained network."""
        width, device = self.codebook.atoms.shape[1], self.codebook.atoms.device
        with seeded(self.lot("weights"), device):
            module = extractor.build(width, self.training.grid, len(self.training.concepts))
        module = module.to(self.codebook.atoms)
        if isinstance(module, Priced):
            module.refer(*used(self.codebook, self.training))
        return module

    def lot(self, purpose: str, number: int = 0) -> int:
        """A seed of its own for everything that is drawn."""
        return self.seed * LARGE_PRIME + number + (PURPOSES.index(purpose) << 40)

    def rows(self, step: int) -> Int[Tensor, " r"]:
        """The images of a step: in an epoch every image comes once, in batches of like size."""
        epoch, part = divmod(step, self.steps)
        if self.order[0] != epoch:
            lot = torch.Generator().manual_seed(self.lot("order", epoch))
            self.order = epoch, torch.randperm(len(self.training), generator=lot)
        return self.order[1].tensor_split(self.steps)[part]

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Equation (1) for the images of a step."""
        rise = min(1.0, (step + 1) / (RISE * self.epochs * self.steps))
        return self.outcome(module.train(), self.training, self.rows(step), step, rise)

    def outcome(
        self, module: nn.Module, images: TokenSet, rows: Int[Tensor, " r"], number: int,
        rise: float = 1.0,
    ) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
        """Equation (1) for some images, and figures about it."""
        tokens, labels = images.batch(rows)
        atoms = self.codebook.atoms
        x, labels = atoms[tokens.to(atoms.device)], labels.to(atoms.device)
        x, price, figures = x.mT.unflatten(2, images.grid), 0.0, {}
        with seeded(self.lot("dropout", number), atoms.device):
            if isinstance(module, Priced):
                lot = torch.Generator(atoms.device).manual_seed(self.lot("noise", number))
                logits, nats = module.noisy(x, lot)
                price = rise * module.beta * nats.mean()
                figures = {"nats": float(nats.detach().mean())}
            else:
                logits = module(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        right = (logits.argmax(1) == labels).float().mean()
        return cross_entropy(logits, labels) + price, {"right": float(right), **figures}  # (1)

    @torch.no_grad()
    def validated(self, module: nn.Module) -> dict[str, float]:
        """Figures of the validation images, "loss" among them; the same noise every time."""
        module.eval()
        total: dict[str, float] = {}
        for number, rows in enumerate(torch.arange(len(self.validation)).split(AT_ONCE)):
            value, figures = self.outcome(module, self.validation, rows, -1 - number)
            for name, figure in {"loss": float(value), **figures}.items():
                total[name] = total.get(name, 0.0) + figure * len(rows) / len(self.validation)
        return total


def used(codebook: Codebook, images: TokenSet) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and spread of each channel over the tokens of images; no spread is next to nothing."""
    count = np.bincount(images.tokens.ravel(), minlength=len(codebook))
    share = torch.from_numpy(count / count.sum()).to(codebook.atoms.device)
    atoms = codebook.atoms.double()
    mean = share @ atoms
    spread = (share @ (atoms - mean).square()).sqrt()
    return mean, spread.clamp(min=max(FLOOR * float(spread.mean()), 1e-6))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from the global generators as a seed says, and leave them as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
