"""What was exported comes back: read into an atlas of its own, checked there, and then merged.

A file of others may say anything. What it says goes into the same tables, under the same checks, as
everything else; evidence must be what its key says, and a picture must be a picture of the size and
digest that it claims. Only if all of it is sound is it merged; otherwise the atlas is as it was.
"""

import hashlib
import io
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.evidence import evidence_key
from legenda.atlas.export_parquet import MANY, ROWS, TABLES, columns_of, pyarrow
from legenda.atlas.merge import Merged, merge
from legenda.atlas.pack import clean, packed
from legenda.atlas.shards import write_shard
from legenda.atlas.store import Atlas, loaded
from legenda.errors import BadInput, LegendaError

RASTER = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
"""What a picture may be: nothing that could hold a script."""
JSON = ("card", "facts", "settings", "provenance", "content")


def import_parquet(atlas: Atlas, folder: Path) -> Merged:
    """Bring back what `export_parquet` wrote."""
    with apart() as fresh:
        with told(folder), fresh.writing():
            for table in TABLES:
                for chunk in _chunks(fresh, table, folder / f"{table}.parquet"):
                    _restore(fresh, table, chunk)
        return merge(atlas, fresh)


@contextmanager
def apart() -> Iterator[Atlas]:
    """An empty atlas, which is gone at the end."""
    with TemporaryDirectory(prefix="legenda-") as folder, Atlas(folder, write=True) as fresh:
        yield fresh


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say of which file it is that something in it cannot be kept."""
    try:
        yield
    except LegendaError as problem:
        if str(path) in str(problem):
            raise
        raise BadInput(f"{path} cannot be imported: {problem}") from None
    except (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError) as problem:
        said = " ".join(str(problem).split())
        raise BadInput(
            f"{path} cannot be imported: it does not hold what an atlas holds ({said}). Export it "
            "again."
        ) from None


def check_picture(row: Mapping[str, Any]) -> None:
    """Refuse what is no picture, or another than it says."""
    from PIL import Image, UnidentifiedImageError

    data, media = row["data"], row["media"]
    if media not in RASTER:
        raise BadInput(
            f"a picture is of the type {media!r}; an atlas takes {', '.join(RASTER)} only."
        )
    size = None
    with suppress(UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        size = Image.open(io.BytesIO(data), formats=(RASTER[media],)).size
    digest = hashlib.sha256(data).hexdigest()[:32]
    if size != (row["width"], row["height"]) or digest != row["digest"]:
        raise BadInput(f"picture {row['digest']} is not what it says. Export it again.")


def _chunks(fresh: Atlas, table: str, path: Path) -> Iterator[list[dict[str, Any]]]:
    arrow, parquet = pyarrow()
    if not path.is_file():
        raise BadInput(f"{path} is not there. Give the folder that `export --parquet` wrote.")
    columns = list(columns_of(fresh, table))
    try:
        with parquet.ParquetFile(path) as file:
            if file.schema_arrow.names != columns:
                raise BadInput(
                    f"{path} has the columns {', '.join(file.schema_arrow.names)}; an atlas has "
                    f"{', '.join(columns)}. Export it again with this legenda."
                )
            for batch in file.iter_batches(MANY.get(table, ROWS)):
                yield batch.to_pylist()
    except (arrow.ArrowException, OSError) as problem:
        raise BadInput(f"{path} cannot be read as Parquet ({problem}). Export it again.") from None


def _restore(fresh: Atlas, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows as they were, with the numbers they had."""
    if not rows:
        return
    if table == "evidence":
        rows = _evidence(fresh, rows)
    for row in rows if table == "pictures" else ():
        check_picture(row)
    names = list(rows[0])
    asked = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    fresh.base.executemany(asked, ([_value(n, row[n]) for n in names] for row in rows))


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return packed(loaded(value)) if name in JSON else clean(value)


def _evidence(fresh: Atlas, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of evidence, with their tensors in one file again."""
    entries: dict[str, EvidenceEntry] = {}
    for row in rows:
        try:
            arrays = load(row["tensors"])
        except SafetensorError as problem:
            raise BadInput(f"evidence {row['key']} is damaged ({problem}).") from None
        entry = EvidenceEntry(row["kind"], arrays, loaded(row["facts"]))
        if evidence_key(entry) != row["key"]:
            raise BadInput(f"evidence {row['key']} is not what its key says. Export it again.")
        entries[row["key"]] = entry
    names = {key: f"{i:x}" for i, key in enumerate(entries)}
    digest, size = write_shard(fresh.folder, {names[k]: e.arrays for k, e in entries.items()})
    asked = "INSERT INTO shards (digest, bytes) VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes RETURNING id"  # noqa: E501 # fmt: skip
    shard = fresh.base.execute(asked, (digest, size)).fetchone()[0]
    kept = ("id", "key", "kind", "facts")
    return [{**{n: r[n] for n in kept}, "shard": shard, "entry": names[r["key"]]} for r in rows]
