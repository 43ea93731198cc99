"""Non-negative matrix factorisation: activations as sums of parts, where nothing is taken away.

    X ≈ Z D,    Z ≥ 0 (r k),    D ≥ 0 (k d)                               (1)
    min Σ d_β(X | Z D) + l1 ‖Z‖₁                                          (2)

d_2 is half the squared error, d_1 the generalised Kullback-Leibler divergence, d_0 that of Itakura
and Saito. Atoms are then made of unit length. A new row is read by non-negative least squares.

References
----------
Lee, Seung. Learning the parts of objects by non-negative matrix factorization. Nature 1999. (1).
Févotte, Idier. Algorithms for nonnegative matrix factorization with the β-divergence. Neural
Computation 2011. (2).
Cichocki, Phan. Fast local algorithms for large scale nonnegative matrix and tensor factorizations.
IEICE Transactions 2009. How (2) is descended where β = 2.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from legenda.dictionaries.autoencoder import Rows, checked_rows
from legenda.dictionaries.linear import LinearDictionary, NonNegative
from legenda.errors import BadInput
from legenda.types import Atoms


@dataclass(frozen=True)
class NMF:
    """Parts that only add, for activations that are never negative, `r d -> k d`.

    Parameters
    ----------
    units: how many parts; more are finer.
    beta: β of (2); smaller cares for small activations as for large ones.
    l1: price of the weights, per row and column; larger leaves fewer parts on.
    steps: most steps; more come nearer to a minimum.
    tolerance: descent of a step, as a share of all so far, that goes on; larger stops sooner.
    """

    units: int
    beta: float = 2.0
    l1: float = 0.0
    steps: int = 400
    tolerance: float = 1e-4

    def __post_init__(self):
        if self.units < 1 or self.steps < 1 or self.l1 < 0 or self.tolerance < 0:
            raise BadInput(
                f"NMF needs a unit and a step or more, and an l1 and a tolerance of 0 or more; it "
                f"got units={self.units}, steps={self.steps}, l1={self.l1}, "
                f"tolerance={self.tolerance}. Change these."
            )

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """Equation (2), from a beginning drawn by lot."""
        rows = checked_rows(rows, self.units)
        below = int((rows < 0).sum())
        if below:
            raise BadInput(
                f"NMF needs activations that are never negative; {below} of {rows.numel()} are, "
                f"down to {float(rows.min()):.3g}. Use SemiNMF, or a site after a ReLU."
            )
        if self.beta <= 0 and bool((rows == 0).any()):
            raise BadInput(
                f"NMF with beta={self.beta} compares by ratios, and {int((rows == 0).sum())} "
                "activations are 0. Use a beta above 0."
            )
        atoms = self._atoms(rows, seed)
        nothing = torch.zeros_like(atoms[0])
        return LinearDictionary(atoms, nothing, NonNegative(), "nmf", self)

    def _atoms(self, rows: Rows, seed: int) -> Atoms:
        from sklearn.decomposition import NMF as Factors
        from sklearn.exceptions import ConvergenceWarning

        # begun by lot: an SVD gives zeros, which multiplicative steps never leave, and d units
        settings: dict[str, Any] = {
            "n_components": self.units, "init": "random", "random_state": seed,
            "solver": "cd" if self.beta == 2 else "mu", "beta_loss": self.beta,
            "alpha_W": self.l1, "alpha_H": 0.0, "l1_ratio": 1.0,
            "tol": self.tolerance, "max_iter": self.steps,
        }  # fmt: skip
        factors = Factors(**settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `steps` says how long
            factors.fit(rows.detach().cpu().double().numpy())
        found = torch.from_numpy(factors.components_)
        return torch.nn.functional.normalize(found, dim=1).to(rows)
