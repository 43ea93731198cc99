"""What goes wrong in a database, in a sentence: who is it, what happened, what to do."""

import os
import sqlite3
from pathlib import Path

from legenda.errors import BadInput, LegendaError, Missing, Refused

OURS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""Faults of who calls, not of the disk."""


def sentence(
    file: Path, problem: sqlite3.DatabaseError, *, write: bool, opening: bool, patience: float
) -> LegendaError:
    """What went wrong in the file of an atlas."""
    said, folder = str(problem), file.parent
    if "locked" in said or "busy" in said:
        return Refused(
            f"{folder} is being written by another process for more than {patience:g} seconds. "
            "Wait for it, and run again: what is there is kept."
        )
    if "disk I/O" in said and not write:
        return Missing(f"{folder} could not be read ({said}). Copy it to a disk that is sound.")
    if "full" in said or "disk I/O" in said:
        return Missing(
            f"{folder} could not be written: the disk is full. Make room and run again: what is "
            "there is kept."
        )
    if "readonly" in said or (write and "unable to open" in said):
        return Missing(
            f"{folder} cannot be written. Choose a folder that you may change, or copy it."
        )
    if "unable to open" in said:
        return _unopened(file)
    if "not a database" in said:
        return BadInput(
            f"{file} is no database, or its beginning is lost. Bring the atlas back from a copy, "
            "or name another folder."
        )
    if opening:
        return BadInput(
            f"{file} is damaged at its beginning or cut off ({said}), so nothing in it can be "
            "read. Bring the atlas back from a copy, or name another folder."
        )
    return BadInput(
        f"{file} is damaged ({said}). `legenda atlas verify` says what can still be read."
    )


def _unopened(file: Path) -> LegendaError:
    """Why a file that is there cannot be read."""
    if os.access(file, os.R_OK) and Path(f"{file}-wal").exists():
        return Missing(
            f"{file.parent} was left in the middle of writing, and the last of it lies in "
            f"{file.name}-wal, which is read only where the folder may be changed. Copy the "
            "folder, and read the copy."
        )
    return Missing(
        f"{file} cannot be opened: you may not read it. Ask its owner, or name another folder."
    )
