"""Vector-quantised autoencoders of other libraries: diffusers, taming-transformers, transformers.

The networks are the libraries' own. What we add is where the quantiser sits: `encode` ends
before it, `unquantise` begins after it, and the codebook lies between.
"""

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from legenda.core.codebook import Codebook
from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused
from legenda.models.loading import built, loaded, short, weights_of
from legenda.models.vq import VQ, vq_of

TRANSFORMERS = {
    "chameleon_vqgan": "ChameleonVQVAE",
    "emu3_vqgan": "Emu3VQVAE",
    "janus_vqgan": "JanusVQVAE",
}
"""By `model_type`; Chameleon's has no decoder."""
AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
"""Those of diffusers that have latents and no codebook: `vae_hub` opens them."""
EMU3_SIDE = 256
"""Emu3's takes any size; this one is opened at this."""
TAMING = "encoder.mid.block_1.norm1.weight"
"""A weight by which a checkpoint of taming-transformers is known."""


def open_diffusers(folder: str | Path, ref: str, where: dict[str, Any]) -> VQ:
    """A `VQModel` of diffusers, from a folder or the hub."""
    from diffusers import AutoencoderKL, VQModel  # pyright: ignore

    config = loaded(folder, ref, lambda: VQModel.load_config(folder, **where))
    kind = config.get("_class_name", "nothing")
    if kind != "VQModel":
        what = "has no codebook" if kind == AutoencoderKL.__name__ else "is not opened here"
        raise Refused(
            f"{ref} is a {kind}, which {what}. Give a VQModel, or fit a codebook to it with "
            "legenda.models.fitted.open_autoencoder."
        )
    model = loaded(folder, ref, lambda: VQModel.from_pretrained(folder, **where))
    return diffusers_vq(model, ref=ref)


def diffusers_vq(model: Any, *, ref: str, name: str = "") -> VQ:
    """A `VQModel` of diffusers in memory."""
    side = model.config.sample_size
    size = (side, side) if isinstance(side, int) else tuple(side)
    return vq_of(
        model.float(), Codebook(model.quantize.embedding.weight), _encode_2d,
        lambda m, z: m.decode(z, force_not_quantize=True).sample,
        Preprocess(size), ref=ref, name=name or short(ref),
    )  # fmt: skip


def open_taming(path: Path, ref: str, size: int = 256) -> VQ:
    """A VQGAN of taming-transformers: its weights by other names in the same network."""
    return diffusers_vq(from_taming(weights_of(path), size), ref=ref, name=path.stem)


def from_taming(weights: dict[str, Tensor], size: int = 256) -> nn.Module:
    """The `VQModel` of diffusers that holds these weights, its shape read off theirs.

    Losses and discriminators are left out. Attention is by 1 × 1 convolutions there and by
    linear maps here.
    """
    from diffusers import VQModel  # pyright: ignore

    if TAMING not in weights:
        raise Refused(
            f"these weights are of no VQGAN of taming-transformers: {TAMING} is missing. "
            "Give the checkpoint of a VQModel."
        )
    config = _taming_config(weights, size)
    renamed = {}
    for name, tensor in weights.items():
        new = taming_name(name, len(config["block_out_channels"]))
        if new is not None:
            flat = re.search(r"attentions\.\d+\.to_", new) and tensor.ndim == 4
            renamed[new] = tensor[:, :, 0, 0] if flat else tensor
    model = VQModel(**config)
    missing, unknown = model.load_state_dict(renamed, strict=False)
    if missing or unknown:
        raise Refused(
            f"these weights do not fit a VQGAN of taming-transformers: {len(missing)} are missing "
            f"and {len(unknown)} unknown (for instance {[*missing, *unknown][0]})."
        )
    return model


def taming_name(name: str, levels: int) -> str | None:
    """What diffusers calls a weight of taming; None for what is no part of the autoencoder."""
    if name.startswith("loss.") or not re.match(r"(encoder|decoder|quant|post_quant)", name):
        return None
    level = re.match(r"(encoder|decoder)\.(down|up)\.(\d+)\.(.*)", name)
    if level:
        side, way, number, rest = level.groups()
        place = int(number) if way == "down" else levels - 1 - int(number)
        rest = rest.replace("downsample.", "downsamplers.0.").replace("upsample.", "upsamplers.0.")
        rest = re.sub(r"^block\.", "resnets.", re.sub(r"^attn\.", "attentions.", rest))
        name = f"{side}.{way}_blocks.{place}.{rest}"
    name = name.replace(".mid.block_1.", ".mid_block.resnets.0.")
    name = name.replace(".mid.block_2.", ".mid_block.resnets.1.")
    name = name.replace(".mid.attn_1.", ".mid_block.attentions.0.")
    name = name.replace(".norm_out.", ".conv_norm_out.").replace(
        ".nin_shortcut.", ".conv_shortcut."
    )
    for old, new in (("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")):  # fmt: skip # noqa: E501
        name = re.sub(rf"(attentions\.\d+)\.{old}\.", rf"\1.{new}.", name)
    return name


