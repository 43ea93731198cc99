"""An atlas as Parquet: one file per table, for DuckDB, pandas and polars, and back again.

Columns are those of the tables, so that `id` and what points at it join as they do in the atlas.
Evidence has its tensors in a column `tensors`, as the bytes of a safetensors file of its own.
Nothing that an atlas says is lost: `content_digest` after export and import is what it was.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors.torch import save

from legenda.atlas.store import Atlas
from legenda.corpus.durable import room
from legenda.errors import BadInput, Missing

TABLES = (
    "models", "sets", "units", "corrections", "pictures", "studies", "evidence", "explanations",
    "descriptions", "scores", "exemplars", "relations", "readings", "results", "failures",
)  # fmt: skip
"""In an order in which whatever is pointed at comes first."""
MANY = {"pictures": 64, "evidence": 256}
"""Rows written at once, of those that are large."""
ROWS = 20_000


def export_parquet(atlas: Atlas, folder: Path) -> list[Path]:
    """Write every table as a file of its own into a new or empty folder."""
    arrow, parquet = pyarrow()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"--parquet {folder} is there and not empty. Name a new folder.")
    fresh = not folder.exists()
    with room(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{table}.parquet" for table in TABLES]
    try:
        for table, path in zip(TABLES, written, strict=True):
            columns = columns_of(atlas, table)
            schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
            rows = _rows(atlas, table, list(columns))
            with room(path), parquet.ParquetWriter(path, schema, compression="zstd") as file:
                while chunk := list(islice(rows, MANY.get(table, ROWS))):
                    file.write_table(arrow.Table.from_pylist(chunk, schema))
    except BaseException:  # half of an atlas helps nobody
        for path in written:
            path.unlink(missing_ok=True)
        if fresh:
            folder.rmdir()
        raise
    return written


def columns_of(atlas: Atlas, table: str) -> dict[str, str]:
    """The columns of a table as they are exported, with their types in SQLite."""
    found = {row["name"]: row["type"] for row in atlas.all(f"PRAGMA table_info({table})")}
    if table == "evidence":  # the file that tensors lie in means nothing elsewhere
        found = {name: kind for name, kind in found.items() if name not in ("shard", "entry")}
        found["tensors"] = "BLOB"
    return found


def _rows(atlas: Atlas, table: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    for row in atlas.each(f"SELECT * FROM {table}"):
        more = {"tensors": save(atlas.arrays(row["id"]))} if table == "evidence" else {}
        yield {name: row[name] for name in columns if name not in more} | more


def _type(arrow: Any, kind: str) -> Any:
    kinds = {"INTEGER": arrow.int64, "REAL": arrow.float64, "TEXT": arrow.string}
    return kinds.get(kind, arrow.large_binary)()


def pyarrow() -> tuple[Any, Any]:
    """Arrow and its Parquet, or a sentence that says where they come from."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise Missing(
            "Parquet needs pyarrow, which is not installed. Install it: pip install legenda[data]."
        ) from None
    return arrow, parquet
