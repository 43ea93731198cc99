"""Loading from folders and the hub, quietly, with one sentence for whatever goes wrong."""

import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from legenda.corpus.view_box import Preprocess, interpolation
from legenda.errors import LegendaError, Missing, Refused

Site = dict[str, int | str]


def offline() -> bool:
    """Whether `LEGENDA_OFFLINE` forbids the network."""
    return os.environ.get("LEGENDA_OFFLINE", "") not in ("", "0")


def loaded(folder: str | Path, ref: str, load: Callable[[], Any]) -> Any:
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
        if ref.startswith("hf:") and unreachable(error):
            raise Missing(
                f"{named} is not in the local Hugging Face cache, and the hub cannot be reached. "
                "Check the network, or download the model beforehand."
            ) from None
        raise Refused(
            f"{named} cannot be opened as a Hugging Face model: {reason_of(error)} "
            "Check its config.json and its weights."
        ) from None


def weights_of(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint file, by name; nothing but tensors is ever unpickled."""
    safe = path.suffix == ".safetensors"
    try:
        found = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 -- a broken file may raise anything
        instead = "Copy it again." if safe else "Save its state_dict as safetensors where you trust the file."  # fmt: skip # noqa: E501
        raise Refused(
            f"{path.name} cannot be read as weights alone: {reason_of(error)} {instead}"
        ) from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise Refused(f"{path.name} holds no weights by name. Give a state_dict.")
    return found


def reason_of(error: BaseException) -> str:
    """What an error says, on one line, cut between words where it is long."""
    said = textwrap.shorten(str(error), 240, placeholder="…", break_on_hyphens=False) or repr(error)
    return said if said.endswith((".", "…")) else f"{said}."


def unreachable(error: BaseException | None) -> bool:
    """Whether a download failed since nobody answered, as the error or its cause says."""
    from httpx import TransportError
    from huggingface_hub.errors import OfflineModeIsEnabled

    said = "couldn't connect to" in str(error)
    if said or isinstance(error, TransportError | OfflineModeIsEnabled | ConnectionError):
        return True
    return error is not None and unreachable(error.__cause__ or error.__context__)


def in_float32(module: nn.Module, name: str) -> None:
    """Refuse a network in another precision than float32."""
    held = {str(p.dtype) for p in module.parameters() if p.is_floating_point()}
    if held - {"torch.float32"}:
        raise Refused(
            f"legenda reads float32; {name} holds {', '.join(sorted(held))}. "
            "Call .float() on it before opening."
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the bars and hints of transformers and its hub, and put their settings back."""
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging

    level, bars, heard = (
        logging.get_verbosity(), logging.is_progress_bar_enabled(), hub.get_verbosity()
    )  # fmt: skip
    logging.set_verbosity_error()
    hub.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub.set_verbosity(heard)
        if bars:
            logging.enable_progress_bar()


def built(cls: Any, folder: str | Path, ref: str, where: dict[str, Any]) -> nn.Module:
    """Weights into a model, in float32; a checkpoint of another architecture is refused."""
    model, info = loaded(
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


def preprocess_of(folder: str | Path, ref: str, where: dict[str, Any], config: Any) -> Preprocess:
    """What pictures go through before this model, as its folder says."""
    import transformers

    processor = loaded(
        folder, ref, lambda: transformers.AutoImageProcessor.from_pretrained(folder, **where)
    )
    if "Siglip2" in type(processor).__name__:
        side = int(config.patch_size * config.num_patches**0.5)
        return Preprocess(
            (side, side), "squash", False, tuple(processor.image_mean), tuple(processor.image_std),
            interpolation(processor.resample),
        )  # fmt: skip
    return Preprocess.from_processor(processor)


def block_of(site: Site, tower: str, config: Any) -> int | str:
    """The site asked for; by default three quarters down, as published for 12 blocks.

    Never the last block: after it nothing flows from the patches to what is pooled.
    """
    depth = int(config.num_hidden_layers)
    return site.get(tower, max(0, min((3 * depth) // 4, depth - 2)))


def short(ref: str) -> str:
    """`clip-vit-base-patch32` for `hf:openai/clip-vit-base-patch32@main`."""
    return ref.split("@")[0].rstrip("/").replace(":", "/").rsplit("/", 1)[-1]