def _taming_config(weights: dict[str, Tensor], size: int) -> dict[str, Any]:
    """The shape of the network, read off the weights."""
    levels = 1 + max(int(m[1]) for m in map(re.compile(r"encoder\.down\.(\d+)").match, weights) if m)  # fmt: skip # noqa: E501
    widths = [len(weights[f"encoder.down.{i}.block.0.conv1.weight"]) for i in range(levels)]
    depth = sum(f"encoder.down.0.block.{j}.conv1.weight" in weights for j in range(99))
    attends = [f"encoder.down.{i}.attn.0.q.weight" in weights for i in range(levels)]
    if len(weights["encoder.conv_in.weight"]) != widths[0]:
        raise Refused(
            f"this VQGAN begins {len(weights['encoder.conv_in.weight'])} channels wide and goes on "
            f"with {widths[0]}; only a first multiplier of 1 can be opened."
        )
    down = ["AttnDownEncoderBlock2D" if a else "DownEncoderBlock2D" for a in attends]
    up = ["AttnUpDecoderBlock2D" if a else "UpDecoderBlock2D" for a in reversed(attends)]
    entries, dim = weights["quantize.embedding.weight"].shape
    return {
        "block_out_channels": tuple(widths), "layers_per_block": depth,
        "down_block_types": tuple(down), "up_block_types": tuple(up),
        "latent_channels": weights["quant_conv.weight"].shape[1],
        "num_vq_embeddings": entries, "vq_embed_dim": dim, "sample_size": size,
        "in_channels": weights["encoder.conv_in.weight"].shape[1],
        "out_channels": len(weights["decoder.conv_out.weight"]),
    }  # fmt: skip


def open_transformers(folder: str | Path, kind: str, ref: str, where: dict[str, Any]) -> VQ:
    """The VQ autoencoder of Chameleon, Emu3 or Janus, from a folder or the hub."""
    import transformers

    return transformers_vq(built(getattr(transformers, TRANSFORMERS[kind]), folder, ref, where), ref=ref)  # fmt: skip # noqa: E501


def transformers_vq(model: Any, *, ref: str) -> VQ:
    """A VQ autoencoder of transformers in memory."""
    kind, book = model.config.model_type, Codebook(model.quantize.embedding.weight)
    encode, unquantise, size = _encode_2d, None, EMU3_SIDE
    if kind == "emu3_vqgan":
        encode, unquantise = _encode_emu3, _decode_emu3
    elif kind == "janus_vqgan":
        unquantise = _decode_janus
        size = model.config.num_patches << (len(model.config.channel_multiplier) - 1)
    else:
        size = model.config.resolution
    return vq_of(
        model, book, encode, unquantise, Preprocess((size, size)), ref=ref, name=short(ref)
    )


def kind_of(folder: Path) -> str | None:
    """`diffusers`, one of its other autoencoders, a `model_type` of transformers, or None."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    if "_class_name" in config:
        named = str(config["_class_name"])
        return named if named in AUTOENCODERS else "diffusers"
    kind = config.get("model_type")
    return kind if kind in TRANSFORMERS else None


def _encode_2d(model: Any, x: Tensor) -> Tensor:
    return model.quant_conv(model.encoder(x))


def _decode_janus(model: Any, z: Tensor) -> Tensor:
    return model.decoder(model.post_quant_conv(normalize(z, dim=1)))


def _encode_emu3(model: Any, x: Tensor) -> Tensor:
    """A picture is a video of as many equal frames as are one token."""
    frames = x[:, None].expand(-1, model.config.temporal_downsample_factor, -1, -1, -1)
    return model.quant_conv(model.encoder(frames).transpose(1, 2))[:, :, 0]


def _decode_emu3(model: Any, z: Tensor) -> Tensor:
    entries = z[:, :, None]
    after = model.post_quant_conv(entries)
    video = model.decoder(after.transpose(1, 2), entries.transpose(1, 2))
    return video.unflatten(0, (len(z), -1))[:, 0] if video.ndim == 4 else video[:, 0]
