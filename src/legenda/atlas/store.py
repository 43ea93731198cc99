"""An atlas on disk: a folder with one SQLite file, and tensors beside it.

    with Atlas("dogs.atlas") as atlas:                # read; many at once
        atlas.all("SELECT name FROM units WHERE state = ?", "named")
    with Atlas("dogs.atlas", write=True) as atlas:    # made where there is none
        with atlas.writing():                         # a transaction: all of it or nothing
            ...

Every thread has a connection of its own, so that a server may read with many. A second writer
waits for the first; readers never wait, since the log is written ahead.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from legenda.atlas.pack import clean
from legenda.atlas.schema import FILE, checked, migrate
from legenda.atlas.shards import read_entry
from legenda.errors import BadInput, LegendaError, Missing, Refused

PATIENCE = 60.0
"""Seconds that a writer waits for another."""


class Atlas:
    """An atlas, opened to read, or with `write=True` also to write.

    Parameters
    ----------
    path: its folder.
    write: whether it may be changed; a folder without an atlas becomes one.
    """

    def __init__(self, path: str | Path, *, write: bool = False):
        self.folder, self.write = Path(path), write
        self.file = self.folder / FILE
        self._mine = threading.local()
        self._open: list[sqlite3.Connection] = []
        if not write and not self.file.is_file():
            raise BadInput(
                f"there is no atlas at {path}: it has no {FILE}. Make one with `legenda demo` or "
                "`legenda run`, or name another folder."
            )
        if write:
            self._make_folder()
            self._refuse_others()
            with self._told():
                self.base.execute("PRAGMA journal_mode = WAL")
                migrate(self.base, self.file)
        else:
            checked(self.base, self.file)

    @property
    def base(self) -> sqlite3.Connection:
        """The connection of this thread."""
        found = getattr(self._mine, "base", None)
        if found is None:
            found = self._mine.base = self._connect()
            self._open.append(found)
        return found

    def one(self, query: str, *values: Any) -> sqlite3.Row | None:
        """The first row, if there is one."""
        with self._told():
            return self.base.execute(query, values).fetchone()

    def all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """All rows."""
        with self._told():
            return self.base.execute(query, values).fetchall()

    def each(self, query: str, *values: Any) -> Iterator[sqlite3.Row]:
        """Row by row, however many there are."""
        with self._told():
            yield from self.base.execute(query, values)

    def value(self, query: str, *values: Any) -> Any:
        """The first field of the first row; None where there is no row."""
        row = self.one(query, *values)
        return None if row is None else row[0]

    def __contains__(self, key: str) -> bool:
        return self.one("SELECT 1 FROM explanations WHERE key = ?", clean(key)) is not None

    def arrays(self, evidence: int) -> dict[str, Tensor]:
        """The tensors of a piece of evidence."""
        row = self.one(
            "SELECT entry, digest FROM evidence e JOIN shards s ON s.id = e.shard WHERE e.id = ?",
            evidence,
        )
        if row is None:
            raise BadInput(f"{self.folder} holds no evidence {evidence}.")
        return read_entry(self.folder, row["digest"], row["entry"])

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: what is written inside is kept whole, or not at all."""
        if not self.write:
            raise Refused(f"{self.folder} was opened to read. Open it with write=True.")
        if self.base.in_transaction:  # already within one
            yield self.base
            return
        with self._told():
            self.base.execute("BEGIN IMMEDIATE")
        try:
            yield self.base
            with self._told():
                self.base.execute("COMMIT")
        except BaseException as problem:
            with suppress(sqlite3.Error):
                self.base.execute("ROLLBACK")
            if isinstance(problem, sqlite3.OperationalError):
                raise self._sentence(problem) from None
            raise

    def close(self) -> None:
        """Give everything back; a writer leaves all of it in the one file."""
        for base in self._open:
            with suppress(sqlite3.Error):
                if self.write:
                    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                base.close()
        self._open.clear()
        self._mine = threading.local()

    def __enter__(self) -> "Atlas":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_others(self) -> None:
        """Look before anything is changed: a file without a table may become an atlas."""
        if not self.file.exists():
            return
        with self._told():
            try:
                held = self.base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            except sqlite3.DatabaseError:  # the check has a sentence for it
                held = None
            if held != 0:
                checked(self.base, self.file)

    def _connect(self) -> sqlite3.Connection:
        with self._told():
            if self.write:
                base = sqlite3.connect(
                    self.file, timeout=PATIENCE, isolation_level=None, check_same_thread=False
                )
                base.execute("PRAGMA synchronous = NORMAL")
            else:
                base = self._read_only()
            base.row_factory = sqlite3.Row
            base.execute("PRAGMA foreign_keys = ON")
            base.execute("PRAGMA cache_size = -65536")
            base.execute("PRAGMA mmap_size = 1073741824")
            return base

    def _read_only(self) -> sqlite3.Connection:
        """A connection that cannot write; in a read-only folder the file is all there is."""
        alone = not os.access(self.folder, os.W_OK) and not Path(f"{self.file}-wal").exists()
        where = f"file:{quote(str(self.file.resolve()))}?mode=ro{'&immutable=1' if alone else ''}"
        base = sqlite3.connect(
            where, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        base.execute("PRAGMA query_only = ON")
        return base

    def _make_folder(self) -> None:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise BadInput(f"an atlas is a folder; {self.folder} is a file. Name another.")
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise Missing(
                f"the atlas {self.folder} cannot be made: {problem.strerror}. Choose another "
                "folder."
            ) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as problem:
            raise self._sentence(problem) from None

    def _sentence(self, problem: sqlite3.DatabaseError) -> LegendaError:
        """What went wrong in the database, in a sentence."""
        said = str(problem)
        if "locked" in said or "busy" in said:
            return Refused(
                f"{self.folder} is being written by another process for more than {PATIENCE:g} "
                "seconds. Wait for it, and run again: what is there is kept."
            )
        if "full" in said or "disk I/O" in said:
            return Missing(
                f"{self.folder} could not be written: the disk is full. Make room and run again: "
                "what is there is kept."
            )
        if "readonly" in said or "unable to open" in said:
            return Missing(
                f"{self.folder} cannot be written. Choose a folder that you may change, or copy it."
            )
        if "not a database" in said:
            return BadInput(
                f"{self.file} is no database, or its beginning is lost. Bring the atlas back from "
                "a copy, or name another folder."
            )
        return BadInput(
            f"{self.file} is damaged ({said}). `legenda atlas verify` says what can still be read."
        )


def loaded(text: str) -> Any:
    """Plain values from a column of JSON."""
    return json.loads(text)
