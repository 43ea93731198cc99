"""Where commands write: JSON lines on stdout, words on stderr, whole files on disk."""

import io
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from legenda.errors import BadInput

Progress = Callable[[str, int, int], None]
PAGES = (".html", ".htm")
OURS = b'<meta name="generator" content="legenda'
"""What every page of legenda has in its head; another page is never written over."""
STDOUT = "standard output"


def lenient() -> None:
    """From here on, stdout writes what its encoding lacks as a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def stdout() -> Iterator[None]:
    """Whatever is printed inside is out at the end; a failure names standard output."""
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, STDOUT) from None


def say(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(line + "\n")


def tell(value: Any) -> None:
    """A line for a program, in ASCII, which every encoding holds."""
    with stdout():
        sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def show(renderable: Any) -> None:
    """Something of rich, on stdout; words are never taken for markup."""
    from rich.console import Console

    with stdout():
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
    """A whole file or none: under a passing name first, then its own. A link stays a link."""
    content = data.encode(errors="replace") if isinstance(data, str) else data
    place = _behind(path)
    handle, passing = tempfile.mkstemp(prefix=".", suffix=".part", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(passing).chmod(0o666 & ~_umask())
        Path(passing).replace(place)
    finally:
        Path(passing).unlink(missing_ok=True)
    return path


def writable(path: Path, *, folder: bool = False) -> Path:
    """A place to write to, or the reason why not, before any work is done.

    Nothing that legenda did not write is written over: no page of others, no device.
    """
    if path == Path():
        raise BadInput("--out names no place. Name a folder, or a page ending in .html.")
    kind = _kind(path)
    if kind == "device":
        raise BadInput(f"--out {path} is a device or a pipe. Name a file or folder of its own.")
    if folder and kind == "file":
        raise BadInput(f"--out {path} is a file; a folder, or a name ending in .html, is needed.")
    if not folder and kind == "folder":
        raise BadInput(f"--out {path} is a folder; name a file in it.")
    if not folder and path.suffix.lower() not in PAGES:
        raise BadInput(f"--out {path} is to be a page. Name a page ending in .html.")
    page = path / "index.html" if folder else path
    if _kind(page) and not _is_ours(page):
        raise BadInput(f"{page} is there, and legenda did not write it. Choose another --out.")
    place = _behind(path)
    there = place if folder and kind else place.parent
    while folder and not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise BadInput(f"--out {path} lies in {there}, which is no folder. Make it first.")
    if not os.access(there, os.W_OK):
        raise BadInput(f"--out {path} cannot be written: {there} may not be changed by you.")
    return path


def _kind(path: Path) -> str:
    """What is there: a file, a folder, a device (or pipe, or socket), or nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise BadInput(f"--out {path} cannot be used: {error.strerror}.") from None
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device"


def _is_ours(page: Path) -> bool:
    """Whether legenda wrote a page: its head says so."""
    try:
        with page.open("rb") as file:
            return OURS in file.read(4096)
    except OSError:
        return False


def _behind(path: Path) -> Path:
    """What a link leads to; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
