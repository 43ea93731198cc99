"""A dictionary writes activations as codes over units, and codes as activations.

Neurons and latent dimensions are the identity dictionary, codebook tokens are a
nearest-neighbour dictionary, SAE features are a learned one. Methods need not know.
"""

from typing import Protocol, runtime_checkable

import torch

from legenda.core.codes import Codes
from legenda.types import Acts, Atoms


@runtime_checkable
class Dictionary(Protocol):
    """k atoms of width d. Decoding is affine in the atoms: a contract test says so."""

    name: str

    @property
    def atoms(self) -> Atoms: ...
    def encode(self, acts: Acts) -> Codes: ...
    def decode(self, codes: Codes) -> Acts: ...


class Identity:
    """Every activation axis is a unit: neurons, or the latent dimensions of a VAE."""

    def __init__(self, width: int, name: str = "neurons"):
        self.name, self.width = name, width

    def __repr__(self) -> str:
        return f"Identity({self.width}, {self.name!r})"

    @property
    def atoms(self) -> Atoms:
        return torch.eye(self.width)

    def __len__(self) -> int:
        return self.width

    def encode(self, acts: Acts) -> Codes:
        k = acts.shape[-1]
        return Codes(torch.arange(k, device=acts.device).expand(acts.shape), acts, k)

    def decode(self, codes: Codes) -> Acts:
        return codes.dense()


def weighted_atoms(codes: Codes, atoms: Atoms) -> Acts:
    """Sum the atoms that are on, each times its weight, without a k-wide array."""
    b, n, j = codes.index.shape
    flat = torch.nn.functional.embedding_bag(
        codes.index.reshape(-1, j),
        atoms,
        mode="sum",
        per_sample_weights=codes.weight.reshape(-1, j),
    )
    return flat.unflatten(0, (b, n))
