"""BatchTopK: the k B largest readings of a batch of B rows are on, so that rows may differ.

    z = BatchTopK(ReLU(a), k B)                                           (1)
    L = mean over rows of ‖x - x̂‖² + α L_aux                              (2)

Once learned, a row shall not depend on those beside it. While learning, θ follows the smallest
reading that is on in a step,

    θ ← μ θ + (1 - μ) min{z_ri : z_ri > 0},      z_i = a_i H(a_i - θ)     (3)

or `calibrate` sets θ so that the rows given have k units on, on average.

Differs from the official code: θ is followed from half of the steps on where there are fewer than
`start`; before there is a θ, codes are those of `TopK`. Equal readings: the lower row, and in it
the lower unit, is on.

References
----------
Bussmann, Leask, Nanda. BatchTopK sparse autoencoders. NeurIPS 2024 workshop on scientific methods
for understanding deep learning. (1) and (2).
Marks, Karvonen, Mueller. dictionary_learning. Software, 2024. (3).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    checked_rows,
    tangent,
    unit_length,
)
from legenda.dictionaries.auxiliary import Revival, heard, listen
from legenda.dictionaries.selection import above, strongest, strongest_of_all
from legenda.dictionaries.sparse_gradient import Filled, error
from legenda.dictionaries.top_k import checked_k, revived
from legenda.errors import BadInput


@dataclass(frozen=True)
class BatchTopK:
    """The strongest units of each batch, k for each row on average, `r d -> k d`.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: units that are on at a row, on average; larger explains more of it.
    revive: what is done for dead units; None does nothing.
    memory: μ; larger follows the threshold more slowly and more smoothly.
    start: the threshold is followed after this step; larger forgets more of the beginning.
    half: whether candidates are found in bfloat16, None: where the processor has it. It changes
        speed, never the result.
    """

    units: int
    k: int = 12
    revive: Revival | None = Revival()
    memory: float = 0.999
    start: int = 1000
    half: bool | None = None

    def __post_init__(self) -> None:
        checked_k("BatchTopK", self.units, self.k)
        checked_memory("BatchTopK", self.memory, self.start)

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        return followed(listen(begun(rows, self.units, seed, self)))

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2)."""
        on = together(self, module, rows)
        follow(self, module, on, step, steps)
        value, left = error(module, rows, on)
        heard(module, on)
        return revived(self.revive, module, rows, (value, left, on), self.half)

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (3), the strongest first."""
        return over(self, module, rows).slots()

    shape, settle = staticmethod(tangent), staticmethod(unit_length)


@runtime_checkable
class Batched(Protocol):
    """What this file needs of a learner whose units share a batch."""

    @property
    def units(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def memory(self) -> float: ...
    @property
    def start(self) -> int: ...
    @property
    def half(self) -> bool | None: ...


def together(learner: Batched, module: SparseAutoencoder, rows: Rows) -> Filled:
    """Equation (1)."""
    encoder, offset = module.encoder.detach(), module.offset.detach()
    centred = rows - module.bias.detach()
    return strongest_of_all(centred, encoder, offset, learner.k * len(rows), learner.half)


def over(learner: Batched, module: SparseAutoencoder, rows: Rows) -> Filled:
    """Z of equation (3); the k strongest of each row before there is a threshold."""
    encoder, offset = module.encoder.detach(), module.offset.detach()
    centred, theta = rows - module.bias.detach(), float(threshold(module))
    if theta < 0:
        return strongest(centred, encoder, offset, learner.k, learner.half)
    return above(centred, encoder, offset, theta, learner.half)


def followed(module: SparseAutoencoder) -> SparseAutoencoder:
    """Keep θ with a dictionary; below 0 there is none yet."""
    module.register_buffer("threshold", torch.tensor(-1.0).to(module.bias))
    return module


def threshold(module: SparseAutoencoder) -> Float[Tensor, ""]:
    """θ of equation (3)."""
    return module.get_buffer("threshold")


@torch.no_grad()
def follow(learner: Batched, module: SparseAutoencoder, on: Filled, step: int, steps: int) -> None:
    """Equation (3)."""
    if step <= min(learner.start, steps // 2):
        return
    theta = threshold(module)
    least = on.weights.min() if len(on) else torch.zeros_like(theta)
    theta.copy_(least if theta < 0 else learner.memory * theta + (1 - learner.memory) * least)


@torch.no_grad()
def calibrate(
    module: SparseAutoencoder, rows: Rows, k: int | float | None = None
) -> SparseAutoencoder:
    """Set θ so that these rows have k units on, on average; k is the learner's unless given.

    Fewer are on where readings are equal, or where not so many are above 0.
    """
    learner = module.learner
    if "threshold" not in dict(module.named_buffers()):
        raise BadInput(
            f"only a dictionary with a threshold is calibrated; {module.name} was learned by "
            f"{type(learner).__name__}. Learn it by BatchTopK or MatryoshkaBatchTopK."
        )
    rows = checked_rows(rows, 1).to(module.bias)
    wanted = getattr(learner, "k", 0) if k is None else k
    if not 0 < wanted <= len(module):
        raise BadInput(
            f"{module.name} has {len(module)} units; {wanted} cannot be on on average. Change k."
        )
    encoder, offset, half = (
        module.encoder.detach(),
        module.offset.detach(),
        getattr(learner, "half", None),
    )
    count = round(wanted * len(rows)) + 1
    on = strongest_of_all(rows - module.bias, encoder, offset, count, half)
    theta = on.weights.min() if len(on) == count else on.weights.new_zeros(())
    threshold(module).copy_(theta)
    return module


def checked_memory(who: str, memory: float, start: int) -> None:
    """Refuse a threshold that cannot be followed."""
    if not 0 <= memory < 1 or start < 0:
        raise BadInput(
            f"{who} needs a memory from 0 to below 1 and a start of 0 or more; it got "
            f"memory={memory}, start={start}. Change these."
        )
