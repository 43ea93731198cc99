"""Work that may be interrupted: finished pieces in files, named by all that they depend on.

So a piece is there and right, or it is made; nothing is made twice, and nothing is out of date.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from legenda.train.loop import keep

SHARD = 256
"""At most so many images, or so, are one piece of work."""


@dataclass(frozen=True)
class Shelf:
    """A folder of finished pieces; where it is None, nothing is kept."""

    folder: Path | None = None

    def once(self, name: str, on: Any, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What `make` makes, or has made: `on` is all that it depends on."""
        if self.folder is None:
            return make()
        path = self.folder / f"{name}-{fingerprint(on)}.safetensors"
        if path.is_file():
            with suppress(SafetensorError, OSError):  # a damaged file is made again
                return load_file(path)
        made = make()
        keep(path, made, {})
        return made


def fingerprint(*parts: Any) -> str:
    """Sixteen letters for plain values."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def digested(array: np.ndarray) -> str:
    """Sixteen letters for the numbers of an array."""
    held = np.ascontiguousarray(array)
    said = hashlib.sha256(f"{held.dtype} {held.shape}".encode())
    said.update(held.data)
    return said.hexdigest()[:16]


def weighed(module: nn.Module) -> str:
    """Sixteen letters for all numbers of a network."""
    said = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        said.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        said.update(flat.view(torch.uint8).numpy().data)
    return said.hexdigest()[:16]


def shards(keys: Sequence[str]) -> list[list[int]]:
    """Rows in groups of about `SHARD` or less, by the first letters of their keys.

    A new row changes its own group only, wherever it comes in.
    """
    letters = 0
    while len(keys) > SHARD * 16**letters:
        letters += 1
    groups: dict[str, list[int]] = {}
    for row in sorted(range(len(keys)), key=lambda row: (keys[row], row)):
        groups.setdefault(keys[row][:letters], []).append(row)
    return list(groups.values())
