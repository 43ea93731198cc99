"""JumpReLU: each unit has a threshold of its own, which is learned.

With the reading a_i of a row, and s² the mean of ‖x - b‖² over the rows that it began from,

    z_i = a_i H(a_i - θ_i),      θ_i = exp(t_i),      H(u) = 1[u > 0]     (1)
    L   = ‖x - x̂‖² / s² + λ P(Σ_i H(a_i - θ_i))                           (2)
    P(n) = n,      or (n / n* - 1)² for the n* units that are wished for  (3)

In (1) and (2) the threshold moves nothing until a reading crosses it. The expected loss has a
gradient, though, which a kernel K of width ε estimates from the readings close by:

    ∂z_i/∂θ_i := -(θ_i / ε) K((a_i - θ_i) / ε)                            (4)
    ∂H(a_i - θ_i)/∂θ_i := -(1 / ε) K((a_i - θ_i) / ε)                     (5)

with K(u) = 1[|u| < 1/2]. Readings get the gradient of z where they are on, and none through H.
Each atom has unit length.

Differs from the paper: rows are not scaled to s = 1 beforehand; λ, ε and the first θ are given as
if they were, so that no setting depends on the unit of the activations. Readings do not go through
a ReLU before (1): as θ > 0 this changes z nowhere, and a reading below 0 is not taken for one at 0
in (4) and (5).

References
----------
Rajamanoharan, Lieberum, Sonnerat, Conmy, Varma, Kramár, Nanda. Jumping ahead: improving
reconstruction fidelity with JumpReLU sparse autoencoders. arXiv 2407.14435, 2024. All equations.
"""

from dataclasses import dataclass
from math import log
from typing import Any

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
class JumpReLU:
    """Units that are on above thresholds which are learned, `r d -> k d`.

    Parameters
    ----------
    units: k; more split what they find more finely.
    l0: λ, the price of one unit that is on, as a share of s²; larger leaves fewer on.
    wished: n*, how many units shall be on at a row; then λ is the price of being wrong by n*.
    bandwidth: ε as a share of s; larger hears of more readings, and blurs their threshold.
    threshold: the first θ as a share of s; larger begins sparser.
    warmup: share of the steps over which λ rises from 0; larger lets more units find a use first.
    """

    units: int
    l0: float = 1e-3
    wished: float | None = None
    bandwidth: float = 1e-3
    threshold: float = 1e-3
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if self.units < 1 or not (self.l0 >= 0 and 0 <= self.warmup <= 1):
            raise BadInput(
                f"JumpReLU needs a unit or more, l0 of 0 or more and a warmup from 0 to 1; it got "
                f"units={self.units}, l0={self.l0}, warmup={self.warmup}. Change these."
            )
        if not (self.bandwidth > 0 and self.threshold > 0):
            raise BadInput(
                f"JumpReLU needs a bandwidth and a threshold above 0; it got "
                f"{self.bandwidth} and {self.threshold}. As published both are 0.001."
            )
        if self.wished is not None and not 0 < self.wished <= self.units:
            raise BadInput(
                f"JumpReLU can have more than 0 and at most {self.units} units on, all that it "
                f"has; wished={self.wished} is outside. Wish for another number, or None."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        """Thresholds are small and alike."""
        module = measure(begun(rows, self.units, seed, self), rows)
        first = log(self.threshold) + scale(module).log()
        module.register_parameter("log_threshold", nn.Parameter(first.repeat(self.units)))
        return module

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2)."""
        s = scale(module)
        codes, gates = jumped(module.readings(rows), thresholds(module), self.bandwidth * s)
        rest = rows - codes @ module.decoder - module.bias
        price = self.l0 * min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        loss = rest.square().sum() / (len(rows) * s**2)
        loss = loss + price * self.penalty(gates.sum(1)).mean()  # (2)
        return loss, told(module, rows, rest, codes)

    def penalty(self, count: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
        """Equation (3)."""
        return count if self.wished is None else (count / self.wished - 1).square()

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (1)."""
        readings = module.readings(rows)
        return on(readings.where(readings > thresholds(module), 0.0))

    shape, settle = staticmethod(tangent), staticmethod(unit_length)


class Jump(torch.autograd.Function):
    """z of (1) and H of (2), with the gradients (4) and (5)."""

    @staticmethod
    def forward(
        ctx: Any,
        readings: Float[Tensor, "r k"],
        threshold: Float[Tensor, " k"],
        width: Float[Tensor, ""],
    ) -> tuple[Float[Tensor, "r k"], Float[Tensor, "r k"]]:
        ctx.save_for_backward(readings, threshold, width)
        above = readings > threshold
        return readings.where(above, 0.0), above.to(readings.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Float[Tensor, "r k"]) -> tuple[Tensor, Tensor, None]:
        of_codes, of_gates = grads
        readings, threshold, width = ctx.saved_tensors
        near = (readings - threshold).abs() < width / 2  # K
        moved = (threshold * of_codes + of_gates).where(near, 0.0)
        return of_codes.where(readings > threshold, 0.0), -moved.sum(0) / width, None  # (4), (5)


def jumped(
    readings: Float[Tensor, "r k"], threshold: Float[Tensor, " k"], width: Float[Tensor, ""]
) -> tuple[Float[Tensor, "r k"], Float[Tensor, "r k"]]:
    """The codes z, and which units are on."""
    codes, gates = Jump.apply(readings, threshold, width)  # type: ignore[misc]
    return codes, gates


def thresholds(module: SparseAutoencoder) -> Float[Tensor, " k"]:
    """θ of equation (1)."""
    return module.get_parameter("log_threshold").exp()
