"""Sparse autoencoders: activations as few of many atoms, read and written by two linear maps.

For an activation x of width d and k units, with reading directions e_i, atoms d_i and a bias b,

    a_i = e_i · (x - b) + c_i                                             (1)
    z   = rule(a),     z ≥ 0 and mostly 0                                 (2)
    x̂   = Σ_i z_i d_i + b                                                 (3)

Papers differ in the rule (2), in what else is learned, and in the loss. Each has a file here with a
frozen dataclass, its `Learner`; the numbers it learns live in a `SparseAutoencoder`.

References
----------
Bricken, Templeton, Batson, et al. Towards monosemanticity: decomposing language models with
dictionary learning. Transformer Circuits Thread 2023. (1) to (3).
Gao, Dupré la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu. Scaling and evaluating
sparse autoencoders. ICLR 2025. The bias as a geometric median, the encoder as the decoder's
transpose at the start.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from legenda.core.codes import Codes
from legenda.core.dictionary import weighted_atoms
from legenda.core.target import digest
from legenda.errors import BadInput, ShapeError
from legenda.types import Acts, Atoms

ROWS = 4096
"""So many positions are encoded at once: what is k wide exists for these only."""

APART = 40_507
"""Atoms are not drawn from the seed itself: rows that someone made from it would hold them."""

Rows = Float[Tensor, "r d"]
Slots = tuple[Int[Tensor, "r j"], Float[Tensor, "r j"]]
"""Which units are on at each row, and how strongly; padded slots weigh 0."""


@runtime_checkable
class Learner(Protocol):
    """How one paper learns a dictionary: a frozen dataclass, whose fields are its settings."""

    @property
    def units(self) -> int: ...
    def begin(self, rows: Rows, seed: int) -> "SparseAutoencoder":
        """A dictionary before its first step; `rows` are a sample of what it will see."""
        ...

    def loss(
        self, module: "SparseAutoencoder", rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        """What a step of `steps` descends on, and figures of it (such as fvu, l0, dead)."""
        ...

    def slots(self, module: "SparseAutoencoder", rows: Rows) -> Slots:
        """Equation (2) as it is used once learned: the units that are on at each row."""
        ...


class SparseAutoencoder(nn.Module):
    """A learned dictionary, `b n d -> b n j`.

    Parameters
    ----------
    encoder: reading directions e (k d).
    offset: what is added to each reading, c (k).
    decoder: atoms d (k d).
    bias: b (d).
    learner: the paper it was learned by, which knows the rule.
    name: what it is called in addresses.
    """

    def __init__(
        self,
        encoder: Atoms,
        offset: Float[Tensor, " k"],
        decoder: Atoms,
        bias: Float[Tensor, " d"],
        learner: Learner,
        name: str = "sae",
    ):
        super().__init__()
        if encoder.shape != decoder.shape or offset.shape != encoder.shape[:1]:
            raise ShapeError(
                f"SparseAutoencoder needs an encoder and a decoder (k d) and k offsets; it got "
                f"{tuple(encoder.shape)}, {tuple(decoder.shape)} and {tuple(offset.shape)}."
            )
        self.encoder, self.offset = nn.Parameter(encoder), nn.Parameter(offset)
        self.decoder, self.bias = nn.Parameter(decoder), nn.Parameter(bias)
        self.learner, self.name = learner, name

    def __repr__(self) -> str:
        k, d = self.decoder.shape
        return f"SparseAutoencoder({k} × {d}, {self.learner}, {digest(self.atoms)})"

    def __len__(self) -> int:
        return len(self.decoder)

    @property
    def atoms(self) -> Atoms:
        """What each unit writes; a paper may make its atoms of something else than `decoder`."""
        made = getattr(self.learner, "atoms", None)
        return (made(self) if made else self.decoder).detach()

    def readings(self, rows: Rows) -> Float[Tensor, "r k"]:
        """Equation (1)."""
        return torch.addmm(self.offset, rows - self.bias, self.encoder.T)

    @torch.no_grad()
    def encode(self, acts: Acts) -> Codes:
        """The units that are on; how many slots there are depends on the fullest position."""
        if acts.shape[-1] != self.decoder.shape[1]:
            raise ShapeError(
                f"{self.name} holds atoms of width {self.decoder.shape[1]}; the acts have width "
                f"{acts.shape[-1]}. Use a dictionary that was fitted at this site."
            )
        rows = acts.reshape(-1, acts.shape[-1]).to(self.decoder.dtype)
        found = [self.learner.slots(self, part) for part in rows.split(ROWS)]
        widest = max((index.shape[1] for index, _ in found), default=1)
        index = torch.cat([padded(index, widest, len(self)) for index, _ in found])
        weight = torch.cat([nn.functional.pad(w, (0, widest - w.shape[1])) for _, w in found])
        shape = (*acts.shape[:-1], widest)
        return Codes(index.view(shape), weight.view(shape).to(acts.dtype), len(self))

    @torch.no_grad()
    def decode(self, codes: Codes) -> Acts:
        """Equation (3)."""
        return weighted_atoms(codes, self.atoms.to(codes.weight)) + self.bias.to(codes.weight)


def padded(index: Int[Tensor, "r j"], slots: int, units: int) -> Int[Tensor, "r i"]:
    """As many slots as asked for; new ones name units that are in no slot of their row."""
    missing = slots - index.shape[1]
    if missing <= 0:
        return index
    if slots > units:
        raise ShapeError(f"{units} units fill {units} slots at most; {slots} were asked for.")
    taken = torch.zeros(len(index), slots + 1, dtype=torch.bool, device=index.device)
    taken.scatter_(1, index.clamp(max=slots), True)  # of the first units enough are free
    free = taken[:, :-1].to(torch.uint8).argsort(dim=1, stable=True)[:, :missing]
    return torch.cat([index, free], 1)


def on(readings: Float[Tensor, "r k"], above: Float[Tensor, ""] | float = 0.0) -> Slots:
    """The units whose reading is above a threshold, the strongest first."""
    held = readings.where(readings > above, 0.0)
    most = max(1, int((held > 0).sum(1).max())) if len(held) else 1
    weight, index = held.topk(most, dim=1)
    return index, weight


def checked_rows(rows: Rows, units: int) -> Rows:
    """Rows that a dictionary can be learned from, or the reason why not."""
    if rows.ndim != 2 or not rows.isfinite().all():
        bad = int((~rows.isfinite()).flatten(1).any(1).sum()) if rows.ndim > 1 else 0
        raise BadInput(
            f"a dictionary is learned from finite activations (r d); it got the shape "
            f"{tuple(rows.shape)} with {bad} rows that hold NaN or infinity. Check the model."
        )
    if len(rows) < units:
        raise BadInput(
            f"{units} units need {units} activations or more to begin from; there are "
            f"{len(rows)}. Give more images, or ask for fewer units."
        )
    flat = (rows == rows[:1]).all(0)
    if flat.any():
        raise BadInput(
            f"{int(flat.sum())} of {rows.shape[1]} columns of the activations are constant (the "
            f"first is {int(flat.nonzero()[0])}). Open the model at a site that varies."
        )
    return rows


def geometric_median(rows: Rows, steps: int = 100, tolerance: float = 1e-6) -> Float[Tensor, " d"]:
    """The point with the least summed distance to all rows, by Weiszfeld's iteration.

    References
    ----------
    Weiszfeld. Sur le point pour lequel la somme des distances de n points donnés est minimum.
    Tohoku Mathematical Journal 1937.
    """
    point = rows.mean(0)
    for _ in range(steps):
        near = 1 / (rows - point).norm(dim=1).clamp(min=1e-8)
        following = (near[:, None] * rows).sum(0) / near.sum()
        if float((following - point).norm()) <= tolerance * float(point.norm() + 1e-12):
            return following
        point = following
    return point


@torch.no_grad()
def tangent(module: SparseAutoencoder, grads: dict[str, Tensor]) -> None:
    """Take from the atoms' gradient what would only make atoms longer or shorter."""
    grad, atoms = grads.get("decoder"), module.decoder.detach()
    if grad is not None:
        grad.addcmul_(torch.linalg.vecdot(grad, atoms)[:, None], atoms, value=-1)


@torch.no_grad()
def unit_length(module: SparseAutoencoder) -> None:
    """Bring each atom back to length 1; one of no length stays as it is."""
    module.decoder.div_(module.decoder.norm(dim=1, keepdim=True).clamp(min=1e-12))


def begun(
    rows: Rows, units: int, seed: int, learner: Learner, *, centred: bool = True, name: str = "sae"
) -> SparseAutoencoder:
    """Atoms of unit length in directions drawn by lot, the encoder their copy."""
    rows = checked_rows(rows, units)
    lot = torch.Generator().manual_seed(1_000_003 * seed + APART)
    atoms = nn.functional.normalize(torch.randn(units, rows.shape[1], generator=lot), dim=1)
    bias = geometric_median(rows) if centred else torch.zeros(rows.shape[1])
    return SparseAutoencoder(
        atoms.clone(), torch.zeros(units), atoms, bias.to(atoms), learner, name
    )  # fmt: skip
