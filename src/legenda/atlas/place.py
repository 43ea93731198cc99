"""Where an atlas may lie: what is there already, and what is taken away again.

A new atlas into which nothing was written, since a model could not be opened or a person changed
their mind, is litter, and goes. That is safe only while nobody else is in it: SQLite leaves its log
ahead for a plain one only for whoever is alone, and keeps others out for as long as it is held.
"""

import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from legenda.atlas.schema import FILE, TENSORS
from legenda.errors import BadInput, Missing


def there(file: Path) -> bool:
    """Whether a file is there; where nobody can tell, that is said."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as problem:
        raise Missing(
            f"the atlas {file.parent} cannot be opened: {problem.strerror}. Choose another folder, "
            "or one that you may read."
        ) from None


def made(folder: Path) -> bool:
    """Make the folder of an atlas, unless it is there; whether it was made."""
    try:
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"an atlas is a folder; {folder} is a file. Name another.")
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise Missing(
            f"the atlas {folder} cannot be made: {problem.strerror}. Choose another folder."
        ) from None
    file = folder / FILE
    if (file.is_symlink() or file.exists()) and not there(file):  # in this order: it may just come
        raise BadInput(f"{file} is no file. Choose another folder.")
    return fresh


def others(folder: Path) -> bool:
    """Whether a folder holds something, but no atlas and nothing of one."""
    if there(folder / FILE) or not folder.is_dir():
        return False
    ours = (FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", TENSORS)
    return any(path.name not in ours for path in folder.iterdir())


def orphaned(folder: Path) -> bool:
    """Whether tensors lie there, which only a database that is lost could have told of."""
    return any(path.suffix == ".safetensors" for path in (folder / TENSORS).glob("*/*"))


def unmade(base: sqlite3.Connection, folder: Path, whole: bool) -> None:
    """Take a new atlas away in which nothing was written; with `whole`, its folder as well.

    Where anything was written, or anybody else is in it, it stays as it is.
    """
    with suppress(sqlite3.Error, OSError):
        tables = ("models", "pictures", "studies", "results")
        if any(base.execute(f"SELECT 1 FROM {one} LIMIT 1").fetchone() for one in tables):
            return
        base.execute("PRAGMA busy_timeout = 0")
        base.execute("PRAGMA journal_mode = DELETE")  # refused while others are in it
        base.execute("BEGIN EXCLUSIVE")
        rmtree(folder / TENSORS, ignore_errors=True)
        (folder / FILE).unlink()
        base.close()
        if whole:
            folder.rmdir()
