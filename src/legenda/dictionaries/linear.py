"""Linear dictionaries: atoms that classical methods found, and the rule that reads codes off them.

For a row x, atoms d_i and a bias b, what is written is affine, and a rule chooses the weights z:

    x̂ = Σ_i z_i d_i + b                                                   (1)
    z_i = (x - b) · d_i / ‖d_i‖²                       a projection       (2)
    z_i = 1 for the atom nearest to x, else 0          the nearest        (3)
    z = argmin_{z ≥ 0} ‖x - b - Σ_i z_i d_i‖²          least squares      (4)

References
----------
Lawson, Hanson. Solving least squares problems. Prentice-Hall 1974. (4), which is solved in
`least_squares`.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.codebook import Codebook
from legenda.core.codes import Codes
from legenda.core.dictionary import weighted_atoms
from legenda.core.target import digest
from legenda.dictionaries.autoencoder import ROWS, Rows, Slots, on, padded
from legenda.dictionaries.least_squares import non_negative
from legenda.errors import BadInput, ShapeError
from legenda.types import Acts, Atoms


@runtime_checkable
class Rule(Protocol):
    """How codes are read off atoms: a frozen dataclass, whose fields are its settings."""

    def slots(self, rows: Rows, atoms: Atoms) -> Slots:
        """The units that are on at each row, and how strongly."""
        ...


@dataclass(frozen=True)
class Projection:
    """Equation (2), each atom on its own.

    Parameters
    ----------
    most: so many units stay on at a row, those that weigh the most; more explain more. None
        keeps all.
    signed: whether a weight may be negative; where not, such a unit is off.
    """

    most: int | None = None
    signed: bool = False

    def __post_init__(self):
        if self.most is not None and self.most < 1:
            raise BadInput(
                f"Projection keeps 1 unit or more; it got most={self.most}. None keeps all."
            )

    def slots(self, rows: Rows, atoms: Atoms) -> Slots:
        length = atoms.square().sum(1).clamp(min=torch.finfo(atoms.dtype).tiny)
        weight = rows @ atoms.T / length  # (2)
        if not self.signed and (self.most is None or self.most >= len(atoms)):
            return on(weight)
        if self.most is None or self.most >= len(atoms):
            return torch.arange(len(atoms), device=rows.device).expand(weight.shape), weight
        size = weight.abs() if self.signed else weight.clamp(min=0)
        index = size.topk(self.most, dim=1).indices
        weight = weight.gather(1, index)
        return index, weight if self.signed else weight.clamp(min=0)


@dataclass(frozen=True)
class Nearest:
    """Equation (3): one unit per row.

    Parameters
    ----------
    weight: what the one unit weighs: `one`; the `projection` of the row on it, as in (2), which
        decodes nearer; or their `cosine`, which says how typical a row is. The last two are 0
        where a row points away from its atom.
    """

    weight: Literal["one", "projection", "cosine"] = "one"

    def __post_init__(self):
        if self.weight not in ("one", "projection", "cosine"):
            raise BadInput(
                f"Nearest weighs by 'one', 'projection' or 'cosine'; it got {self.weight!r}. "
                "Choose one."
            )

    def slots(self, rows: Rows, atoms: Atoms) -> Slots:
        index = Codebook(atoms).nearest(rows[None])[0][0]
        nearest = atoms[index]
        if self.weight == "one":
            return index[:, None], torch.ones_like(rows[:, :1])
        along, length = (rows * nearest).sum(1), nearest.norm(dim=1)
        scale = length.square() if self.weight == "projection" else length * rows.norm(dim=1)
        weight = along / scale.clamp(min=torch.finfo(rows.dtype).tiny)
        return index[:, None], weight.clamp(min=0)[:, None]


@dataclass(frozen=True)
class NonNegative:
    """Equation (4), the best mixture that only adds: at most d units are on."""

    def slots(self, rows: Rows, atoms: Atoms) -> Slots:
        return on(non_negative(rows.double(), atoms.double()).to(rows.dtype))


class LinearDictionary:
    """Atoms, a bias and a rule, `b n d -> b n j`.

    Parameters
    ----------
    atoms: directions or points (k d).
    bias: b (d), what is written where no unit is on.
    rule: how codes are read.
    name: what it is called in addresses.
    learner: the settings it was fitted with, or None.
    parents: how much each unit weighs in each unit of the next, coarser level (k, fewer), level
        by level; empty where there is no hierarchy.
    """

    def __init__(
        self,
        atoms: Atoms,
        bias: Float[Tensor, " d"],
        rule: Rule,
        name: str = "linear",
        learner: Any = None,
        parents: tuple[Tensor, ...] = (),
    ):
        if atoms.ndim != 2 or not len(atoms) or bias.shape != atoms.shape[1:]:
            raise ShapeError(
                f"LinearDictionary needs atoms (k d) and a bias (d); it got {tuple(atoms.shape)} "
                f"and {tuple(bias.shape)}."
            )
        sizes = [len(atoms), *(p.shape[1] for p in parents)]
        if [len(p) for p in parents] != sizes[:-1]:
            raise ShapeError(
                f"each level of parents has a row for each unit of the level below; {len(atoms)} "
                f"units got {', '.join(str(tuple(p.shape)) for p in parents)}."
            )
        self.atoms, self.bias = atoms.detach().contiguous(), bias.detach()
        self.rule, self.name, self.learner, self.parents = rule, name, learner, parents

    def __repr__(self) -> str:
        k, d = self.atoms.shape
        return f"LinearDictionary({k} × {d}, {self.learner or self.rule}, {digest(self.atoms)})"

    def __len__(self) -> int:
        return len(self.atoms)

    def encode(self, acts: Acts) -> Codes:
        """The units that are on; how many slots there are depends on the fullest position."""
        if acts.shape[-1] != self.atoms.shape[1]:
            raise ShapeError(
                f"{self.name} holds atoms of width {self.atoms.shape[1]}; the acts have width "
                f"{acts.shape[-1]}. Use a dictionary that was fitted at this site."
            )
        precise = torch.promote_types(acts.dtype, torch.float32)
        atoms, bias = (t.to(acts.device, precise) for t in (self.atoms, self.bias))
        rows = acts.detach().reshape(-1, acts.shape[-1]).to(precise) - bias
        found = [self.rule.slots(part, atoms) for part in rows.split(ROWS)]
        widest = max((index.shape[1] for index, _ in found), default=1)
        index = torch.cat([padded(index, widest, len(self)) for index, _ in found])
        weight = torch.cat([torch.nn.functional.pad(w, (0, widest - w.shape[1])) for _, w in found])
        shape = (*acts.shape[:-1], widest)
        return Codes(index.reshape(shape), weight.reshape(shape).to(acts.dtype), len(self))

    def decode(self, codes: Codes) -> Acts:
        """Equation (1)."""
        return weighted_atoms(codes, self.atoms.to(codes.weight)) + self.bias.to(codes.weight)

    def coarser(self, level: int) -> "LinearDictionary":
        """The dictionary `level` levels up, whose atoms are mixtures of those below."""
        if not 0 <= level <= len(self.parents):
            raise BadInput(
                f"{self.name} has {len(self.parents)} coarser levels; there is no level {level}."
            )
        atoms = self.atoms
        for weights in self.parents[:level]:
            atoms = weights.T.to(atoms) @ atoms
        name = f"{self.name}-{len(atoms)}" if level else self.name
        return LinearDictionary(
            atoms, self.bias, self.rule, name, self.learner, self.parents[level:]
        )
