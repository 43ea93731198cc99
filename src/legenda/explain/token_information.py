"""Token information: how many nats of each token a concept model pays for.

A concept model with a channel in front charges for what it reads, and has learned how little of
each token tells the concepts apart. What it pays for the token at position n,

    A_n = I_n,   L = CE(f(t)) + β mean_n I_n                              (1)

is read off in one pass, without a gradient and without noise. It is one number for all concepts:
the target changes nothing. Nats compare between images, and their sum over an image is among the
figures.

Ours: the published explanation is a slope (`TokenImportance`). `InformationBottleneck` asks the
same question of any model, by a descent for each image and target.

References
----------
Schulz, Sixt, Tombari, Landgraf. Restricting the flow: information bottlenecks for attribution.
ICLR 2020. The readout bottleneck: a trained network that says how much passes where.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported


@runtime_checkable
class Charges(Protocol):
    """A network that says how many nats it pays for each token."""

    def nats(self, x: Float[Tensor, "b d y x"]) -> Float[Tensor, "b n"]: ...


@dataclass(frozen=True)
class TokenInformation:
    """Nats that a concept model with a channel pays for each token, `b n d -> b n`.

    Parameters
    ----------
    batch: images at once; changes speed and memory, never the result.
    """

    batch: int = 256

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise BadInput(f"TokenInformation needs one image at once; it got batch={self.batch}.")

    @torch.no_grad()
    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        root, grid = getattr(units.model, "root", None), units.model.grid
        if not isinstance(root, Charges) or grid is None:
            raise Unsupported(
                "TokenInformation", "a concept model with a channel that charges for tokens",
                units.model.name,
                "Train one as `Bottlenecked`, or use TokenImportance, or InformationBottleneck, "
                "which fits a channel to each image.",
            )  # fmt: skip
        prefix = units.prefix(x)
        parts = [root.nats(a.mT.unflatten(2, grid)) for a in prefix.acts.split(self.batch)]
        nats = torch.cat(parts)  # (1)
        drawn = prefix.valid & ~prefix.special
        return Attribution(x, nats, drawn, grid, "nats", {"total": nats.sum(1)})
