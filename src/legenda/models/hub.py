"""Models in the folder layout of Hugging Face: CLIP, SigLIP, SigLIP2, ViT and DINOv2.

The library builds them; remote code stays off. What we add is where their parts are
(`Anatomy`), what goes in, and which positions are special.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from legenda.corpus.view_box import Preprocess
from legenda.errors import LegendaError, Missing, Refused
from legenda.models.dual import Dual
from legenda.models.module import self_check
from legenda.models.towers import Anatomy, Tower
from legenda.models.words import Words
from legenda.types import Mask

DUAL = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}
ENCODERS = {
    "vit": Anatomy("embeddings", "layers"),
    "dinov2": Anatomy("embeddings", "encoder.layer"),
    "dinov2_with_registers": Anatomy("embeddings", "encoder.layer"),
}
Site = dict[str, int | str]


@dataclass(frozen=True)
class Encoder:
    """A vision encoder or classifier, with what turns pictures into its input."""

    image: Tower
    preprocess: Preprocess
    name: str
    ref: str
    labels: dict[int, str] | None = None


def open_folder(folder: str | Path, *, site: Site | None = None, ref: str = "", revision: str | None = None) -> Dual | Encoder:  # fmt: skip # noqa: E501
    """Open a folder (or, with `ref` `hf:…`, a name on the hub) in Hugging Face layout."""
    from transformers import AutoConfig

    where = {"revision": revision, "trust_remote_code": False}
    where["local_files_only"] = offline() or Path(folder).exists()
    config = _loaded(folder, ref, lambda: AutoConfig.from_pretrained(folder, **where))
    kind = config.model_type
    if kind not in DUAL and kind not in ENCODERS:
        known = ", ".join([*DUAL, *ENCODERS])
        raise Refused(
            f"{ref or folder} is a {kind!r} model; legenda opens {known}. "
            "Open any other module by `package.module:factory` and a dotted site."
        )
    if kind in DUAL:
        return _open_dual(folder, kind, config, site or {}, ref or str(folder), where)
    return _open_encoder(folder, kind, config, site or {}, ref or str(folder), where)


def offline() -> bool:
    """Whether `LEGENDA_OFFLINE` forbids the network."""
    return os.environ.get("LEGENDA_OFFLINE", "") not in ("", "0")


def _loaded(folder: str | Path, ref: str, load: Callable[[], Any]) -> Any:
    """Call a loader of transformers; say in one sentence what went wrong."""
    named = ref or str(folder)
    try:
        with quietly():
            return load()
    except LegendaError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        if ref.startswith("hf:") and offline():
            raise Missing(
                f"{named} is not in the local Hugging Face cache, and LEGENDA_OFFLINE forbids "
                "the network. Unset it, or download the model beforehand."
            ) from None
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        raise Refused(
            f"{named} cannot be opened as a Hugging Face model: {reason} "
            "Check its config.json and its weights."
        ) from None


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the bars and hints of transformers, and put its settings back."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def built(cls: Any, folder: str | Path, ref: str, where: dict[str, Any]) -> nn.Module:
    """Weights into a model, in float32; a checkpoint of another architecture is refused."""
    model, info = _loaded(
        folder, ref,
        lambda: cls.from_pretrained(
            folder, **where, dtype=torch.float32, output_loading_info=True, use_safetensors=None
        ),
    )  # fmt: skip
    missing = [k for k in info["missing_keys"] if not k.endswith("position_ids")]
    mismatched = info.get("mismatched_keys") or []
    if missing or mismatched:
        first = sorted(map(str, [*missing, *mismatched]))[0]
        raise Refused(
            f"{ref} holds the weights of another architecture: {len(missing)} weights of "
            f"{cls.__name__} are missing and {len(mismatched)} have another shape "
            f"(for instance {first}). Check config.json against the checkpoint."
        )
    return model.eval().requires_grad_(False)


def _open_dual(
    folder: str | Path, kind: str, config: Any, site: Site, ref: str, where: dict[str, Any]
) -> Dual:
    import transformers

    model = built(getattr(transformers, DUAL[kind]), folder, ref, where)
    tokenizer = _loaded(
        folder, ref, lambda: transformers.AutoTokenizer.from_pretrained(folder, **where)
    )
    preprocess = _preprocess(folder, ref, where, config.vision_config)
    return dual_of(model, tokenizer, preprocess, site=site, ref=ref)


def dual_of(
    model: Any, tokenizer: Any, preprocess: Preprocess, *, site: Site | None = None, ref: str
) -> Dual:
    """A dual encoder of transformers that is already in memory, opened and self-checked."""
    site, kind, name = site or {}, model.config.model_type, short(ref)
    vision, text = model.config.vision_config, model.config.text_config
    words = Words(
        tokenizer,
        text.max_position_embeddings,
        pad_to_length=kind != "clip",
        model=name,
    )
    rows = _rows(vision)
    image = Tower(
        model,
        Anatomy(
            "vision_model.embeddings",
            "vision_model.encoder.layers",
            ("vision_model.pre_layrnorm",) if kind == "clip" else (),
        ),
        _block(site, "image", vision, name),
        see_naflex if kind == "siglip2" else see,
        lambda x, n: leading(x, n, 1 if kind == "clip" else 0),
        (rows, rows),
        name=f"{name}/image",
        ref=f"{ref}/image",
        pooled=first_position if kind == "clip" else None,
    )

    def read(root: Any, ids: Tensor) -> Tensor:
        # SigLIP was trained to look at its padding; CLIP never sees it.
        mask = words.valid(ids).long() if kind == "clip" else None
        return root.get_text_features(input_ids=ids, attention_mask=mask).pooler_output

    reader = Tower(
        model,
        Anatomy("text_model.embeddings", "text_model.encoder.layers"),
        _block(site, "text", text, name),
        read,
        lambda ids, n: (words.special(ids), words.valid(ids)),
        None,
        name=f"{name}/text",
        ref=f"{ref}/text",
        pooled=words.ends if kind == "clip" else None,
    )
    dual = Dual(image, reader, preprocess, words, name, ref, _about(model, kind))
    check(dual)
    return dual


def check(dual: Dual) -> None:
    """Run both towers on a small input and refuse what does not behave."""
    h, w = dual.preprocess.size
    lot = torch.Generator().manual_seed(0)
    self_check(dual.image, torch.randn(1, 3, h, w, generator=lot).to(dual.device))
    self_check(dual.text, dual.ids(["a red house on sand"]))


def see(root: Any, x: Tensor) -> Tensor:
    """Image embeddings, projected, by the library's own `get_image_features`."""
    return root.get_image_features(pixel_values=x).pooler_output


