"""Variational sparse autoencoder: codes are drawn while it learns, and pay for what they say.

With readings a, activations of width d, and u² the mean square of a coordinate of x - b over the
rows that it began from,

    μ = ReLU(a) / u,      z = u Top_k(μ + σ ε),      ε ~ N(0, 1)          (1)
    L = (‖x - x̂(z)‖² / u² + β Σ_i KL(N(μ_i, σ_i²) ‖ N(0, 1))) / d         (2)
    KL = (μ² + σ² - 1 - log σ²) / 2,      which is μ² / 2 for σ = 1       (3)

σ is one number, or is read from the row: log σ² = g · (x - b) + h for each unit (`sigma=None`).
Once learned, nothing is drawn: z = Top_k(ReLU(a)).

The hope was that noise pushes units apart. It is kept as a negative result: beside TopK with as
many units and the same k, more units are dead and more is left unexplained, in the paper and here.

Differs from the paper: u, which makes what σ = 1 drowns independent of the unit of the
activations; for rows that are standardised, (2) is theirs but for the factor 1/d.

References
----------
Baker, Li. Analysis of variational sparse autoencoders. arXiv 2509.22994, 2025. All equations.
Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014. Gradients through a draw.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    begun,
    tangent,
    unit_length,
)
from legenda.dictionaries.scale import measure, scale, told, written
from legenda.dictionaries.selection import strongest
from legenda.errors import BadInput

PRIME = 1_000_003
"""Steps of one seed draw other noise than those of the next, for so many steps."""


@dataclass(frozen=True)
class Variational:
    """The k strongest units of each row, which it learns through noise, `r d -> k d`.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: units that are on at a row; more explain more.
    beta: β, the price of information; larger draws all codes towards nothing but noise.
    sigma: σ, the noise in units of u; larger drowns more units. None learns it.
    seed: of the noise.
    """

    units: int
    k: int = 12
    beta: float = 0.1
    sigma: float | None = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.units:
            raise BadInput(
                f"Variational keeps from 1 to {self.units} units on, as many as it has; it got "
                f"k={self.k}. Lower k, or raise units."
            )
        if not self.beta >= 0 or not (self.sigma is None or self.sigma > 0):
            raise BadInput(
                f"Variational needs beta of 0 or more, and sigma above 0 or None; it got "
                f"beta={self.beta} and sigma={self.sigma}. As published sigma is 1."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        """Where σ is learned it begins as 1, everywhere."""
        module = measure(begun(rows, self.units, seed, self), rows)
        if self.sigma is None:
            g, h = torch.zeros_like(module.encoder), torch.zeros_like(module.offset)
            module.register_parameter("spread", nn.Parameter(g))
            module.register_parameter("spread_offset", nn.Parameter(h))
        return module

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (2)."""
        count, width = rows.shape
        u = scale(module) / width**0.5
        mu, variance = module.readings(rows).relu() / u, self.variance(module, rows)
        lot = torch.Generator().manual_seed(self.seed * PRIME + step)
        noise = torch.randn(mu.shape, generator=lot).to(mu)
        weight, index = (mu + variance.sqrt() * noise).topk(self.k, dim=1)  # (1)
        rest = rows - module.bias - written(module.decoder, (index, u * weight))
        information = (mu.square() + variance - 1 - variance.log()).sum() / 2  # (3)
        loss = (rest.square().sum() / u**2 + self.beta * information) / (count * width)  # (2)
        figures = told(module, rows, rest, (index, weight))
        return loss, {**figures, "kl": float(information.detach()) / count}

    def variance(self, module: SparseAutoencoder, rows: Rows) -> Float[Tensor, "r k"]:
        """σ² of each unit at each row."""
        if self.sigma is not None:
            return rows.new_full((len(rows), self.units), self.sigma**2)
        spread, offset = module.get_parameter("spread"), module.get_parameter("spread_offset")
        return torch.addmm(offset, rows - module.bias, spread.T).exp()

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """The k largest readings, the strongest first."""
        return strongest(rows - module.bias, module.encoder, module.offset, self.k).slots()

    shape, settle = staticmethod(tangent), staticmethod(unit_length)
