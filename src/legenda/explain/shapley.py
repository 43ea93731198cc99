"""Shapley values of a game by weighted regression, exact or from drawn coalitions.

For coalitions z in {0, 1}^M with scores f(z), f(0) for nobody and f(1) for everybody,

    φ = argmin  Σ_z π(z) (f(z) - f(0) - z·φ)²,     Σ φ = f(1) - f(0)      (1)
    π(z) = (M - 1) / ( C(M, |z|) |z| (M - |z|) )                          (2)

With ψ = φ - (f(1) - f(0)) / M, which sums to zero, z·ψ = (z - mean(z))·ψ, so that (1) is
ordinary least squares in z - mean(z), whose shortest solution sums to zero by itself (3).

References
----------
Lundberg, Lee. A unified approach to interpreting model predictions. NeurIPS 2017.
Covert, Lee. Improving KernelSHAP: practical Shapley value estimation using linear
regression. AISTATS 2021. Drawing each coalition with its opposite.
"""

from collections.abc import Callable
from itertools import product
from math import comb

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.errors import Missing

Coalitions = Float[Tensor, "s m"]


def coalitions(players: int, samples: int, seed: int) -> tuple[Coalitions, Float[Tensor, " s"]]:
    """Coalitions to ask, and their weights: all of them if at most `samples`, else drawn."""
    if players < 2:
        return torch.zeros(0, players), torch.zeros(0)
    size = torch.arange(1, players)
    if players < 31 and 2**players - 2 <= samples:
        z = torch.tensor(list(product([0.0, 1.0], repeat=players))[1:-1])
        chosen = [comb(players, int(k)) * int(k) * (players - int(k)) for k in z.sum(1)]
        return z, (players - 1) / torch.tensor(chosen).double()  # (2)
    lot = torch.Generator().manual_seed(seed)
    chance = 1 / (size * (players - size)).double()  # (2), times the number of that size
    half = (samples + 1) // 2
    count = size[torch.multinomial(chance, half, replacement=True, generator=lot)]
    rank = torch.rand(half, players, generator=lot).argsort(1).argsort(1)
    z = (rank < count[:, None]).float()
    return torch.cat([z, 1 - z]), torch.ones(2 * half, dtype=torch.float64)


def shapley(
    z: Coalitions,
    weight: Float[Tensor, " s"],
    scores: Float[Tensor, " s"],
    nobody: Float[Tensor, ""],
    everybody: Float[Tensor, ""],
) -> Float[Tensor, " m"]:
    """Equation (1), in double precision on the CPU."""
    z, weight, scores = z.double(), weight.double(), scores.double()
    equal = (everybody - nobody).double() / z.shape[1]
    if not len(z):
        return equal.expand(z.shape[1])
    root = weight.sqrt()[:, None]
    rest = (scores - nobody - z.sum(1) * equal)[:, None]
    centred = z - z.mean(1, keepdim=True)
    psi = torch.linalg.lstsq(root * centred, root * rest, driver="gelsd").solution[:, 0]  # (3)
    return equal + psi


def by_captum(
    game: Callable[[Coalitions], Float[Tensor, " s"]],
    players: int,
    samples: int,
    batch: int,
    seed: int,
) -> Float[Tensor, " m"]:
    """The same values by captum, whose draws come from the global generator, put back after."""
    try:
        from captum.attr import KernelShap
    except ImportError:
        raise Missing(
            "KernelShap(by='captum') needs captum, which is not installed. Install it with "
            "`pip install legenda[bench]`, or use by='legenda', which needs nothing."
        ) from None
    everybody = torch.ones(1, players)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return KernelShap(game).attribute(
            everybody,
            baselines=torch.zeros(1, players),
            n_samples=samples,
            perturbations_per_eval=batch,
        )[0]