def see_naflex(root: Any, x: Tensor) -> Tensor:
    """The same for SigLIP2, which takes pictures as rows of patches."""
    patch = root.config.vision_config.patch_size
    b, _, h, w = x.shape
    rows, columns = h // patch, w // patch
    cut = x.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))  # b c r p q p
    flat = cut.permute(0, 2, 4, 3, 5, 1).reshape(b, rows * columns, -1)
    mask = torch.ones(b, rows * columns, dtype=torch.int32, device=x.device)
    shapes = torch.tensor([[rows, columns]] * b)
    return root.get_image_features(
        pixel_values=flat, pixel_attention_mask=mask, spatial_shapes=shapes
    ).pooler_output


def leading(x: Tensor, n: int, special: int) -> tuple[Mask, Mask]:
    """Marks of an image tower: the first positions are special, all are valid."""
    marks = torch.zeros(len(x), n, dtype=torch.bool, device=x.device)
    marks[:, :special] = True
    return marks, torch.ones_like(marks)


def first_position(x: Tensor) -> Tensor:
    """The class token is what is pooled."""
    return torch.zeros(len(x), dtype=torch.long, device=x.device)


def _open_encoder(
    folder: str | Path, kind: str, config: Any, site: Site, ref: str, where: dict[str, Any]
) -> Encoder:
    import transformers

    classifies = any("ForImageClassification" in a for a in config.architectures or [])
    cls = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    model = built(cls, folder, ref, where)
    preprocess = _preprocess(folder, ref, where, config)
    return encoder_of(model, preprocess, site=site, ref=ref)


