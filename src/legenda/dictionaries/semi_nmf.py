"""Semi-non-negative matrix factorisation: groups of neurons that add up, and groups of these.

For activations A (d n), features F (d k) of any sign and how much of each a position holds,
G (n k) ≥ 0, one takes turns at

    F = A G (GᵀG + 10⁻⁶ I)⁻¹                                              (1)
    F_ij ← 0 unless |F_ij| is among the ⌈p d⌉ largest of column j         (2)
    G_·j ← G_·j / ‖G_·j‖,    F_·j ← F_·j ‖G_·j‖                           (3)
    G ← G ∘ √((AᵀF)⁺ + G (FᵀF)⁻) / ((AᵀF)⁻ + G (FᵀF)⁺ + 10⁻⁶)             (4)

with M⁺ = max(0, M), M⁻ = max(0, -M) and the root over all of the fraction, until ‖A - F Gᵀ‖ no
longer falls. Then G is factored in the same way, G ≈ G' Wᵀ with W ≥ 0, whose columns are parents:
mixtures W_·j of features, with the atoms F W. A new row is read by non-negative least squares.

Differs from the official code: p falls from 1 to what it shall be over the first turns, since a
mask that is tight at once holds on to a wrong choice (`tighten=0` reproduces it). The weights of
children in a parent are not negative, so that a parent holds what its children hold; the levels are
not tuned once more together. It ends in some minimum: of a few seeds keep what leaves the least.

References
----------
Shafran, Geiger, Geva. Decomposing MLP activations into interpretable
features via semi-nonnegative matrix factorization. arXiv 2506.10920, 2025. (2), the levels.
Ding, Li, Jordan. Convex and semi-nonnegative matrix factorizations. IEEE Transactions on Pattern
Analysis and Machine Intelligence 2010. (1), (4), which never raises the error.
Trigeorgis, Bousmalis, Zafeiriou, Schuller. A deep matrix factorization method for learning
attribute representations. IEEE Transactions on Pattern Analysis and Machine Intelligence 2017.
Levels.
"""

from dataclasses import dataclass
from math import ceil, inf
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.dictionaries.autoencoder import Rows, checked_rows
from legenda.dictionaries.linear import LinearDictionary, NonNegative
from legenda.errors import BadInput

RIDGE, FLOOR, GAIN = 1e-6, 1e-6, 1e-6
"""What (1) and (4) add, and the least fall of the error, as a share, that counts as one."""
PATIENCE = 100
"""So many turns without such a fall end it, as published."""

Weights = Float[Tensor, "r k"]


