"""Tensors on disk: many pieces of evidence in one file, which is named by its content.

A file is written whole, brought to the disk and named before the database hears of it; so a row
never points at half a file, and a file that no row points at is litter, which `gc` sweeps.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from legenda.atlas.schema import TENSORS
from legenda.corpus.durable import land, room
from legenda.errors import BadInput, Missing

Arrays = Mapping[str, Tensor]


def place_of(folder: Path, digest: str) -> Path:
    """Where a shard lies."""
    return folder / TENSORS / digest[:2] / f"{digest}.safetensors"


def write_shard(folder: Path, pieces: Mapping[str, Arrays]) -> tuple[str, int]:
    """Write pieces of evidence as one file; its digest and its size."""
    flat = {
        f"{entry}/{name}": array.detach().cpu().contiguous()
        for entry, arrays in pieces.items()
        for name, array in arrays.items()
    }
    data = save(flat)
    digest = hashlib.sha256(data).hexdigest()
    path = place_of(folder, digest)
    if not path.exists():
        with room(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        land(path, data)
    return digest, len(data)


def read_entry(folder: Path, digest: str, entry: str) -> dict[str, Tensor]:
    """The tensors of one piece of evidence."""
    from safetensors import SafetensorError, safe_open

    path, start = place_of(folder, digest), f"{entry}/"
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            return {name.removeprefix(start): file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise Missing(
            f"{path.name} of the atlas {folder} is not there. Bring the folder back whole; "
            "`legenda atlas verify` lists what is lost."
        ) from None
    except (SafetensorError, OSError, ValueError, json.JSONDecodeError) as problem:
        raise BadInput(
            f"{path.name} of the atlas {folder} is damaged ({problem}). `legenda atlas verify` "
            "lists what is lost; the rest can be read."
        ) from None


def entries_of(folder: Path, digest: str) -> set[str]:
    """The pieces of evidence that a sound file holds."""
    from safetensors import safe_open

    with safe_open(place_of(folder, digest), "pt") as file:
        return {name.rpartition("/")[0] for name in file.keys()}  # noqa: SIM118


def sound(folder: Path, digest: str) -> bool:
    """Whether a shard is there and holds what its name says."""
    path = place_of(folder, digest)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
