"""Writing into an atlas: what is there already is found again by its content, never doubled."""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from legenda.atlas.entries import (
    ModelEntry,
    PictureEntry,
    RelationEntry,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.keys import key_of
from legenda.atlas.pack import clean, now, packed
from legenda.atlas.store import Atlas

UNIT = """INSERT INTO units (set_id, number, label, state, name, said, why, certainty, low, high,
    score, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (set_id, number) DO UPDATE SET label = excluded.label, said = excluded.said,
    why = excluded.why, certainty = excluded.certainty, low = excluded.low, high = excluded.high,
    score = excluded.score, facts = excluded.facts,
    name = coalesce((SELECT name FROM corrections WHERE unit = units.id), excluded.said),
    state = CASE WHEN EXISTS (SELECT 1 FROM corrections WHERE unit = units.id)
                 THEN 'named' ELSE excluded.state END
  RETURNING id"""


def put_model(atlas: Atlas, entry: ModelEntry) -> int:
    """A model; its card is renewed where it is there already."""
    with atlas.writing() as base:
        return _put(
            base, "models", ("ref", "site", "digest"),
            ref=clean(entry.ref), site=clean(entry.site), digest=entry.digest,
            name=clean(entry.name), revision=clean(entry.revision), card=packed(entry.card),
        )  # fmt: skip


def put_set(atlas: Atlas, entry: SetEntry) -> int:
    """The units of a dictionary, as one thing."""
    with atlas.writing() as base:
        return _put(
            base, "sets", ("model", "dictionary", "digest"),
            model=entry.model, dictionary=clean(entry.dictionary), digest=entry.digest,
            kind=entry.kind, size=entry.size, card=packed(entry.card),
        )  # fmt: skip


def put_units(atlas: Atlas, entries: Iterable[UnitEntry]) -> list[int]:
    """Units, in order; a person's correction stays the name, whatever is said anew."""
    rows = [
        (u.set_id, u.number, clean(u.label), u.state, clean(u.said), clean(u.said), clean(u.why),
         u.certainty, u.low, u.high, u.score, packed(u.facts))
        for u in entries
    ]  # fmt: skip
    with atlas.writing() as base:
        ids = [base.execute(UNIT, row).fetchone()[0] for row in rows]
        if base.execute("SELECT 1 FROM corrections").fetchone():
            states = [(row[3], unit) for row, unit in zip(rows, ids, strict=True)]
            base.executemany("UPDATE corrections SET state = ? WHERE unit = ?", states)
        return ids


def put_picture(atlas: Atlas, entry: PictureEntry) -> int:
    """A picture; the same bytes are kept once."""
    digest = hashlib.sha256(entry.data).hexdigest()[:32]
    with atlas.writing() as base:
        found = base.execute("SELECT id FROM pictures WHERE digest = ?", (digest,)).fetchone()
        if found:
            return found[0]
        return _put(
            base, "pictures", ("digest",), digest=digest, source=clean(entry.source),
            caption=clean(entry.caption), width=entry.width, height=entry.height,
            media=entry.media, data=entry.data,
        )  # fmt: skip


def put_study(atlas: Atlas, entry: StudyEntry) -> int:
    """A study, found again by its kind and settings: begun anew it goes on where it stopped."""
    key = key_of(entry.kind, entry.settings)
    with atlas.writing() as base:
        return _put(
            base, "studies", ("key",), key=key, kind=entry.kind, title=clean(entry.title),
            settings=packed(entry.settings), provenance=packed(entry.provenance),
            command=clean(entry.command), began=now(),
            keep=("began",),
        )  # fmt: skip


def end_study(atlas: Atlas, study: int, seconds: float) -> None:
    """Say that a study is done, and what it took in all."""
    with atlas.writing() as base:
        base.execute(
            "UPDATE studies SET ended = ?, seconds = seconds + ? WHERE id = ?",
            (now(), seconds, study),
        )


def put_result(
    atlas: Atlas, study: int, kind: str, key: str, title: str, content: Mapping[str, Any]
) -> int:
    """A table, a curve or a finding that belongs to a study as a whole."""
    with atlas.writing() as base:
        return _put(
            base, "results", ("study", "kind", "key"), study=study, kind=kind, key=clean(key),
            title=clean(title), content=packed(content),
        )  # fmt: skip


def put_relations(atlas: Atlas, study: int, entries: Iterable[RelationEntry]) -> None:
    """Relations; the same pair is renewed."""
    rows = [
        (study, r.kind, r.one, r.other, r.value, r.low, r.high, r.n, r.control, packed(r.facts))
        for r in entries
    ]
    with atlas.writing() as base:
        base.executemany(
            """INSERT INTO relations (study, kind, one, other, value, low, high, n, control, facts)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
               value = excluded.value, low = excluded.low, high = excluded.high, n = excluded.n,
               control = excluded.control, facts = excluded.facts""",
            rows,
        )


def put_exemplars(
    atlas: Atlas, unit: int, found: Sequence[tuple[int, float]], evidence: int | None = None
) -> None:
    """What turns a unit on: (picture, strength), strongest first, instead of what was there."""
    with atlas.writing() as base:
        base.execute("DELETE FROM exemplars WHERE unit = ?", (unit,))
        base.executemany(
            "INSERT INTO exemplars VALUES (?, ?, ?, ?, ?)",
            [(unit, place, p, float(s), evidence) for place, (p, s) in enumerate(found)],
        )


def put_reading(atlas: Atlas, picture: int, set_id: int, evidence: int) -> None:
    """Which units are on in a picture, and where: evidence of the kind `codes`."""
    with atlas.writing() as base:
        base.execute(
            "INSERT INTO readings VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
            "evidence = excluded.evidence",
            (picture, set_id, evidence),
        )


def put_failure(atlas: Atlas, study: int, target: str, reason: str) -> None:
    """That a target could not be done, and why; `cleared` forgets it."""
    with atlas.writing() as base:
        base.execute(
            "INSERT INTO failures VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET "
            "reason = excluded.reason, tries = tries + 1, at = excluded.at",
            (study, clean(target), clean(reason), now()),
        )


def cleared(atlas: Atlas, study: int, target: str) -> None:
    """Forget a failure, since it went well."""
    with atlas.writing() as base:
        base.execute("DELETE FROM failures WHERE study = ? AND target = ?", (study, clean(target)))


def _put(
    base: sqlite3.Connection, table: str, unique: tuple[str, ...], keep: tuple[str, ...] = (),
    **fields: Any,
) -> int:  # fmt: skip
    """Insert a row, or renew the one that has the same `unique` fields; its id."""
    names = list(fields)
    renewed = [n for n in names if n not in unique and n not in keep]
    changes = ", ".join(f"{n} = excluded.{n}" for n in renewed) or f"{unique[0]} = {unique[0]}"
    row = base.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {changes} RETURNING id",
        list(fields.values()),
    ).fetchone()
    return row[0]
