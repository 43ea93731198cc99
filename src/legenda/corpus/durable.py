"""Files that are written whole or not at all, and small ones that carry their own checksum.

A file is written under another name and brought to the disk, then named; then its folder is brought
to the disk, so that a name that was given stays given when the power fails.

A sealed file is JSON in one fixed form, with the SHA-256 of everything else in it under `sha256`.
It counts only if writing it again gives the very same bytes: so a change of any byte is seen.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from legenda.errors import BadInput, Missing

WRITING = ".writing"
"""What the name of a file ends in while it is written."""


def land(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a full disk leaves what was there as it was."""
    fresh = path.with_name(path.name + WRITING)
    try:
        with room(path), fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with room(path):
            fresh.replace(path)
            _settle(path.parent)
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Say what to do where something cannot be written."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise Missing(
            f"{path} could not be written: {reason}. Make room there, or choose another folder."
        ) from problem


def sealed(content: Mapping[str, Any]) -> bytes:
    """The bytes of a sealed file."""
    total = hashlib.sha256(_form(content)).hexdigest()
    return _form({**content, "sha256": total})


def unsealed(path: Path) -> dict[str, Any] | None:
    """The content of a sealed file; None where it is absent or damaged."""
    try:
        data = path.read_bytes()
        content = json.loads(data)
        body = {key: value for key, value in content.items() if key != "sha256"}
        return content if sealed(body) == data else None
    except (OSError, ValueError, AttributeError, RecursionError, BadInput):
        return None


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a sealed file as it will be read back."""
    return json.loads(_form(content))


def _form(content: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise BadInput(
            f"what is recorded must be words, numbers and lists of them; it is not ({problem})."
        ) from None
    return text.encode() + b"\n"


def _settle(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has a way to."""
    if os.name == "nt":
        return
    at = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(at)
    finally:
        os.close(at)
