"""A folder of results: one line and one picture per pair, and a page over all.

It can be interrupted at any moment and run again: what is there with the same picture, sentence
and settings is not done twice.
"""

import io
import json
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from legenda.cli.output import write
from legenda.errors import BadInput

Plain = dict[str, Any]
LINES, HEAD = "results.jsonl", b'{"key": "'
"""The file of results, and how each of its lines begins."""


def key(image: Path, text: str, settings: Plain) -> str:
    """Stands for a picture, by its content, a sentence and all settings."""
    with image.open("rb") as file:
        content = sha256(file.read()).hexdigest()
    said = json.dumps([content, text, settings], sort_keys=True, default=str)
    return sha256(said.encode()).hexdigest()[:16]


@dataclass
class Results:
    """What lies in a folder, by key; nothing is made before the first result."""

    folder: Path
    done: dict[str, Plain] = field(default_factory=dict)
    _made: bool = field(default=False, repr=False)
    _end: int = field(default=-1, repr=False)

    @classmethod
    def at(cls, folder: Path) -> "Results":
        """What an earlier run left; a line that was cut short does not count."""
        found = cls(folder)
        path = folder / LINES
        content = path.read_bytes() if path.exists() else b""
        if content[: len(HEAD)] != HEAD[: len(content)]:
            raise BadInput(f"{path} is there, and legenda did not write it. Choose another --out.")
        for line in content.decode("utf-8", "replace").split("\n"):
            try:
                pair = json.loads(line)
                whole = (folder / pair["overlay"]).is_file()
            except (ValueError, KeyError, TypeError):
                continue
            if whole:
                found.done[pair["key"]] = pair
        return found

    def add(self, key: str, pair: Plain, overlay: Image.Image) -> Plain:
        """Keep a result: the picture first, so that a line always has one."""
        self._make()
        name = f"{_slug(pair['source'])}-{key[:8]}.png"
        data = io.BytesIO()
        overlay.save(data, "png")
        write(self.folder / name, data.getvalue())
        pair = {"key": key, "overlay": name, **pair}
        try:
            self._append(json.dumps(pair, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError:
            (self.folder / name).unlink(missing_ok=True)
            raise
        self.done[key] = pair
        return pair

    def page(self, html: str) -> Path:
        """Write the page."""
        self._make()
        return write(self.folder / "index.html", html)

    def tidy(self) -> None:
        """Leave no folder behind in which there is nothing."""
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _make(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self._made = True

    def _append(self, line: str) -> None:
        """A whole line at the end of the file, or the file as it was."""
        path = self.folder / LINES
        if self._end < 0:  # what an interrupted run left of a line goes
            self._end = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
        with path.open("ab", buffering=0) as file:
            file.truncate(self._end)
            left = memoryview(line.encode())
            try:
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                if not self._end:
                    path.unlink()
                raise
            self._end = file.tell()


def _slug(source: str) -> str:
    return re.sub(r"[^\w-]+", "-", Path(source).stem)[:60].strip("-") or "picture"
