"""Where commands write: JSON lines on stdout, words on stderr, whole files on disk."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from legenda.errors import BadInput

Progress = Callable[[str, int, int], None]


def say(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(line + "\n")


def tell(value: Any) -> None:
    """A line for a program."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def show(renderable: Any) -> None:
    """Something of rich, on stdout; words are never taken for markup."""
    from rich.console import Console

    Console(highlight=False, markup=False).print(renderable)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A bar on stderr, where that is a terminal; gone when it is done."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield step


def write(path: Path, data: bytes | str) -> Path:
    """A whole file or none: under a passing name first, then its own."""
    content = data.encode() if isinstance(data, str) else data
    handle, passing = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(passing).chmod(0o666 & ~_umask())
        Path(passing).replace(path)
    finally:
        Path(passing).unlink(missing_ok=True)
    return path


def writable(path: Path, *, folder: bool) -> Path:
    """A place to write to, or the reason why not, before any work is done."""
    if folder and path.exists() and not path.is_dir():
        raise BadInput(f"--out {path} is a file; a folder, or a name ending in .html, is needed.")
    if not folder and path.is_dir():
        raise BadInput(f"--out {path} is a folder; name a file in it.")
    there = path if folder and path.is_dir() else path.parent
    while folder and not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise BadInput(f"--out {path} lies in {there}, which is no folder. Make it first.")
    if not os.access(there, os.W_OK):
        raise BadInput(f"--out {path} cannot be written: {there} may not be changed by you.")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
