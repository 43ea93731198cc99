"""Rows of parquet files, by number.

They are read by groups of rows, of which the last few are kept: rows in order cost little, rows by
lot cost a group each. Whoever wants them by lot several times records them first
(`rows.record_rows`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

from legenda.errors import BadInput, Missing

KEPT = 4
"""So many groups of rows, of one column, are held."""


class ParquetRows:
    """The rows of parquet files, read by groups."""

    def __init__(self, files: Sequence[Any], at: str, said: str | None):
        self.files, self.at, self.said = files, at, said
        self.groups = [(f, g) for f, file in enumerate(files) for g in range(file.num_row_groups)]
        sizes = (self.files[f].metadata.row_group(g).num_rows for f, g in self.groups)
        self.starts = [0, *accumulate(sizes)]
        self._column = lru_cache(KEPT)(self._read)

    def __len__(self) -> int:
        return self.starts[-1]

    def image(self, i: int) -> Any:
        return self._at(i, self.at)

    def label(self, i: int) -> Any:
        return self._at(i, self.said) if self.said else None

    def _at(self, i: int, column: str) -> Any:
        group = bisect_right(self.starts, i) - 1
        return self._column(group, column)[i - self.starts[group]].as_py()

    def _read(self, group: int, column: str) -> Any:
        file, number = self.groups[group]
        try:
            return self.files[file].read_row_group(number, [column]).column(0)
        except OSError as problem:
            raise BadInput(
                f"rows of a parquet file cannot be read ({problem}). Copy it again."
            ) from None


def opened_file(parquet: Any, path: Path) -> Any:
    """A parquet file, of which the end was read."""
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as problem:  # Arrow's errors are one of them
        raise BadInput(f"{path} is no parquet file ({problem}). Copy it again.") from None


def package(name: str, who: str) -> Any:
    """A package that legenda does not bring, or the way to get it."""
    try:
        return import_module(name)
    except ImportError:
        package = name.split(".")[0]
        raise Missing(
            f"{who} needs the package {package}, which is not installed. "
            "Run: pip install 'legenda[data]'"
        ) from None
