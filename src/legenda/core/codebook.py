"""The codebook: every activation is written as the entry that lies nearest to it.

    i(a) = argmin_k ‖a - c_k‖²,      ‖a - c_k‖² = ‖a‖² - 2 a·c_k + ‖c_k‖²      (1)

One slot per position, of weight 1. The lowest number wins a tie.

References
----------
Van den Oord, Vinyals, Kavukcuoglu. Neural discrete representation learning.
NeurIPS 2017. (1), as a layer of a network.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codes import Codes
from legenda.core.dictionary import weighted_atoms
from legenda.core.target import digest
from legenda.errors import BadInput, ShapeError
from legenda.types import Acts, Atoms, Tokens

CHUNK = 1 << 24
"""So many distances are held at once."""


class Codebook:
    """A vector quantiser's entries as units, `b n d -> b n 1`.

    Parameters
    ----------
    atoms: the entries (k d).
    name: what it is called in addresses.
    """

    def __init__(self, atoms: Atoms, name: str = "codebook"):
        if atoms.ndim != 2 or not len(atoms):
            raise ShapeError(
                f"Codebook needs entries as rows (k d); it got the shape {tuple(atoms.shape)}."
            )
        if not atoms.isfinite().all():
            raise BadInput(
                f"Codebook needs finite entries; {int((~atoms.isfinite()).any(1).sum())} of "
                f"{len(atoms)} hold NaN or infinity. Check the checkpoint."
            )
        self.atoms, self.name = atoms.detach(), name

    def __repr__(self) -> str:
        k, d = self.atoms.shape
        return f"Codebook({k} × {d}, {digest(self.atoms)})"

    def __len__(self) -> int:
        return len(self.atoms)

    def encode(self, acts: Acts) -> Codes:
        index = self.nearest(acts)[0][..., None]
        return Codes(index, torch.ones_like(index, dtype=acts.dtype), len(self))

    def decode(self, codes: Codes) -> Acts:
        return weighted_atoms(codes, self.atoms.to(codes.weight))

    def embed(self, tokens: Tokens) -> Acts:
        """The entries that tokens stand for."""
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < len(self):
            raise BadInput(
                f"token {int(tokens.min()) if tokens.min() < 0 else int(tokens.max())} is not in "
                f"{self.name}, which has {len(self)} entries, numbered from 0."
            )
        return self.atoms[tokens]

    def nearest(self, acts: Acts) -> tuple[Tokens, Float[Tensor, "b n"]]:
        """Equation (1): which entry is nearest to each activation, and at what distance."""
        parts = [gaps.min(1) for gaps in self._gaps(acts)]
        index = torch.cat([part.indices for part in parts]).view(acts.shape[:-1])
        distance = (acts - self.atoms[index].to(acts)).norm(dim=-1)
        return index, distance

    def soft(self, acts: Acts, temperature: float = 1.0) -> Float[Tensor, "b n k"]:
        """Shares of all entries, softmax of minus the squared distance over `temperature`."""
        if not temperature > 0:
            raise BadInput(f"Codebook needs a temperature above 0; it got {temperature}.")
        shares = [(-gaps / temperature).softmax(1) for gaps in self._gaps(acts)]
        return torch.cat(shares).unflatten(0, tuple(acts.shape[:-1]))

    def neighbours(self, count: int) -> Int[Tensor, "k count"]:
        """The entries nearest to each entry, itself left out."""
        found = []
        for start, gaps in zip(
            range(0, len(self), self._rows), self._gaps(self.atoms[None]), strict=True
        ):
            own = torch.arange(start, start + len(gaps), device=gaps.device)
            gaps[torch.arange(len(gaps)), own] = torch.inf
            found.append(gaps.topk(count, largest=False).indices)
        return torch.cat(found)

    @property
    def _rows(self) -> int:
        return max(1, CHUNK // len(self))

    def _gaps(self, acts: Acts) -> Iterator[Float[Tensor, "r k"]]:
        """Squared distances to all entries, a few rows at a time."""
        if acts.shape[-1] != self.atoms.shape[1]:
            raise ShapeError(
                f"{self.name} holds entries of width {self.atoms.shape[1]}; the acts have width "
                f"{acts.shape[-1]}. Use the codebook of this model."
            )
        atoms = self.atoms.to(acts)
        length = atoms.square().sum(1)
        for part in acts.reshape(-1, acts.shape[-1]).split(self._rows):
            yield torch.addmm(length, part, atoms.T, alpha=-2) + part.square().sum(1)[:, None]
