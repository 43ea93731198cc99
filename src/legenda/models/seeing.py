"""Any model that takes pictures, opened for a survey of its units.

    zoo:photos@patches, zoo:photos@patches(0.5)    patches in the space of sentences (`Dense`)
    zoo:photos@features.13, hf:ORG/NAME@9          the activations of a site, as neurons
    zoo:photos                                     patches where it has them, else its usual site

What a dictionary is fitted to, or a survey is made of, is opened again by the `ref` it remembers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from legenda.core.model import Edit, Model, Prefix, Run, prefix_of
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Unsupported
from legenda.models.dense import Dense
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.opening import open_model
from legenda.models.vq import VQ
from legenda.types import Acts, Images

PATCHES = re.compile(r"patches(?:\(([^()]*)\))?")
SITE = re.compile(PATCHES.pattern + r"|embeddings|\d{1,3}|image=.*|text=.*")


@dataclass(frozen=True)
class Seeing:
    """A model at a site, with what turns pictures into its input."""

    model: Model[Any]
    preprocess: Preprocess
    ref: str
    device: torch.device

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def grid(self) -> tuple[int, int] | None:
        return self.model.grid

    @property
    def module(self) -> nn.Module:
        """The network whose activations are read."""
        inside: Any = self.model
        return inside.root if hasattr(inside, "root") else inside.module

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures as the model takes them."""
        return torch.stack([self.preprocess.apply(p) for p in pictures]).to(self.device)

    def acts(self, x: Images) -> Acts:
        return self.model.acts(x)

    def run(self, x: Images, edit: Edit | None = None) -> Run:
        return self.model.run(x, edit)

    def prefix(self, x: Images) -> Prefix:
        return prefix_of(self.model, x)


def open_seeing(ref: str, device: str = "cpu") -> Dense | Seeing | VQ:
    """Open a model for a survey: see above for what `ref` may be."""
    base, site = parted(ref)
    patches = PATCHES.fullmatch(site)
    if patches:
        return Dense(_dual(open_model(base, device=device), ref), _gamma(patches[1], ref))
    opened = open_model(base, site or None, device=device)
    if isinstance(opened, VQ):
        return opened
    if isinstance(opened, Dual) and not site:
        try:
            return Dense(opened)
        except Unsupported:
            pass
    if isinstance(opened, Dual | Encoder):
        image: Any = opened.image
        place = next(iter(image.parameters())).device
        return Seeing(image, opened.preprocess, ref if site else f"{ref}@{image.ref.rpartition('@')[2]}", place)  # fmt: skip # noqa: E501
    raise Unsupported(
        "a survey", "a model that says how it takes pictures (a dual encoder, an encoder or a VQ)",
        ref, "Wrap it in a `legenda.models.seeing.Seeing` with its preprocessing.",
    )  # fmt: skip


def parted(ref: str) -> tuple[str, str]:
    """A model and its site; the latter is empty where none is named.

    After `hf:`, an @ may begin a revision: what follows the last one is a site where it reads as
    one. A folder may have an @ in its name.
    """
    base, at, site = ref.rpartition("@")
    if not at or (ref.startswith("hf:") and not SITE.fullmatch(site)) or Path(ref).exists():
        return ref, ""
    return base, site


def _dual(opened: Any, ref: str) -> Dual:
    if not isinstance(opened, Dual):
        raise Unsupported(
            "@patches", "a dual encoder, whose patches meet sentences", ref,
            "Name a site of it instead, or leave @patches out.",
        )  # fmt: skip
    return opened


def _gamma(said: str | None, ref: str) -> float | None:
    try:
        return None if said is None else float(said)
    except ValueError:
        raise BadInput(
            f"{ref} names no least likeness: write @patches(0.5), or @patches for the usual one."
        ) from None
