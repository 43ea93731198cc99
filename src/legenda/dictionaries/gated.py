"""Gated: whether a unit is on and how strongly are told by two readings that share a direction.

A price on the codes themselves makes them too small. Here it is paid by the gate alone. With

    π_i = e_i · (x - b) + c_i                       the gate's reading    (1)
    m_i = exp(r_i) e_i · (x - b) + c'_i             the magnitude's       (2)
    z_i = 1[π_i > 0] ReLU(m_i)                                            (3)
    L   = ‖x - x̂(z)‖² / s² + λ ‖ReLU(π)‖₁ / s + ‖x - x̂'(ReLU(π))‖² / s²   (4)

As (3) passes nothing back to the gate, the last term of (4) teaches it: what it lets through
should do as a code, too. x̂' is the decoder x̂ with its atoms and its b held fixed, so that the
term teaches nothing else. s² is the mean of ‖x - b‖² over the rows that it began from, and each
atom has unit length.

Differs from the paper: s, so that λ does not depend on the unit of the activations; for rows that
are scaled to s = 1, as theirs are, nothing differs.

References
----------
Rajamanoharan, Conmy, Smith, Lieberum, Varma, Kramár, Shah, Nanda. Improving dictionary learning
with gated sparse autoencoders. NeurIPS 2024. All equations.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    on,
    tangent,
    unit_length,
)
from legenda.dictionaries.scale import measure, scale, told
from legenda.errors import BadInput


@dataclass(frozen=True)
class Gated:
    """Units with a gate and a magnitude, `r d -> k d`.

    Parameters
    ----------
    units: k; more split what they find more finely.
    l1: λ, the price of the gates' readings; larger leaves fewer units on.
    warmup: share of the steps over which λ rises from 0; larger lets more units find a use first.
    """

    units: int
    l1: float = 0.05
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if self.units < 1 or not (self.l1 >= 0 and 0 <= self.warmup <= 1):
            raise BadInput(
                f"Gated needs a unit or more, l1 of 0 or more and a warmup from 0 to 1; it got "
                f"units={self.units}, l1={self.l1}, warmup={self.warmup}. Change these."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        """At first both readings are the same."""
        module = measure(begun(rows, self.units, seed, self), rows)
        for name in ("log_gain", "floor"):
            module.register_parameter(name, nn.Parameter(torch.zeros_like(module.offset)))
        return module

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (4)."""
        s = scale(module)
        gate, codes = both(module, rows)
        open_ = gate.relu()
        rest = rows - codes @ module.decoder - module.bias
        taught = rows - open_ @ module.decoder.detach() - module.bias.detach()
        price = self.l1 * min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        error = (rest.square().sum() + taught.square().sum()) / s**2
        loss = (error + price * open_.sum() / s) / len(rows)  # (4)
        return loss, told(module, rows, rest, codes)

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (3)."""
        return on(both(module, rows)[1])

    shape, settle = staticmethod(tangent), staticmethod(unit_length)


def both(
    module: SparseAutoencoder, rows: Rows
) -> tuple[Float[Tensor, "r k"], Float[Tensor, "r k"]]:
    """π of (1) and z of (3); the two readings share one product."""
    gain, floor = module.get_parameter("log_gain").exp(), module.get_parameter("floor")
    shared = (rows - module.bias) @ module.encoder.T
    gate = shared + module.offset  # (1)
    magnitude = gain * shared + floor  # (2)
    return gate, magnitude.relu().where(gate > 0, 0.0)  # (3)