@dataclass(frozen=True)
class SemiNMF:
    """Neuron groups for activations of any sign, and groups of groups, `r d -> k d`.

    Parameters
    ----------
    units: how many groups; more are finer.
    share: p, the share of neurons in a group; larger makes wider groups. None keeps all.
    ranks: how many units each coarser level has, downwards; more levels, a taller hierarchy.
    children: share of the units below that a parent keeps; larger makes broader parents.
    steps: most turns; more come nearer to a minimum.
    tighten: turns over which p falls from 1; more choose neurons later, and better.
    start: G at first, `random`, the absolute left vectors of an `svd`, or members of `k-means`.
    """

    units: int
    share: float | None = 0.01
    ranks: tuple[int, ...] = ()
    children: float | None = 0.25
    steps: int = 500
    tighten: int = 100
    start: Literal["random", "svd", "k-means"] = "random"

    def __post_init__(self):
        falling = (self.units, *self.ranks, 0)
        if any(a <= b for a, b in zip(falling, falling[1:], strict=False)):
            raise BadInput(
                f"SemiNMF needs fewer units on each coarser level; it got {self.units} units and "
                f"the ranks {', '.join(map(str, self.ranks)) or 'none'}. Let them fall."
            )
        for name, share in (("share", self.share), ("children", self.children)):
            if share is not None and not 0 < share <= 1:
                raise BadInput(
                    f"SemiNMF needs a {name} above 0 and up to 1; it got {share}. Change it."
                )
        if self.steps < 1 or self.tighten < 0 or self.start not in BEGINNINGS:
            raise BadInput(
                f"SemiNMF needs a step or more, tighten of 0 or more and a start among "
                f"{', '.join(BEGINNINGS)}; it got {self.steps}, {self.tighten}, "
                f"{self.start!r}. Change these."
            )

    def fit(self, rows: Rows, seed: int = 0) -> LinearDictionary:
        """The groups, and for each coarser level how much of each group its units hold."""
        rows = checked_rows(rows, self.units)
        if self.start == "svd" and self.units > min(rows.shape):
            raise BadInput(
                f"an SVD gives at most {min(rows.shape)} beginnings here, and SemiNMF has "
                f"{self.units} units. Use start='random' or 'k-means'."
            )
        data = rows.detach().double()
        weights, atoms = self.factored(data, self.units, self.share, seed)
        parents: list[Tensor] = []
        for level, rank in enumerate(self.ranks, 1):
            weights, made = self.factored(weights, rank, self.children, seed + level, True)
            parents.append(made.T.to(rows))
        bias = torch.zeros_like(rows[0])
        return LinearDictionary(
            atoms.to(rows), bias, NonNegative(), "semi-nmf", self, tuple(parents)
        )

    def factored(
        self, data: Rows, units: int, share: float | None, seed: int, adds: bool = False
    ) -> tuple[Weights, Float[Tensor, "k d"]]:
        """G, and Fᵀ with rows of unit length; `adds` keeps F from being negative."""
        lot = torch.Generator().manual_seed(seed)
        g = normalize(BEGINNINGS[self.start](data, units, lot), dim=0)
        best, waited = inf, 0
        for turn in range(self.steps):
            f, g = features(data, g, self.loosened(share, turn), adds)
            g = reweighted(data, f, g)
            error = float((data - g @ f).square().sum())
            best, waited = (error, 0) if error < best * (1 - GAIN) else (best, waited + 1)
            if turn < self.tighten:
                best, waited = inf, 0
            if waited >= PATIENCE:
                break
        f, g = features(data, g, share, adds)
        length = f.norm(dim=1)
        return g * length, normalize(f, dim=1)

    def loosened(self, share: float | None, turn: int) -> float | None:
        """P of a turn."""
        if share is None or turn >= self.tighten:
            return share
        return share + (1 - share) * (1 - turn / self.tighten)


def features(
    data: Rows, g: Weights, share: float | None, adds: bool = False
) -> tuple[Float[Tensor, "k d"], Weights]:
    """Equations (1) to (3): Fᵀ, and G with columns of unit length."""
    inner = g.T @ g + RIDGE * torch.eye(g.shape[1]).to(g)
    f = torch.linalg.solve(inner, g.T @ data)  # (1)
    f = strongest(f.clamp(min=0) if adds else f, share)
    length = g.norm(dim=0)
    return f * length[:, None], g / length.clamp(min=1e-12)  # (3)


def strongest(f: Float[Tensor, "k d"], share: float | None) -> Float[Tensor, "k d"]:
    """Equation (2)."""
    if share is None:
        return f
    kept = f.abs().topk(ceil(share * f.shape[1]), dim=1).indices
    return torch.zeros_like(f).scatter(1, kept, f.gather(1, kept))


def reweighted(data: Rows, f: Float[Tensor, "k d"], g: Weights) -> Weights:
    """Equation (4)."""
    cross, inner = data @ f.T, f @ f.T
    up = cross.clamp(min=0) + g @ (-inner).clamp(min=0)
    down = (-cross).clamp(min=0) + g @ inner.clamp(min=0) + FLOOR
    return g * (up / down).sqrt()


def drawn(data: Rows, units: int, lot: torch.Generator) -> Weights:
    """Weights drawn evenly from 0 to 1."""
    return torch.rand(len(data), units, generator=lot, dtype=torch.float64).to(data)


def spectral(data: Rows, units: int, lot: torch.Generator) -> Weights:
    """Absolute left singular vectors."""
    return torch.linalg.svd(data, full_matrices=False).U[:, :units].abs()


def clustered(data: Rows, units: int, lot: torch.Generator) -> Weights:
    """Membership in clusters, lifted by 0.2 so that (4) can move what is 0."""
    from sklearn.cluster import KMeans

    settings: dict[str, Any] = {"n_init": 1, "random_state": lot.initial_seed() % (1 << 32)}
    label = KMeans(units, **settings).fit_predict(data.cpu().numpy())
    return torch.nn.functional.one_hot(torch.from_numpy(label).long(), units).to(data) + 0.2


BEGINNINGS = {"random": drawn, "svd": spectral, "k-means": clustered}
