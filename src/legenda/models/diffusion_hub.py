"""Diffusion models of diffusers: from a folder in its layout, or from a pipeline in memory."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legenda.errors import BadInput, Missing, Unsupported
from legenda.models.diffusion import SITE, Diffusion
from legenda.models.loading import in_float32, loaded, reason_of, short
from legenda.models.module import self_check
from legenda.models.noising import Noising, noising_of

CONDITIONAL = "UNet2DConditionModel"
UNETS = ("UNet2DModel", CONDITIONAL)


def open_diffusion(folder: str | Path, ref: str = "", **options: Any) -> Diffusion:
    """A folder in the layout of diffusers: `unet/`, `scheduler/`, and `vae/` where it has one.

    `options`: site, time, steps, prompt and name, as `diffusion_of` takes them.
    """
    import diffusers

    folder, ref = Path(folder), ref or str(folder)
    noising = noising_of(settings(folder / "scheduler" / "scheduler_config.json", ref), ref)
    unet = weights(folder / "unet", ref, UNETS, diffusers)
    paint = None
    if (folder / "vae").is_dir():
        paint = weights(folder / "vae", ref, ("AutoencoderKL",), diffusers)
    return diffusion_of(unet, noising, paint, ref=ref, **options)


def from_pipeline(pipeline: Any, *, ref: str, **options: Any) -> Diffusion:
    """A pipeline of diffusers in memory; `options` as of `diffusion_of`."""
    unet, scheduler = getattr(pipeline, "unet", None), getattr(pipeline, "scheduler", None)
    if unet is None or scheduler is None:
        raise Unsupported(
            "Opening a diffusion model", "a pipeline with `unet` and `scheduler`", ref,
            "Pipelines built on transformers are not read yet.",
        )  # fmt: skip
    noising = noising_of(scheduler.config, ref)
    return diffusion_of(unet, noising, getattr(pipeline, "vae", None), ref=ref, **options)


def diffusion_of(
    unet: Any,
    noising: Noising,
    paint: Any = None,
    *,
    ref: str,
    name: str = "",
    site: str = SITE,
    time: float = 1.0,
    steps: int = 50,
    prompt: Tensor | None = None,
    about: dict[str, str] | None = None,
) -> Diffusion:
    """Put a U-Net and its times together, and check that the site can be read and rewritten."""
    name = name or short(ref)
    told = type(unet).__name__ == CONDITIONAL
    if told != (prompt is not None):
        raise BadInput(
            f"{name} needs a prompt embedding of shape (1, n, e): its U-Net is told one. Give "
            "`prompt`; on the command line, name a factory that does."
            if told
            else f"{name} takes no prompt: its U-Net is told none. Leave `prompt` out."
        )
    for network in (unet, paint):
        if network is not None:
            network.eval().requires_grad_(False)
            in_float32(network, name)
    model = Diffusion(unet, noising, site, time, steps, prompt, paint, None, name, ref, about or {})
    lot = torch.Generator().manual_seed(0)
    self_check(model, torch.randn(1, *model.shape, generator=lot).to(model.device))
    return model


def settings(path: Path, ref: str) -> dict[str, Any]:
    """One of the json files of the layout."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Missing(
            f"{ref} is no diffusion model of diffusers: {path.parent.name}/{path.name} cannot be "
            f"read. {reason_of(error) if isinstance(error, ValueError) else 'It is not there.'}"
        ) from None
    return found if isinstance(found, dict) else {}


def weights(folder: Path, ref: str, kinds: tuple[str, ...], library: Any) -> Any:
    """A network of diffusers, of one of some kinds, in float32."""
    kind = str(settings(folder / "config.json", ref).get("_class_name"))
    if kind not in kinds:
        raise Unsupported(
            "Opening a diffusion model", f"{' or '.join(kinds)} in {folder.name}/",
            f"{ref} ({kind})", "Give the folder of another model.",
        )  # fmt: skip
    where = {"local_files_only": True, "torch_dtype": torch.float32, "low_cpu_mem_usage": False}
    return loaded(folder, ref, lambda: getattr(library, kind).from_pretrained(folder, **where))
