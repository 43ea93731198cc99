"""Autoencoders of other libraries: diffusers' two, and the layout of disentangling-vae.

The networks of diffusers are its own.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused
from legenda.models.burgess import Burgess
from legenda.models.loading import loaded, reason_of, short, weights_of
from legenda.models.vae import VAE, from_module, vae_of

LAYOUT = "encoder.mu_logvar_gen.weight"
"""A weight by which a checkpoint of disentangling-vae is known."""
TINY_SIDE = 256
"""A tiny autoencoder takes any size; it is opened at this."""


def open_autoencoder(folder: str | Path, kind: str, ref: str, where: dict[str, Any]) -> VAE:
    """An `AutoencoderKL` or `AutoencoderTiny` of diffusers, from a folder or the hub."""
    import diffusers

    made = loaded(folder, ref, lambda: getattr(diffusers, kind).from_pretrained(folder, **where))
    return diffusers_vae(made, ref=ref)


def diffusers_vae(model: Any, *, ref: str, name: str = "", side: int | None = None) -> VAE:
    """An autoencoder of diffusers in memory; its pixels lie from -1 to 1."""
    size = side or getattr(model.config, "sample_size", None) or TINY_SIDE
    size = (size, size) if isinstance(size, int) else tuple(size)
    about = {"kind": type(model).__name__, "sites": "its latents"}
    return vae_of(
        model.float(), lambda m, x: m.encode(x), lambda m, z: m.decode(z).sample, Preprocess(size),
        int(model.config.in_channels), ref=ref, name=name or short(ref), about=about,
    )  # fmt: skip


def open_disentangled(path: Path, ref: str) -> VAE:
    """A checkpoint in the layout of disentangling-vae: also what `legenda fit-vae` writes."""
    return from_module(disentangled(weights_of(path), path.name), ref=ref, name=path.stem)


def disentangled(weights: dict[str, Tensor], name: str = "this checkpoint") -> Burgess:
    """The network that holds these weights, its shape read off theirs."""
    if not is_disentangled(weights):
        raise Refused(
            f"{name} holds no VAE of the layout of disentangling-vae: {LAYOUT} is missing. "
            "Give the folder of a diffusers model, or package.module:factory."
        )
    deep = len([n for n in weights if re.fullmatch(r"encoder\.conv_?\d+\.weight", n)])
    latents = len(weights[LAYOUT]) // 2
    conditions = weights["decoder.lin1.weight"].shape[1] - latents
    made = Burgess(4 << deep, weights["encoder.conv1.weight"].shape[1], latents, conditions)
    try:
        made.load_state_dict(weights)
    except RuntimeError as error:
        raise Refused(f"{name} does not fit the layout of disentangling-vae: {reason_of(error)}") from None  # fmt: skip # noqa: E501
    return made


def is_disentangled(weights: Any) -> bool:
    """Whether some weights are of that layout."""
    return LAYOUT in weights


def layout_of(module: nn.Module) -> dict[str, Tensor]:
    """The weights of a network as they are published."""
    return {name: tensor.detach().contiguous() for name, tensor in module.state_dict().items()}