def encoder_of(model: Any, preprocess: Preprocess, *, site: Site | None = None, ref: str) -> Encoder:  # fmt: skip # noqa: E501
    """A vision encoder or classifier of transformers in memory, opened and self-checked."""
    config, site, name = model.config, site or {}, short(ref)
    classifies = hasattr(model, "classifier")
    inner = f"{model.base_model_prefix}." if classifies else ""
    parts = ENCODERS[config.model_type]
    anatomy = Anatomy(inner + parts.embeddings, inner + parts.blocks)
    special = 1 + int(getattr(config, "num_register_tokens", 0) or 0)
    tower = Tower(
        model, anatomy, _block(site, "image", config, name),
        classify if classifies else summarise,
        lambda x, n: leading(x, n, special),
        (preprocess.size[0] // config.patch_size, preprocess.size[1] // config.patch_size),
        name=f"{name}/image", ref=f"{ref}/image",
    )  # fmt: skip
    h, w = preprocess.size
    self_check(tower, torch.randn(1, 3, h, w, generator=torch.Generator().manual_seed(0)))
    labels = dict(config.id2label) if classifies else None
    return Encoder(tower, preprocess, name, ref, labels)


def classify(root: Any, x: Tensor) -> Tensor:
    """Logits (b, classes)."""
    return root(pixel_values=x).logits


def summarise(root: Any, x: Tensor) -> Tensor:
    """The class token after the last norm (b, d)."""
    return root(pixel_values=x).last_hidden_state[:, 0]


def _preprocess(folder: str | Path, ref: str, where: dict[str, Any], config: Any) -> Preprocess:
    import transformers

    processor = _loaded(
        folder, ref, lambda: transformers.AutoImageProcessor.from_pretrained(folder, **where)
    )
    if "Siglip2" in type(processor).__name__:
        side = int(config.patch_size * config.num_patches**0.5)
        return Preprocess(
            (side, side), "squash", False, tuple(processor.image_mean), tuple(processor.image_std)
        )
    return Preprocess.from_processor(processor)


def _rows(vision: Any) -> int:
    if hasattr(vision, "num_patches"):
        return int(vision.num_patches**0.5)
    return vision.image_size // vision.patch_size


def _block(site: Site, tower: str, config: Any, name: str) -> int:
    """The block asked for; by default three quarters down, as published for 12 blocks.

    Never the last one: after it nothing flows from the patches to what is pooled.
    """
    depth = int(config.num_hidden_layers)
    block = site.get(tower, max(0, min((3 * depth) // 4, depth - 2)))
    if not isinstance(block, int) or not 0 <= block < depth:
        raise Missing(
            f"{name} has {tower} blocks 0 to {depth - 1}; it got {tower}={block}. "
            "Choose one of them."
        )
    return block


def short(ref: str) -> str:
    """`clip-vit-base-patch32` for `hf:openai/clip-vit-base-patch32@main`."""
    return ref.split("@")[0].rstrip("/").replace(":", "/").rsplit("/", 1)[-1]


def _about(model: Any, kind: str) -> dict[str, str]:
    count = sum(p.numel() for p in model.parameters())
    vision, text = model.config.vision_config, model.config.text_config
    return {
        "kind": f"{kind} dual encoder, {count / 1e6:.1f} M parameters",
        "sites": f"image=0…{vision.num_hidden_layers - 1}, text=0…{text.num_hidden_layers - 1}",
    }
