"""Image files as a corpus: by number, named by their path from a root."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from os import sep
from os.path import relpath
from pathlib import Path

import numpy as np
from PIL import Image

from legenda.corpus.arrays import SPREAD, inside
from legenda.corpus.images import LIMIT, open_image, present
from legenda.errors import BadInput, Missing

BLOCK = 1 << 20
"""So many bytes of a file stand for its content."""


@dataclass(frozen=True, eq=False)
class Files:
    """Image files, by number.

    Parameters
    ----------
    root: what their names are relative to.
    paths: the files.
    labels: what each shows, or None where nothing is said of it.
    limit: most pixels to decode in one image.
    """

    root: Path
    paths: tuple[Path, ...] = field(repr=False)
    labels: tuple[str | None, ...] = field(default=(), repr=False)
    limit: int = LIMIT

    def __post_init__(self) -> None:
        """Refuse files of one name."""
        seen: dict[str, Path] = {}
        for i, path in enumerate(self.paths):
            other = seen.setdefault(self.key(i), path)
            if other is not path:
                raise BadInput(
                    f"{other} and {path} would both be called {self.key(i)!r}. Rename one of them."
                )

    @property
    def digest(self) -> str:
        """Stands for all names and sizes, and for the content of some."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        spread = set(np.linspace(0, len(self) - 1, SPREAD).astype(int).tolist())
        known = hashlib.sha256()
        for i, path in enumerate(self.paths):
            known.update(f"{self.key(i)}\0{present(path, 'image').stat().st_size}\0".encode())
            if i in spread:
                known.update(_head(path))
        return known.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, i: int) -> str:
        """The path from the root; what lies outside it begins with `up`."""
        path, root = str(self.paths[inside(i, self)]), f"{self.root}{sep}"
        if path.startswith(root) and ".." not in path:  # a million of these take a second
            return path.removeprefix(root).replace(sep, "/")
        parts = Path(relpath(path, self.root)).parts
        return "/".join("up" if part == ".." else part for part in parts)

    def label(self, i: int) -> str | None:
        """What image i shows."""
        inside(i, self)
        return self.labels[i] if self.labels else None

    def open(self, i: int) -> Image.Image:
        """Image i as RGB, upright."""
        return open_image(self.paths[inside(i, self)], self.limit)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BLOCK)
    except OSError as problem:
        raise Missing(
            f"{path} cannot be read: {problem.strerror}. Check its permissions."
        ) from None
