"""ReLU with a price on the codes: the sparse autoencoder in its first form.

    z = ReLU(a)                                                           (1)
    L = mean over rows of ‖x - x̂‖² + λ Σ_i z_i,      ‖d_i‖ = 1            (2)
    L = mean over rows of ‖x - x̂‖² + λ Σ_i z_i ‖d_i‖                      (3)

Longer atoms would make codes, and their price, as small as one likes. Either atoms are kept at unit
length (2), or their length is part of the price (3).

References
----------
Bricken, Templeton, Batson, et al. Towards monosemanticity: decomposing language models with
dictionary learning. Transformer Circuits Thread 2023. (1) and (2).
Conerly, Templeton, Bricken, Marcus, Henighan. Update on how we train SAEs. Transformer Circuits
Thread, April 2024. (3).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    on,
    tangent,
    unit_length,
)
from legenda.errors import BadInput


@dataclass(frozen=True)
class ReLUL1:
    """All units whose reading is above 0, at a price, `r d -> k d`.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    l1: λ, in the unit of the activations; larger leaves fewer units on, and weaker ones.
    decoder_norm: "unit" keeps atoms at length 1 (2), "priced" makes their length part of it (3).
    warmup: share of the steps over which λ rises from 0; larger lets more units find a use first.
    """

    units: int
    l1: float = 1e-2
    decoder_norm: Literal["unit", "priced"] = "unit"
    warmup: float = 0.05

    def __post_init__(self) -> None:
        if self.units < 1 or not (self.l1 >= 0 and 0 <= self.warmup <= 1):
            raise BadInput(
                f"ReLUL1 needs a unit or more, l1 of 0 or more and a warmup from 0 to 1; it got "
                f"units={self.units}, l1={self.l1}, warmup={self.warmup}. Change these."
            )
        if self.decoder_norm not in ("unit", "priced"):
            raise BadInput(
                f"ReLUL1 keeps atoms at unit length or prices it: decoder_norm is 'unit' or "
                f"'priced'; it got {self.decoder_norm!r}. Choose one."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        return begun(rows, self.units, seed, self)

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2) or (3); most units are on at first, so that nothing is sparse here."""
        z, count = module.readings(rows).relu(), max(1, len(rows))
        left = rows - torch.addmm(module.bias, z, module.decoder)
        price = self.l1 * min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        paid = z if self.decoder_norm == "unit" else z * module.decoder.norm(dim=1)
        loss = (left.square().sum() + price * paid.sum()) / count  # (2), (3)
        with torch.no_grad():
            spread = float((rows - rows.mean(0)).square().sum())
            figures = {
                "fvu": float(left.square().sum()) / spread if spread else float("nan"),
                "l0": float((z > 0).sum()) / count,
                "idle": float((z <= 0).all(0).double().mean()),
            }
        return loss, figures

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (1), the strongest first."""
        return on(module.readings(rows))

    def shape(self, module: SparseAutoencoder, grads: dict[str, Tensor]) -> None:
        """Nothing along the atoms, if their length is kept."""
        if self.decoder_norm == "unit":
            tangent(module, grads)

    def settle(self, module: SparseAutoencoder) -> None:
        """Atoms of unit length, if it is not priced."""
        if self.decoder_norm == "unit":
            unit_length(module)
