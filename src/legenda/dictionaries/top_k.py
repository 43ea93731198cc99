"""TopK: the k largest readings of each row are on.

    z = TopK(ReLU(a), k)                                                  (1)
    L = mean over rows of ‖x - x̂‖² + α L_aux                              (2)

with L_aux of `auxiliary`, which revives dead units. k sets how many units are on, so that nothing
pulls codes towards zero.

Differs from the official code: (2) divides nothing by the variance of x, as in the paper's text;
the gradient of atoms has no part along them.

References
----------
Makhzani, Frey. k-sparse autoencoders. ICLR 2014. (1).
Gao, Dupré la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu. Scaling and evaluating
sparse autoencoders. ICLR 2025. (2), and unit length of atoms.
"""

from dataclasses import dataclass

from torch import Tensor

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    tangent,
    unit_length,
)
from legenda.dictionaries.auxiliary import Revival, figures, heard, listen, silent
from legenda.dictionaries.selection import strongest
from legenda.dictionaries.sparse_gradient import Filled, error
from legenda.errors import BadInput


@dataclass(frozen=True)
class TopK:
    """The k strongest units of each row, `r d -> k d`.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: units that are on at a row; larger explains more of it, by less separate units.
    revive: what is done for dead units; None does nothing.
    half: whether candidates are found in bfloat16, None: where the processor has it. It changes
        speed, never the result.
    """

    units: int
    k: int = 12
    revive: Revival | None = Revival()
    half: bool | None = None

    def __post_init__(self) -> None:
        checked_k("TopK", self.units, self.k)

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        return listen(begun(rows, self.units, seed, self))

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2)."""
        on = self.filled(module, rows)
        value, left = error(module, rows, on)
        heard(module, on)
        return revived(self.revive, module, rows, (value, left, on), self.half)

    def filled(self, module: SparseAutoencoder, rows: Rows) -> Filled:
        """Equation (1)."""
        encoder, offset = module.encoder.detach(), module.offset.detach()
        return strongest(rows - module.bias.detach(), encoder, offset, self.k, self.half)

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equation (1), the strongest first."""
        return self.filled(module, rows).slots()

    shape, settle = staticmethod(tangent), staticmethod(unit_length)


def revived(
    revive: Revival | None,
    module: SparseAutoencoder,
    rows: Rows,
    outcome: tuple[Tensor, Rows, Filled],
    half: bool | None,
) -> tuple[Tensor, dict[str, float]]:
    """Equation (2) from its first term, and the figures of the step."""
    value, left, on = outcome
    if revive is None:
        return value, figures(on, left, rows, float("nan"))
    dead = float((silent(module) >= revive.after).double().mean())
    return value + revive.loss(module, rows, left, half), figures(on, left, rows, dead)


def checked_k(who: str, units: int, k: int) -> None:
    """Refuse a k that no row can have."""
    if units < 1 or not 1 <= k <= units:
        raise BadInput(
            f"{who} has from 1 to {units} units on at a row, all that it has; it got k={k}. "
            "Change k, or units."
        )
