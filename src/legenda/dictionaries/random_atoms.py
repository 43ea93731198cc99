"""Controls: dictionaries that learned nothing, beside which every learned one is shown.

    u_i drawn evenly from the sphere, or ± the axes of the space itself   (1)
    z_i = max(0, (x - b) · u_i) for the `most` largest, else 0            (2)

with b the mean of the rows. What a table of measures says of these is what it says of chance: of
random directions, and of the neurons as they are.

References
----------
Muller. A note on a method for generating points uniformly on n-dimensional spheres. Communications
of the ACM 1959. (1).
"""

from dataclasses import dataclass

import torch

from legenda.dictionaries.autoencoder import Rows, checked_rows
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.errors import BadInput
from legenda.types import Atoms


@dataclass(frozen=True)
class RandomAtoms:
    """Directions drawn by lot, `r d -> k d`.

    Parameters
    ----------
    units: how many directions; more lie nearer to any row.
    most: how many are on at a row, at most; as many as the dictionary that it is a control of.
    """

    units: int
    most: int = 12

    def __post_init__(self):
        if not 1 <= self.most <= self.units:
            raise BadInput(
                f"RandomAtoms has from 1 to {self.units} units on, all that it has; "
                f"most={self.most} is outside. Ask for fewer."
            )

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """Equation (1); of the rows only their mean is used."""
        rows = checked_rows(rows, self.units)
        lot = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.units, rows.shape[1], generator=lot, dtype=torch.float64)
        return control(rows, torch.nn.functional.normalize(drawn, dim=1), self.most, "random", self)


@dataclass(frozen=True)
class Axes:
    """Neurons as units: two for each axis, one for its high values and one for its low.

    Parameters
    ----------
    most: how many are on at a row, at most; as many as the dictionary that it is a control of.
    """

    most: int = 12

    def __post_init__(self):
        if self.most < 1:
            raise BadInput(f"Axes has a unit on or more; most={self.most}. Ask for more.")

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """Unit 2i is axis i, and unit 2i + 1 is its opposite; nothing is drawn by lot."""
        rows = checked_rows(rows, 1)
        axes = torch.eye(rows.shape[1], dtype=torch.float64)
        both = torch.stack([axes, -axes], 1).flatten(0, 1)
        return control(rows, both, self.most, "axes", self)


def control(
    rows: Rows, atoms: Atoms, most: int, name: str, learner: RandomAtoms | Axes
) -> LinearDictionary:
    """Equation (2)."""
    bias = rows.double().mean(0).to(rows)
    return LinearDictionary(atoms.to(rows), bias, Projection(most), name, learner)
