"""Rows of evidence, and the shards behind them."""

import sqlite3
from collections.abc import Mapping, Sequence

from torch import Tensor

from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.keys import digest_of, key_of
from legenda.atlas.pack import packed
from legenda.atlas.shards import write_shard
from legenda.atlas.store import Atlas


def evidence_key(entry: EvidenceEntry) -> str:
    """The key of evidence: of its kind, its facts and its tensors."""
    return key_of(entry.kind, dict(entry.facts), digest_of(entry.arrays))


def put_evidence(atlas: Atlas, entries: Sequence[EvidenceEntry]) -> list[int]:
    """Evidence, all of it in one file; what is there already is not written again."""
    keys = [evidence_key(e) for e in entries]
    with atlas.writing() as base:
        return list(kept(atlas, base, dict(zip(keys, entries, strict=True)), keys))


def kept(
    atlas: Atlas, base: sqlite3.Connection, entries: Mapping[str, EvidenceEntry], keys: list[str]
) -> list[int]:
    """Rows of evidence by key; what is new goes into one shard."""

    def there() -> dict[str, int]:
        found = {}
        for key in entries:
            row = base.execute("SELECT id FROM evidence WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = row[0]
        return found

    known = there()
    fresh = {key: e for key, e in entries.items() if key not in known}
    if fresh:
        names = {key: f"{i:x}" for i, key in enumerate(fresh)}
        pieces: dict[str, Mapping[str, Tensor]] = {names[k]: e.arrays for k, e in fresh.items()}
        digest, size = write_shard(atlas.folder, pieces)
        base.execute(
            "INSERT INTO shards (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (digest, size),
        )
        shard = base.execute("SELECT id FROM shards WHERE digest = ?", (digest,)).fetchone()[0]
        base.executemany(
            "INSERT INTO evidence (key, kind, shard, entry, facts) VALUES (?, ?, ?, ?, ?)",
            [(key, e.kind, shard, names[key], packed(e.facts)) for key, e in fresh.items()],
        )
        known = there()
    return [known[key] for key in keys]
