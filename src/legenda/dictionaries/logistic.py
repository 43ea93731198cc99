"""Logistic regression with a Gaussian prior, and how unsure it is of its line.

For rows x_i with answers y_i = ±1, and λ the prior's precision,

    w = argmin  (λ/2) ‖w‖² + Σ_i log(1 + exp(-y_i x_i · w))               (1)
    Σ = (λ I + Σ_i p_i (1 - p_i) x_i x_iᵀ)⁻¹                              (2)

(2) is Laplace's: the curve of the loss where it is least. Newton's method needs a handful of steps.

References
----------
MacKay. The evidence framework applied to classification networks. Neural Computation 1992. (2).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

STEPS = 50
"""Newton's method is done long before."""


def fitted(
    x: Float[Tensor, "m e"], y: Float[Tensor, " m"], ridge: float
) -> tuple[Float[Tensor, " e"], Float[Tensor, "e e"]]:
    """Equations (1) and (2) by Newton's method, each step halved until it descends."""
    prior = ridge * torch.eye(x.shape[1], dtype=x.dtype)
    w = x.new_zeros(x.shape[1])
    for _ in range(STEPS):
        slope = ridge * w - x.T @ (y * (-y * (x @ w)).sigmoid())
        if slope.norm() < 1e-10 * (1 + len(y)):
            break
        step, size = torch.linalg.solve(prior + _curve(x, w), slope), 1.0
        while _loss(x, y, w - size * step, ridge) > _loss(x, y, w, ridge) and size > 1e-6:
            size /= 2
        w = w - size * step
    return w, torch.linalg.inv(prior + _curve(x, w))  # (2)


def _loss(x: Tensor, y: Tensor, w: Tensor, ridge: float) -> float:
    return float(0.5 * ridge * w.square().sum() - logsigmoid(y * (x @ w)).sum())  # (1)


def _curve(x: Float[Tensor, "m e"], w: Float[Tensor, " e"]) -> Float[Tensor, "e e"]:
    p = (x @ w).sigmoid()
    return (x * (p * (1 - p))[:, None]).T @ x
