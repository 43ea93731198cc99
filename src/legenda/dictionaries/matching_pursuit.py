"""Matching pursuit: the code of a row is found step by step, each step on what the last one left.

There is no encoder to learn. With atoms of unit length d_j = v_j / ‖v_j‖ and r_0 = x - b,

    j   = argmax_j r_(t-1) · d_j                                          (1)
    z_j ← z_j + w_t,        w_t = ReLU(r_(t-1) · d_j)                     (2)
    r_t = r_(t-1) - w_t d_j,        t = 1 … k                             (3)
    L   = ‖r_k‖² / s²                                                     (4)

A row ends before k where w_t = 0, where ‖r_t‖ < tolerance · s, or with the first step that finds a
unit again, so that no unit is new; s² is the mean of ‖x - b‖² over the rows that it began from.
Gradients pass through all steps. Since the atoms have unit length, r_t is orthogonal to the atom of
its step and ‖r_t‖² = ‖r_(t-1)‖² - w_t², so that no step makes a row worse, and a learned dictionary
may be read with any k. A parent's atom goes first, and its children are told apart in what it
leaves.

What (1) reads follows from step to step without r, by the products of the atoms:

    r_t · d_i = r_(t-1) · d_i - w_t (d_j · d_i)                           (5)

Differs from the official code: v is divided by its length in each forward pass, not once before
training (without unit length both facts above are false); steps are k at most, and b is taken from
rows; the tolerance is a share of s.

References
----------
Costa, Fel, Lubana, Tolooshams, Ba. From flat to hierarchical: extracting sparse representations
with matching pursuit. NeurIPS 2025. (1) to (4).
Mallat, Zhang. Matching pursuits with time-frequency dictionaries. IEEE Transactions on Signal
Processing 1993. (1), (3) and (5).
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from legenda.dictionaries.autoencoder import Rows, Slots, SparseAutoencoder, begun
from legenda.dictionaries.scale import measure, scale, told
from legenda.dictionaries.sparse_gradient import spared
from legenda.errors import BadInput
from legenda.types import Atoms

Steps = tuple[Int[Tensor, "r s"], Float[Tensor, "r s"]]
"""The unit and the weight w of each step; a row that has ended has w = 0."""


@dataclass(frozen=True)
class MatchingPursuit:
    """Codes by unrolled matching pursuit, `r d -> r k`, in the order in which units were found.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: steps, and units that are on at most; larger explains more. It may be changed once learned.
    tolerance: a row ends when what is left is shorter, as a share of s; larger ends sooner.
    repeat: whether a row goes on after it has found a unit again, which explains more with as
        many units on; as published it does not.
    """

    units: int
    k: int = 12
    tolerance: float = 0.0
    repeat: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.units or not 0 <= self.tolerance < 1:
            raise BadInput(
                f"MatchingPursuit takes from 1 to {self.units} steps, as many as it has units, and "
                f"a tolerance from 0 to 1; it got k={self.k} and {self.tolerance}. Change these."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        """Its encoder is a copy of the atoms, so that readings are those of the first step."""
        return measure(begun(rows, self.units, seed, self), rows)

    def atoms(self, module: SparseAutoencoder) -> Atoms:
        """The directions of v, of unit length."""
        return nn.functional.normalize(module.decoder, dim=1)

    def settle(self, module: SparseAutoencoder) -> None:
        """Let the encoder follow."""
        with torch.no_grad():
            module.encoder.copy_(self.atoms(module))

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (4): the steps are chosen first, then gone once more with their gradient."""
        atoms = self.atoms(module)
        with torch.no_grad():
            picks, found = pursuit(self, module, rows, atoms @ atoms.T)
        r = rows - module.bias
        for pick, weight in zip(picks.T, found.T, strict=True):
            d = nn.functional.embedding(pick, atoms)
            w = (r * d).sum(1).relu().where(weight > 0, 0.0)
            r = r - w[:, None] * d  # (3)
        loss = r.square().sum() / (len(rows) * scale(module) ** 2)  # (4)
        return loss, told(module, rows, r, merged(picks, found))

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """Equations (1) and (2), from the products of the atoms alone."""
        return merged(*pursuit(self, module, rows, products(module)))


def pursuit(
    learner: MatchingPursuit,
    module: SparseAutoencoder,
    rows: Rows,
    gram: Float[Tensor, "k k"],
) -> Steps:
    """Equations (1), (2) and (5)."""
    r = rows - module.bias
    left, enough = r.square().sum(1), (learner.tolerance * scale(module)) ** 2
    readings = r @ learner.atoms(module).T
    going, picks, found = left > enough, [], []
    for _ in range(learner.k):
        w, j = readings.max(1)  # (1)
        w = w.relu().where(going, 0.0)  # (2)
        readings.addcmul_(w[:, None], gram[j], value=-1)  # (5)
        left = left - w.square()
        going = going & (left > enough)
        for before in () if learner.repeat else picks:
            going &= before != j
        picks.append(j)
        found.append(w)
    return torch.stack(picks, 1), torch.stack(found, 1)


KEPT: WeakKeyDictionary[SparseAutoencoder, tuple[Atoms, Tensor]] = WeakKeyDictionary()


def products(module: SparseAutoencoder) -> Float[Tensor, "k k"]:
    """All d_j · d_i, made once for the same atoms."""
    atoms = module.atoms
    known = KEPT.get(module)
    if known and known[0].device == atoms.device and torch.equal(known[0], atoms):
        return known[1]
    KEPT[module] = (atoms, atoms @ atoms.T)
    return KEPT[module][1]


def merged(picks: Int[Tensor, "r s"], found: Float[Tensor, "r s"]) -> Slots:
    """One slot for each unit that was found, with all its weight; other slots name spare units."""
    same = (picks[:, :, None] == picks[:, None, :]) & (found > 0)[:, :, None]
    first = same.to(torch.uint8).argmax(1)
    weight = torch.zeros_like(found).scatter_add(1, first, found)
    return spared(picks.where(weight > 0, -1)), weight
