"""Non-negative least squares for many rows at once.

For atoms d_i with G_ij = d_i · d_j and a row x with t_i = x · d_i,

    z = argmin_{z ≥ 0} ‖x - Σ_i z_i d_i‖²                                 (1)

is reached exactly where, of the slopes w = t - G z, none is positive, and those of the units that
are on, P, are 0. A few sweeps over all units come near,

    z_i ← max(0, z_i + w_i / G_ii)                                        (2)

and tell who is probably on. From there P is solved for, and everyone who is on the wrong side
changes it, until nobody is:

    z_P = G_PP⁻¹ t_P,    P ← P Δ {i ∈ P: z_i < 0} Δ {i ∉ P: w_i > 0}      (3)

Where that stops making progress, only the last of them changes, which ends. A row that (3) cannot
settle, since its atoms say the same, is swept until it rests. No row is looked at through another,
so that batching changes no result.

References
----------
Franc, Hlaváč, Navara. Sequential coordinate-wise algorithm for the non-negative least squares
problem. CAIP 2005. (2).
Portugal, Júdice, Vicente. A comparison of block pivoting and interior-point algorithms for linear
least squares problems with nonnegative variables. Mathematics of Computation 1994. (3).
Kim, Park. Fast nonnegative matrix factorization: an active-set-like method and comparisons. SIAM
Journal on Scientific Computing 2011. (3) for many rows.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FIRST, ROUNDS, SWEEPS = 16, 100, 2000
"""Sweeps before (3), rounds of (3), and sweeps of a row that (3) did not settle."""
PATIENCE = 3
"""So many rounds of (3) may leave as many on the wrong side as ever."""
HELD = 1 << 22
"""So many numbers of the systems (3) are held at once."""

Columns = Float[Tensor, "k r"]


def non_negative(
    rows: Float[Tensor, "r d"], atoms: Float[Tensor, "k d"], tolerance: float = 1e-9
) -> Float[Tensor, "r k"]:
    """Equation (1), in the precision of `rows`; give float64 for the optimum of scipy's `nnls`.

    `tolerance` is a slope that counts as 0, as a share of the steepest at the start.
    """
    gram, target = atoms @ atoms.T, atoms @ rows.T
    z = swept(gram, target, torch.zeros_like(target), FIRST)
    z, sure = exchanged(gram, target, z, tolerance)
    if not sure.all():
        z[:, ~sure] = swept(gram, target[:, ~sure], z[:, ~sure].clamp(min=0), SWEEPS, tolerance)
    return z.T


def swept(
    gram: Float[Tensor, "k k"], target: Columns, z: Columns, sweeps: int, tolerance: float = -1.0
) -> Columns:
    """Equation (2); a row rests when no weight moves by more than a share of the largest."""
    found, left = z.clone(), torch.arange(z.shape[1], device=z.device)
    units = gram.diagonal().nonzero()[:, 0].tolist()
    slope = target - gram @ z
    for _ in range(sweeps):
        before = z.clone()
        for i in units:
            moved = (z[i] + slope[i] / gram[i, i]).clamp(min=0)  # (2)
            slope.addr_(gram[i], moved - z[i], alpha=-1)
            z[i] = moved
        found[:, left] = z
        moving = (z - before).abs().amax(0) > tolerance * z.amax(0)
        if not moving.any():
            break
        left, slope, z = left[moving], slope[:, moving], z[:, moving]
    return found


def exchanged(
    gram: Float[Tensor, "k k"], target: Columns, z: Columns, tolerance: float
) -> tuple[Columns, Bool[Tensor, " r"]]:
    """Equation (3) from who is on in `z`, and which rows it settled."""
    found, settled = z.clone(), torch.zeros(z.shape[1], dtype=torch.bool, device=z.device)
    left, held, slack = torch.arange(z.shape[1]), z > 0, tolerance * target.abs().amax(0)
    fewest = torch.full((z.shape[1],), len(z) + 1)
    patience = torch.full_like(fewest, PATIENCE)
    for _ in range(ROUNDS):
        z = solved(gram, target[:, left], held)
        slope = target[:, left] - gram @ z
        wrong = torch.where(held, z < 0, slope > slack[left])
        count = wrong.sum(0)
        found[:, left], settled[left] = z, count == 0
        fewer = count < fewest
        patience = torch.where(fewer, PATIENCE, patience - 1)
        fewest = torch.minimum(count, fewest)
        held = held ^ torch.where(patience >= 0, wrong, last(wrong))  # (3)
        stay = count > 0
        if not stay.any():
            break
        left, held, fewest, patience = left[stay], held[:, stay], fewest[stay], patience[stay]
    return found, settled


def last(wrong: Bool[Tensor, "k r"]) -> Bool[Tensor, "k r"]:
    """The last unit of each row that is on the wrong side."""
    return wrong & (wrong.flip(0).cumsum(0).flip(0) == 1)


def solved(gram: Float[Tensor, "k k"], target: Columns, held: Bool[Tensor, "k r"]) -> Columns:
    """Equation (3) for each row's own units, a few rows at a time."""
    most = max(1, int(held.sum(0).max()))
    share = max(1, HELD // most**2)
    place = held.T.to(torch.uint8).topk(most, dim=1).indices
    parts = zip(place.split(share), held.T.split(share), target.T.split(share), strict=True)
    return torch.cat([_solved(gram, *part) for part in parts]).T


def _solved(
    gram: Float[Tensor, "k k"],
    place: Int[Tensor, "r j"],
    held: Bool[Tensor, "r k"],
    target: Float[Tensor, "r k"],
) -> Float[Tensor, "r k"]:
    """As many places as the fullest row needs; empty ones solve 1 · 0 = 0."""
    filled = held.gather(1, place)
    both = filled[:, :, None] & filled[:, None, :]
    system = gram[place[:, :, None], place[:, None, :]].where(both, 0.0)
    corner = system.diagonal(dim1=1, dim2=2)
    corner.mul_(1 + 16 * torch.finfo(gram.dtype).eps).masked_fill_(~filled, 1.0)
    factor, failed = torch.linalg.cholesky_ex(system)
    right = target.gather(1, place).where(filled, 0.0)
    weight = torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]
    weight = weight.where(filled & (failed == 0)[:, None], 0.0)
    return torch.zeros_like(target).scatter(1, place, weight)
