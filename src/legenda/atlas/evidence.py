"""Rows of evidence, and the shards behind them."""

import sqlite3
from collections.abc import Mapping, Sequence

from torch import Tensor

from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.keys import digest_of, key_of
from legenda.atlas.pack import packed
from legenda.atlas.shards import write_shard
from legenda.atlas.store import Atlas

MANY = 512
"""Pieces in one file, at most: more take longer to find one among, and to write at once."""


def evidence_key(entry: EvidenceEntry) -> str:
    """The key of evidence: of its kind, its facts and its tensors."""
    return key_of(entry.kind, dict(entry.facts), digest_of(entry.arrays))


def put_evidence(atlas: Atlas, entries: Sequence[EvidenceEntry]) -> list[int]:
    """Evidence, many pieces to a file; what is there already is not written again."""
    keys = [evidence_key(e) for e in entries]
    with atlas.writing() as base:
        return list(kept(atlas, base, dict(zip(keys, entries, strict=True)), keys))


def kept(
    atlas: Atlas, base: sqlite3.Connection, entries: Mapping[str, EvidenceEntry], keys: list[str]
) -> list[int]:
    """Rows of evidence by key; what is new goes into shards of `MANY` pieces."""

    def there() -> dict[str, int]:
        found = {}
        for key in entries:
            row = base.execute("SELECT id FROM evidence WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = row[0]
        return found

    known = there()
    fresh = [(key, e) for key, e in entries.items() if key not in known]
    for start in range(0, len(fresh), MANY):
        _shard(atlas, base, fresh[start : start + MANY])
    known = there() if fresh else known
    return [known[key] for key in keys]


def _shard(
    atlas: Atlas, base: sqlite3.Connection, fresh: Sequence[tuple[str, EvidenceEntry]]
) -> None:
    """One file of new evidence, then the rows that point into it."""
    pieces: dict[str, Mapping[str, Tensor]] = {f"{i:x}": e.arrays for i, (_, e) in enumerate(fresh)}
    digest, size = write_shard(atlas.folder, pieces)
    base.execute(
        "INSERT INTO shards (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, size)
    )
    shard = base.execute("SELECT id FROM shards WHERE digest = ?", (digest,)).fetchone()[0]
    base.executemany(
        "INSERT INTO evidence (key, kind, shard, entry, facts) VALUES (?, ?, ?, ?, ?)",
        [(k, e.kind, shard, f"{i:x}", packed(e.facts)) for i, (k, e) in enumerate(fresh)],
    )
