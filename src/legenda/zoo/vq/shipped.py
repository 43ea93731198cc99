"""`zoo:vq` as it ships: an autoencoder with its codebook, a prior, and a concept model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from legenda.concepts.model import ConceptModel
from legenda.concepts.storage import load_concepts
from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput
from legenda.models.prior import PriorNetwork, TokenPrior
from legenda.models.vq import VQ, vq_of, with_prior
from legenda.zoo.vq.close_up import SIDE
from legenda.zoo.vq.data import CONCEPTS
from legenda.zoo.vq.network import VQNetwork, weighed

FOLDER = Path(__file__).parent / "weights"


def open_vq(site: Any = None, folder: Path = FOLDER) -> VQ:
    """Open the shipped model, or one that `legenda zoo train vq` wrote."""
    if site:
        raise BadInput("zoo:vq is opened at its tokens; it has no other site. Leave --site out.")
    network = weighed(VQNetwork(), folder / "vq.safetensors")
    book = Codebook(network.codebook)
    about = {
        "kind": f"VQ autoencoder with a prior, {len(book)} entries of width {book.atoms.shape[1]}",
        "sites": "its tokens",
        "trained on": "CIFAR-10, and close-ups of drawn scenes",
    }
    vq = vq_of(network, book, _encode, _decode, Preprocess((SIDE, SIDE)), ref="zoo:vq", name="vq", about=about)  # fmt: skip # noqa: E501
    prior = folder / "prior.safetensors"
    if not prior.exists():
        return vq
    made = weighed(PriorNetwork(len(book), len(CONCEPTS), vq.grid), prior)
    return with_prior(vq, TokenPrior(made, CONCEPTS))


def concept_model(vq: VQ, name: str = "cnn", folder: Path = FOLDER) -> ConceptModel:
    """A shipped concept model of `vq`, opened on its tokens; it reads pictures too."""
    found = load_concepts(folder / f"concepts-{name}", vq.codebook)
    return replace(found, tokenize=vq.tokens, name=f"vq/{name}", ref=f"zoo:vq/{name}")


def _encode(network: nn.Module, x: Tensor) -> Tensor:
    return network.encode(x)  # pyright: ignore


def _decode(network: nn.Module, z: Tensor) -> Tensor:
    return network.decode(z)  # pyright: ignore
