"""Models in the folder layout of Hugging Face: CLIP, SigLIP, SigLIP2, ViT and DINOv2.

The library builds them; remote code stays off. What we add is where their parts are
(`Anatomy`), what goes in, and which positions are special.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused
from legenda.models.dual import Dual
from legenda.models.encoder import ENCODERS, Encoder, encoder_of, leading
from legenda.models.loading import Site, block_of, built, loaded, offline, preprocess_of, short
from legenda.models.module import self_check
from legenda.models.towers import Anatomy, Tower
from legenda.models.words import Words

TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")
DUAL = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}


def open_folder(folder: str | Path, *, site: Site | None = None, ref: str = "", revision: str | None = None) -> Dual | Encoder:  # fmt: skip # noqa: E501
    """Open a folder (or, with `ref` `hf:…`, a name on the hub) in Hugging Face layout."""
    from transformers import AutoConfig

    where = {"revision": revision, "trust_remote_code": False}
    where["local_files_only"] = offline() or Path(folder).exists()
    config = loaded(folder, ref, lambda: AutoConfig.from_pretrained(folder, **where))
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


def _open_dual(
    folder: str | Path, kind: str, config: Any, site: Site, ref: str, where: dict[str, Any]
) -> Dual:
    import transformers

    if Path(folder).is_dir() and not any((Path(folder) / name).exists() for name in TOKENIZERS):
        raise Refused(  # transformers would make an empty one
            f"{ref} has no tokenizer: none of {', '.join(TOKENIZERS)} is in it. "
            "Copy these files from where the model came from."
        )
    model = built(getattr(transformers, DUAL[kind]), folder, ref, where)
    tokenizer = loaded(
        folder, ref, lambda: transformers.AutoTokenizer.from_pretrained(folder, **where)
    )
    preprocess = preprocess_of(folder, ref, where, config.vision_config)
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
        block_of(site, "image", vision),
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
        block_of(site, "text", text),
        read,
        words.marks,
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
    preprocess = preprocess_of(folder, ref, where, config)
    return encoder_of(model, preprocess, site=site, ref=ref)


def _rows(vision: Any) -> int:
    if hasattr(vision, "num_patches"):
        return int(vision.num_patches**0.5)
    return vision.image_size // vision.patch_size


def _about(model: Any, kind: str) -> dict[str, str]:
    count = sum(p.numel() for p in model.parameters())
    vision, text = model.config.vision_config, model.config.text_config
    return {
        "kind": f"{kind} dual encoder, {count / 1e6:.1f} M parameters",
        "sites": ", ".join(
            f"{tower}=embeddings, 0…{of.num_hidden_layers - 1}"
            for tower, of in (("image", vision), ("text", text))
        ),
    }
