"""Files of other packages: tensors by name, laid the way ours lie. Nothing in them is run."""

import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from legenda.errors import BadInput, Missing, Refused

Named = dict[str, Tensor]
NESTED = ("state_dict", "model_state_dict", "model")
"""Under these names a training checkpoint may keep its weights."""


def tensors_of(path: Path) -> Named:
    """The tensors of a safetensors file or of a saved state dict."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Give the file of a dictionary, or its folder.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as why:
        raise Refused(
            f"{path} is damaged, or holds more than tensors, such as a pickled module, which could "
            "run anything when it is opened. Save its `state_dict()` where you trust it."
        ) from why
    for name in NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    if not isinstance(held, Mapping) or not all(isinstance(v, Tensor) for v in held.values()):
        raise Refused(f"{path} holds a {type(held).__name__}, not a state dict. Save one.")
    return {str(name): value.detach() for name, value in held.items()}


def record_of(path: Path) -> dict[str, Any]:
    """A JSON file beside the tensors; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise Refused(f"{path} cannot be read: {problem}. Copy it again.") from problem
    if not isinstance(content, dict):
        raise Refused(f"{path} holds no record of settings. Copy it again.")
    return content


def laid(weights: Named, axes: Mapping[str, str], who: str, optional: str = "") -> Named:
    """The tensors that `axes` asks for in float32, a `dk` turned into `kd`; nothing else may be.

    Names that `optional` holds, parted by spaces, may be absent.
    """
    missing = [n for n in axes if n not in weights and n not in optional.split()]
    unknown = [n for n in weights if n not in axes]
    if missing or unknown:
        lacks = f" lacks {', '.join(missing)}" if missing else ""
        holds = f" holds {', '.join(unknown)}, which it does not have" if unknown else ""
        raise Refused(
            f"the file of a {who}{lacks}{' and' * bool(lacks and holds)}{holds}. Say what it is by "
            "`kind`, or export it again."
        )
    found = {n: weights[n].float() for n in axes if n in weights}
    turned = {n: v.T if axes[n] == "dk" and v.ndim == 2 else v for n, v in found.items()}
    k, d = next(v.shape for n, v in turned.items() if axes[n] in ("kd", "dk") and v.ndim == 2)
    sizes = {"k": (k,), "d": (d,), "": (), "kd": (k, d), "dk": (k, d)}
    for name, value in turned.items():
        if axes[name] in sizes and value.shape != sizes[axes[name]]:
            raise Refused(
                f"{name} of a {who} has the shape {tuple(found[name].shape)}, which does not go "
                f"with {k} units of width {d}. Export it again."
            )
        if not value.isfinite().all():
            raise Refused(f"{name} of a {who} holds numbers that are not finite. Export it again.")
    return {n: v.contiguous() for n, v in turned.items()}


def moved(encoder: Tensor, offset: Tensor, bias: Tensor) -> Tensor:
    """The offset c with which e · (x - b) + c is the e · x + offset of who subtracts no b."""
    return (offset.double() + encoder.double() @ bias.double()).float()


def below(threshold: Tensor) -> Tensor:
    """The next number down: > it is ≥ the threshold itself."""
    return torch.nextafter(threshold, torch.full_like(threshold, -torch.inf))


def whole(value: Any, name: str, who: str) -> int:
    """A whole number above 0 that a file or a caller gives, or what to give."""
    number = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number != int(number):
        number = 0
    if number < 1:
        raise BadInput(
            f"a {who} needs {name}, a whole number above 0, which its file does not say; it got "
            f"{value}. Give {name}."
        )
    return int(number)
