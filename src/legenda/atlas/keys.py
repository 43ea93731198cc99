"""Keys: the same content has the same key, wherever and whenever it is made."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from legenda.errors import BadInput


def canonical(content: Any) -> str:
    """JSON in one fixed form; what is not finite is refused in a sentence."""
    try:
        return json.dumps(
            content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str
        )
    except ValueError:
        raise BadInput("an atlas keeps finite numbers only; it got nan or infinity.") from None


def key_of(*parts: Any) -> str:
    """Thirty-two letters that stand for plain values."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:32]


def digest_of(arrays: Mapping[str, Tensor]) -> str:
    """Thirty-two letters that stand for the content of some tensors, types and shapes included."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name].detach().cpu().contiguous()
        total.update(f"{name}\0{array.dtype}\0{tuple(array.shape)}\0".encode())
        total.update(
            array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b""
        )
    return total.hexdigest()[:32]
