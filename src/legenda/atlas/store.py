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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from legenda.atlas.pack import clean
from legenda.atlas.place import made, orphaned, there, unmade
from legenda.atlas.schema import FILE, checked, migrate
from legenda.atlas.shards import read_entry
from legenda.atlas.trouble import OURS, sentence
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
        self._fresh = self._alone = False
        self._begun: tuple[int, int] | None = None
        if write:
            self._begin()
            return
        if not there(self.file):
            raise BadInput(
                f"there is no atlas at {path}: it has no {FILE}. Make one with `legenda demo` or "
                "`legenda run`, or name another folder."
            )
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
            for row in self.base.execute(query, values):  # noqa: UP028 -- left early, even late
                yield row

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
        if self._place() != self._begun:
            raise Missing(
                f"{self.folder} was taken away or put in another's place while it was written. "
                "Bring it back, or run again to make it anew."
            )
        with self._told():
            self.base.execute("BEGIN IMMEDIATE")
        try:
            yield self.base
            with self._told():
                self.base.execute("COMMIT")
        except BaseException as problem:
            with suppress(sqlite3.Error):
                self.base.execute("ROLLBACK")
            if isinstance(problem, sqlite3.DatabaseError) and not isinstance(problem, OURS):
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._fresh:
            unmade(self.base, self.folder, self._alone)
        self.close()

    def _begin(self) -> None:
        """Open for writing; a folder without an atlas becomes one."""
        self._alone = made(self.folder)
        self._fresh = not there(self.file)
        self._refuse_others()
        with self._told(opening=True):
            self._write_ahead()
            migrate(self.base, self.file)
        self._begun = self._place()
        if self._begun is None:  # whoever made it has just taken it away again
            self.close()
            self._begin()

    def _write_ahead(self) -> None:
        """Have the log written ahead; SQLite itself does not wait for others who ask for it too."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.base.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as problem:
                if "locked" not in str(problem) or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _place(self) -> tuple[int, int] | None:
        """Which file stands where the database is: rows written into another would be lost."""
        with suppress(OSError):
            found = self.file.stat()
            return found.st_dev, found.st_ino
        return None

    def _refuse_others(self) -> None:
        """Look before anything is changed: a file without a table may become an atlas."""
        held = 0
        if not self._fresh:
            with self._told(opening=True):
                held = self.base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if held:
            checked(self.base, self.file)
        elif orphaned(self.folder):
            raise BadInput(
                f"{self.file} is {'not there' if self._fresh else 'empty'}, but tensors lie beside "
                "it: what told of them is lost. Bring it back from a copy, or name another folder."
            )

    def _connect(self) -> sqlite3.Connection:
        with self._told(opening=True):
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

    @contextmanager
    def _told(self, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as problem:
            raise self._sentence(problem, opening) from None

    def _sentence(self, problem: sqlite3.DatabaseError, opening: bool = False) -> LegendaError:
        """What went wrong in the database, in a sentence."""
        return sentence(self.file, problem, write=self.write, opening=opening, patience=PATIENCE)


def loaded(text: str) -> Any:
    """Plain values from a column of JSON."""
    return json.loads(text)
