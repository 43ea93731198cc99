"""Answers of a language model, kept: one file for a question, named by what was asked.

A file is written under a name of its own and then renamed, so that a kill leaves either all of it
or none, and threads and processes may share a folder. A failure is never kept.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from legenda.corpus.durable import land, room
from legenda.errors import Refused

Plain = dict[str, Any]


@dataclass(frozen=True)
class AnswerStore:
    """A folder of answers; one without a folder holds nothing and keeps nothing."""

    folder: Path | None = None

    def read(self, asked: Plain) -> str | None:
        """The answer that is kept for a question."""
        path = self._path(asked)
        if path is None or not path.is_file():
            return None
        try:
            kept = json.loads(path.read_bytes())
            if digest(kept["asked"]) == path.stem and isinstance(kept["answer"], str):
                return kept["answer"]
        except (ValueError, LookupError, TypeError):
            pass
        raise Refused(f"{path} is damaged: it is not what was written. Remove it, to ask again.")

    def keep(self, asked: Plain, answer: str) -> None:
        """Write an answer, whole or not at all."""
        path = self._path(asked)
        if path is None:
            return
        with room(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.stem}.{os.getpid()}.{os.urandom(6).hex()}")
        land(own, json.dumps({"asked": asked, "answer": answer}, indent=1).encode())
        with room(path):
            own.replace(path)

    def _path(self, asked: Plain) -> Path | None:
        return self.folder / f"{digest(asked)}.json" if self.folder else None


def digest(asked: Plain) -> str:
    """Thirty-two letters for a question."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def pixels_of(picture: Image.Image) -> str:
    """What a picture shows, in thirty-two letters, however it may be compressed when it is sent."""
    seen = picture.convert("RGB")
    named = f"{seen.width} {seen.height} ".encode() + seen.tobytes()
    return hashlib.sha256(named).hexdigest()[:32]
