"""How an autoencoder is to be fitted, and what that takes."""

from dataclasses import dataclass, field
from typing import Any

import torch

from legenda.autoencoders.course import plan_of
from legenda.autoencoders.kinds import kind_of, objective_of
from legenda.autoencoders.objective import Objective
from legenda.autoencoders.subspace import SubspaceNetwork
from legenda.corpus.pictures import Pictures
from legenda.errors import BadInput
from legenda.models.burgess import Burgess
from legenda.train.loop import Schedule


@dataclass(frozen=True)
class VAESettings:
    """How an autoencoder is fitted.

    Parameters
    ----------
    kind: the paper, by its short name (`autoencoders.kinds.KINDS`).
    latents: how many variables; more say more.
    side: of the pictures, 32 or 64; larger shows more and takes four times as long.
    channels: 1 for grey, 3 for colours.
    price: what the paper asks for what is to be small; None: its usual one.
    more: other settings of the objective.
    steps: of training; more fit closer.
    batch: pictures per step; more make steps steadier and slower.
    lr: learning rate.
    every: steps between checkpoints.
    seed: of everything random.
    """

    kind: str = "beta-tc"
    latents: int = 10
    side: int = 64
    channels: int = 3
    price: float | None = None
    more: dict[str, Any] = field(default_factory=dict)
    steps: int = 20_000
    batch: int = 64
    lr: float = 1e-3
    every: int = 500
    seed: int = 0

    @property
    def told(self) -> bool:
        """Whether pictures need labels."""
        return kind_of(self.kind).told

    def objective(self) -> Objective:
        """What they name, or the reason why there is none."""
        counts = (self.latents, self.steps, self.batch, self.every)
        if min(counts) < 1 or not self.lr > 0 or self.channels not in (1, 3):
            raise BadInput(
                "an autoencoder needs latents, steps, batch and every of 1 or more, a rate above 0 "
                f"and 1 or 3 channels; it got {', '.join(map(str, counts))}, {self.lr} and "
                f"{self.channels}."
            )
        with torch.device("meta"):
            self.network(2 if self.told else 0)  # refused before any picture is read
        return objective_of(self.kind, self.price, **self.more)

    def network(self, told: int = 0) -> Any:
        """What learns, for so many numbers told of each picture."""
        if self.kind == "csvae":
            subspace = max(1, min(told, self.latents // 2))
            return SubspaceNetwork(self.side, self.channels, self.latents, subspace, told)
        return Burgess(self.side, self.channels, self.latents, told)

    def plan(self) -> Schedule:
        """The schedule."""
        return plan_of(self.steps, self.lr)


@dataclass(frozen=True)
class VAECost:
    """What a fit will take: pictures, their bytes on disk, weights, and how often each is seen."""

    pictures: int
    bytes: int
    weights: int
    epochs: float


def vae_cost(pictures: Pictures, how: VAESettings) -> VAECost:
    """What a fit will take; no picture is read."""
    how.objective()
    if not len(pictures):
        raise BadInput("an autoencoder needs pictures to learn from; there are none. Give more.")
    with torch.device("meta"):
        weights = sum(p.numel() for p in how.network(2 if how.told else 0).parameters())
    size = len(pictures) * how.channels * how.side**2
    return VAECost(len(pictures), size, weights, how.steps * how.batch / len(pictures))
