"""A lock: one writer in a folder at a time.

The lock is a file that only one process can make. It holds the number of its process and the name
of its machine; where that process is gone, as after a kill, the lock is taken over.
"""

import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from legenda.corpus.durable import WRITING
from legenda.errors import Missing, Refused

NAME = "writing.lock"


class Lock:
    """The right to write into a folder, until it is given back, or its holder is gone."""

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.mine = f"{os.getpid()} {socket.gethostname()} {os.urandom(8).hex()}\n"
        for _ in range(3):  # a stale lock that others take over too may be gone, or theirs
            if self._make():
                self.release = weakref.finalize(self, _remove, self.path, self.mine)
                return
            self._take_over()
        raise self._held(_read(self.path))

    def check(self) -> None:
        """Refuse to write on when somebody removed the lock, or took it."""
        now = _read(self.path)
        if now != self.mine:
            raise self._held(now)

    def _make(self) -> bool:
        """Write the lock beside its place and link it there: nobody ever sees one half written."""
        beside = self.path.with_name(f"{self.mine.split()[2]}{WRITING}")
        try:
            beside.write_text(self.mine)
            with suppress(FileNotFoundError):  # who holds the lock may have swept it away
                os.link(beside, self.path)
                return True
        except FileExistsError:
            return False
        except OSError as problem:
            raise Missing(
                f"{self.path} could not be written: {problem}. Make room there, or choose another "
                "folder."
            ) from None
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        return False

    def _take_over(self) -> None:
        """Move a stale lock aside; if it was another's by then, put that one back."""
        held = _read(self.path)
        if held is None:
            return
        if not _stale(held):
            raise self._held(held)
        aside = self.path.with_name(f"{self.mine.split()[2]}.aside{WRITING}")
        with suppress(FileNotFoundError):
            self.path.rename(aside)
            if _read(aside) != held:
                with suppress(FileExistsError):
                    os.link(aside, self.path)
            aside.unlink()

    def _held(self, held: str | None) -> Refused:
        who = held.split() if held else []
        by = f"process {who[0]} on {who[1]}" if len(who) > 1 else "another process"
        return Refused(
            f"{self.path.parent} is being written by {by}. Wait for it; if it is no more, remove "
            f"{self.path.name} there."
        )


def _stale(held: str) -> bool:
    """Whether the process that made a lock is gone; one on another machine is not known to be."""
    process, _, rest = held.partition(" ")
    if rest.partition(" ")[0] != socket.gethostname() or os.name == "nt":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError, OverflowError):
        return False
    return False


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _remove(path: Path, mine: str) -> None:
    if _read(path) == mine and mine.startswith(f"{os.getpid()} "):  # no copy by fork
        with suppress(OSError):
            path.unlink()
