"""Evidence of one atlas brought into another: files are copied whole, and checked as they are."""

import hashlib

from legenda.atlas.merge_tables import Numbers
from legenda.atlas.shards import place_of
from legenda.atlas.store import Atlas
from legenda.corpus.durable import land, room
from legenda.errors import Refused


def bring_evidence(into: Atlas, source: Atlas) -> Numbers:
    """Bring every piece of evidence in that is not there; where each of them now is."""
    numbers, shards = Numbers(), dict[str, int]()
    asked = """SELECT e.id, e.key, e.kind, e.entry, e.facts, s.digest, s.bytes
      FROM evidence e JOIN shards s ON s.id = e.shard ORDER BY e.id"""
    for old, key, kind, entry, facts, digest, size in source.each(asked):
        there = into.value("SELECT id FROM evidence WHERE key = ?", key)
        if there is None:
            if digest not in shards:
                shards[digest] = _shard(into, source, digest, size)
            there = into.base.execute(
                "INSERT INTO evidence (key, kind, shard, entry, facts) VALUES (?, ?, ?, ?, ?) "
                "RETURNING id",
                (key, kind, shards[digest], entry, facts),
            ).fetchone()[0]
        numbers[old] = there
    return numbers


def _shard(into: Atlas, source: Atlas, digest: str, size: int) -> int:
    """A file of tensors, copied unless it is there."""
    place = place_of(into.folder, digest)
    if not place.exists():
        with room(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        land(place, _read(source, digest))
    into.base.execute(
        "INSERT INTO shards (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, size)
    )
    return into.value("SELECT id FROM shards WHERE digest = ?", digest)


def _read(source: Atlas, digest: str) -> bytes:
    path = place_of(source.folder, digest)
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Refused(
            f"{path.name} of the atlas {source.folder} is damaged or not there, so it cannot be "
            "merged. `legenda atlas verify` lists what is lost; bring the file back."
        )
    return data
