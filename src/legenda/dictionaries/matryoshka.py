"""Matryoshka BatchTopK: units in groups, and each first few groups must do without the later ones.

With x̂_≤g = Σ_(i in groups 1 … g) z_i d_i + b, and z the k B largest readings of a batch,

    L = Σ_g w_g mean_r ‖x - x̂_≤g‖² + α L_aux,      w_g = 1 / G            (1)

for G groups. Early groups come to hold what is general, later ones refine it. L_aux asks dead units
to explain what all groups leave. The threshold of codes once learned is that of `batch_top_k`.

The published code of the system CFM divides by G twice (`published_double`): its errors weigh 1 / G
of what is meant, and dead units weigh G times as much beside them.

Differs from the official code: nothing else in the loss; what it writes is summed over the units
that are on alone.

References
----------
Bussmann, Nabeshima, Karvonen, Nanda. Learning multi-level features with Matryoshka sparse
autoencoders. ICML 2025. (1).
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. The groups and settings of `presets.CFM`.
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
from legenda.dictionaries.auxiliary import Revival, heard, listen
from legenda.dictionaries.batch_top_k import checked_memory, follow, followed, over, together
from legenda.dictionaries.sparse_gradient import error
from legenda.dictionaries.top_k import checked_k, revived
from legenda.errors import BadInput


@dataclass(frozen=True)
class MatryoshkaBatchTopK:
    """Groups of units, each of which refines those before it, `r d -> k d`.

    Eight fields and the number of units, since each is a setting of the published code.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: units that are on at a row, on average; larger explains more of it.
    groups: sizes of the groups, which sum to `units`; smaller first ones become more general.
    weights: w_g, one for each group; a larger one asks more of that group and those before it. None
        weighs all alike.
    published_double: whether errors are divided by the number of groups once more, as published.
    revive: what is done for dead units; None does nothing.
    memory: of the threshold; larger follows it more slowly and more smoothly.
    start: the threshold is followed after this step; larger forgets more of the beginning.
    half: whether candidates are found in bfloat16, None: where the processor has it. It changes
        speed, never the result.
    """

    units: int
    k: int = 12
    groups: tuple[int, ...] = ()
    weights: tuple[float, ...] | None = None
    published_double: bool = False
    revive: Revival | None = Revival()
    memory: float = 0.999
    start: int = 1000
    half: bool | None = None

    def __post_init__(self) -> None:
        checked_k("MatryoshkaBatchTopK", self.units, self.k)
        checked_memory("MatryoshkaBatchTopK", self.memory, self.start)
        if not self.groups or min(self.groups) < 1 or sum(self.groups) != self.units:
            raise BadInput(
                f"MatryoshkaBatchTopK needs groups of 1 unit or more that sum to its {self.units} "
                f"units; it got {self.groups}, which sum to {sum(self.groups)}. Change these."
            )
        weights = self.weights
        if weights is not None and (
            len(weights) != len(self.groups) or not min(weights) >= 0 or not sum(weights) > 0
        ):
            raise BadInput(
                f"MatryoshkaBatchTopK needs a weight of 0 or more for each of its "
                f"{len(self.groups)} groups, not all 0; it got {weights}. Change these."
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights of equation (1)."""
        count = len(self.groups)
        weights = self.weights or (1 / count,) * count
        return tuple(w / count for w in weights) if self.published_double else weights

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        return followed(listen(begun(rows, self.units, seed, self)))

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (1)."""
        on = together(self, module, rows)
        follow(self, module, on, step, steps)
        value, left = error(module, rows, on, self.groups, self.shares)
        heard(module, on)
        return revived(self.revive, module, rows, (value, left, on), self.half)

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """The units above the threshold, the strongest first."""
        return over(self, module, rows).slots()

    shape, settle = staticmethod(tangent), staticmethod(unit_length)
