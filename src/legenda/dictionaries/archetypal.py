"""Archetypal SAE: atoms are made of activations, so that two runs find nearly the same ones.

Points c_p stand for all the data: the means of many clusters, or a sample. Each atom is a mixture
of them, and may leave their hull by a little:

    d_i = Σ_p W_ip c_p + Λ_i,      W_ip ≥ 0,  Σ_p W_ip = 1,  ‖Λ_i‖ ≤ δ s  (1)
    x̂   = Top_k(ReLU(a)) D + b                                            (2)
    L   = ‖x - x̂‖² / s²                                                   (3)

with s² the mean of ‖x - b‖² over the rows that it began from, less whose b the points are given.
δ = 0 is the archetypal SAE proper: each atom is a mean of activations, with weights that can be
read. Rows of W are softmax(τ V). The points depend on the rows and on a seed of their own, never
on that of the run.

Differs from the official code: theirs cuts W at 0 and divides it by its sum before each forward
pass; atoms are not scaled by one more number that is learned, as the encoder finds the scale; δ is
a share of s.

References
----------
Fel, Lubana, Prince, Kowal, Boutin, Papadimitriou, Wang, Wattenberg, Ba, Konkle. Archetypal SAE:
adaptive and stable dictionary learning for concept extraction in large vision models. ICML 2025.
(1) to (3).
Cutler, Breiman. Archetypal analysis. Technometrics 1994. Mixtures of data that data are made of.
"""

from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.dictionaries.autoencoder import Rows, Slots, SparseAutoencoder, begun
from legenda.dictionaries.k_means import KMeans
from legenda.dictionaries.scale import measure, scale, told, written
from legenda.dictionaries.selection import strongest
from legenda.errors import BadInput
from legenda.types import Atoms

SHARPNESS = 30.0
"""τ: at the learning rates of the other learners a mixture finds its few points in time."""


@dataclass(frozen=True)
class Archetypal:
    """The k strongest units of each row, whose atoms are mixtures of activations, `r d -> k d`.

    Parameters
    ----------
    units: how many atoms; more split what they find more finely.
    k: units that are on at a row; more explain more.
    relax: δ, how far an atom may lie from the hull, as a share of s; larger explains more, and
        is less stable.
    candidates: how many points span the hull; more make it larger.
    points: "means" of clusters, or a "sample", which reaches further out and is noisier.
    seed: of the points.
    """

    units: int
    k: int = 12
    relax: float = 0.0
    candidates: int = 1024
    points: Literal["means", "sample"] = "means"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.units:
            raise BadInput(
                f"Archetypal keeps from 1 to {self.units} units on, as many as it has; it got "
                f"k={self.k}. Lower k, or raise units."
            )
        if not self.relax >= 0 or self.candidates < 2 or self.points not in ("means", "sample"):
            raise BadInput(
                f"Archetypal needs relax of 0 or more and two candidates or more, means or a "
                f"sample; it got relax={self.relax}, candidates={self.candidates} and "
                f"points={self.points!r}. Change these."
            )

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        """Each atom begins between the mean of all points and one that is drawn for it."""
        module = measure(begun(rows, self.units, seed, self), rows)
        module.register_buffer("points", self.chosen(rows - module.bias.detach()))
        lot = torch.Generator().manual_seed(seed)
        rounds = 1 + self.units // self.candidates  # no two at one point while there are enough
        drawn = [torch.randperm(self.candidates, generator=lot) for _ in range(rounds)]
        place = torch.cat(drawn)[: self.units]
        mixture = nn.functional.one_hot(place, self.candidates).to(module.bias)
        mixture *= log(self.candidates) / SHARPNESS
        module.register_parameter("mixture", nn.Parameter(mixture))
        if self.relax:
            module.register_parameter("detour", nn.Parameter(torch.zeros_like(module.decoder)))
        self.settle(module)
        with torch.no_grad():
            module.encoder.copy_(nn.functional.normalize(module.decoder, dim=1))
        return module

    def chosen(self, rows: Rows) -> Float[Tensor, "p d"]:
        """The points c."""
        if len(rows) < self.candidates:
            raise BadInput(
                f"Archetypal needs {self.candidates} activations or more to choose as many "
                f"candidates from; it begins with {len(rows)}. Raise the batch, or lower "
                "candidates."
            )
        if self.points == "means":
            return KMeans(self.candidates, tries=1).fit(rows, self.seed).atoms
        lot = torch.Generator().manual_seed(self.seed)
        return rows[torch.randperm(len(rows), generator=lot)[: self.candidates]]

    def atoms(self, module: SparseAutoencoder) -> Atoms:
        """Equation (1)."""
        atoms = weights_of(module) @ module.get_buffer("points")
        return atoms + module.get_parameter("detour") if self.relax else atoms

    @torch.no_grad()
    def settle(self, module: SparseAutoencoder) -> None:
        """Bring Λ back to where (1) wants it; the decoder holds the atoms that are made."""
        if self.relax:
            detour, most = module.get_parameter("detour"), self.relax * scale(module)
            detour *= (most / detour.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        module.decoder.copy_(self.atoms(module))

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Equation (3)."""
        weight, index = module.readings(rows).topk(self.k, dim=1)
        slots = index, weight.relu()
        rest = rows - module.bias - written(self.atoms(module), slots)
        loss = rest.square().sum() / (len(rows) * scale(module) ** 2)  # (3)
        return loss, told(module, rows, rest, slots)

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        """The code of (2), the strongest first."""
        return strongest(rows - module.bias, module.encoder, module.offset, self.k).slots()


def weights_of(module: SparseAutoencoder) -> Float[Tensor, "k p"]:
    """W: of which points each atom is made, and how much of each."""
    return (SHARPNESS * module.get_parameter("mixture")).softmax(1)
