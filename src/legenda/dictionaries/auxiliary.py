"""Revival: units that have long been silent are asked to explain what the others leave.

A unit is dead once it has been on at none of the last T rows. With e = x - x̂ what is left of a row,
not taught by this term, and S the dead units with the m largest readings,

    ê = Σ_(i ∈ S) ReLU(a_i) d_i                                           (1)
    L_aux = mean_r ‖e_r - ê_r‖² / mean_r ‖e_r - ē‖²                       (2)

and α L_aux is added to the loss, ē being the mean of e over the rows of the step.

Differs from the paper: (2) is divided by the variance of e about its mean, as in the code of the
second reference and in CFM; the paper's text divides by nothing.

References
----------
Gao, Dupré la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu. Scaling and evaluating
sparse autoencoders. ICLR 2025. (1), and (2) up to its divisor.
Marks, Karvonen, Mueller. dictionary_learning. Software, 2024. The divisor of (2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from legenda.dictionaries.autoencoder import Rows, SparseAutoencoder
from legenda.dictionaries.selection import strongest
from legenda.dictionaries.sparse_gradient import Filled, Nested, Read
from legenda.errors import BadInput


@dataclass(frozen=True)
class Revival:
    """An additional loss for dead units.

    Parameters
    ----------
    weight: α; larger brings dead units back sooner, at the cost of the others.
    after: T, rows without being on after which a unit is dead; larger leaves more time.
    most: m, dead units asked at each row; more share what is left among more of them.
    """

    weight: float = 1 / 32
    after: int = 10_000_000
    most: int = 256

    def __post_init__(self) -> None:
        if not self.weight >= 0 or min(self.after, self.most) < 1:
            raise BadInput(
                f"Revival needs a weight of 0 or more, and after and most of 1 or more; it got "
                f"weight={self.weight}, after={self.after}, most={self.most}. Change these."
            )

    def loss(
        self, module: SparseAutoencoder, rows: Rows, left: Rows, half: bool | None = None
    ) -> Tensor:
        """α times equation (2); nothing while no unit is dead."""
        dead = (silent(module) >= self.after).nonzero()[:, 0]
        spread = (left - left.mean(0)).square().sum()
        if not len(dead) or not self.weight or not float(spread):
            return left.new_zeros(())
        encoder, offset = module.encoder.index_select(0, dead), module.offset.index_select(0, dead)
        centred = rows - module.bias.detach()
        most = min(self.most, len(dead))
        on = strongest(centred, encoder.detach(), offset.detach(), most, half)
        weights = Read.apply(centred, encoder, offset, module.bias, on)
        atoms, none = module.decoder.index_select(0, dead), torch.zeros_like(module.bias)
        value, _ = Nested.apply(weights, atoms, none, left, on, (len(dead),), (1.0,))  # (1)
        return self.weight * len(rows) * value / spread  # (2)


def listen(module: SparseAutoencoder) -> SparseAutoencoder:
    """Count with a dictionary for how many rows each unit has been silent."""
    count = torch.zeros(len(module), dtype=torch.int64, device=module.decoder.device)
    module.register_buffer("silent", count)
    return module


def silent(module: SparseAutoencoder) -> Tensor:
    """For how many rows each unit has been silent, k."""
    return module.get_buffer("silent")


def heard(module: SparseAutoencoder, on: Filled) -> None:
    """Go on counting after a step."""
    silent(module).add_(len(on.starts) - 1)[on.counts > 0] = 0


def figures(on: Filled, left: Rows, rows: Rows, dead: float) -> dict[str, float]:
    """What is told of a step: fvu against the mean, l0, shares of dead and of unused units."""
    spread = float((rows - rows.mean(0)).square().sum())
    return {
        "fvu": float(left.square().sum()) / spread if spread else float("nan"),
        "l0": len(on) / max(1, len(rows)),
        "dead": dead,
        "idle": float((on.counts == 0).double().mean()),
    }
