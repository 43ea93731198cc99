"""The tables of an atlas, as numbered migrations.

    models ─ sets ─ units ─┬─ corrections            a person's names, which outlive reruns
                           ├─ exemplars ─ pictures   what turns a unit on, strongest first
                           └─ relations              one unit and another
    studies ─ explanations ─┬─ descriptions          candidates, best first
              (of a unit,   ├─ scores                each beside its control
              or a picture) └─ evidence ─ shards     tensors, in files named by their content
    studies ─ results, failures       readings: the units of a picture, where they are on

A migration is never edited once it was released: what changes the tables is a new one.
"""

import re
import sqlite3
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from legenda.errors import BadInput, Missing

APPLICATION = 0x4C474E44
"""`LGND`: what the header of every atlas says it is."""
FILE, TENSORS = "atlas.db", "tensors"
STATES = ("unread", "named", "abstained", "inactive", "dead")
KINDS = ("token", "latent", "neuron", "concept", "direction")

FIRST = """
CREATE TABLE models (
  id INTEGER PRIMARY KEY, ref TEXT NOT NULL, name TEXT NOT NULL, site TEXT NOT NULL,
  revision TEXT NOT NULL, digest TEXT NOT NULL, card TEXT NOT NULL,
  UNIQUE (ref, site, digest)
) STRICT;
CREATE TABLE sets (
  id INTEGER PRIMARY KEY, model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
  dictionary TEXT NOT NULL, kind TEXT NOT NULL
    CHECK (kind IN ('token', 'latent', 'neuron', 'concept', 'direction')),
  digest TEXT NOT NULL, size INTEGER NOT NULL, card TEXT NOT NULL,
  UNIQUE (model, dictionary, digest)
) STRICT;
CREATE TABLE units (
  id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL REFERENCES sets ON DELETE CASCADE,
  number INTEGER NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL
    CHECK (state IN ('unread', 'named', 'abstained', 'inactive', 'dead')),
  name TEXT NOT NULL, said TEXT NOT NULL, why TEXT NOT NULL,
  certainty REAL, low REAL, high REAL, score REAL, facts TEXT NOT NULL,
  UNIQUE (set_id, number)
) STRICT;
CREATE INDEX units_by_certainty ON units (set_id, state, certainty DESC, number);
CREATE INDEX units_by_score ON units (set_id, state, score DESC, number);
CREATE INDEX all_by_certainty ON units (state, certainty DESC, id);
CREATE INDEX all_by_score ON units (state, score DESC, id);
CREATE TABLE corrections (
  unit INTEGER PRIMARY KEY REFERENCES units ON DELETE CASCADE,
  name TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'unread' -- of the unit, were it not for the person
) STRICT;
CREATE TABLE pictures (
  id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
  caption TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  media TEXT NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE shards (
  id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE evidence (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  shard INTEGER NOT NULL REFERENCES shards, entry TEXT NOT NULL, facts TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_by_shard ON evidence (shard);
CREATE TABLE studies (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, title TEXT NOT NULL,
  settings TEXT NOT NULL, provenance TEXT NOT NULL, command TEXT NOT NULL,
  began TEXT NOT NULL, ended TEXT, seconds REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE explanations (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
  study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE,
  unit INTEGER REFERENCES units ON DELETE CASCADE, picture INTEGER REFERENCES pictures,
  target TEXT NOT NULL, by TEXT NOT NULL, evidence INTEGER REFERENCES evidence,
  facts TEXT NOT NULL
) STRICT;
CREATE INDEX explanations_by_unit ON explanations (unit);
CREATE INDEX explanations_by_picture ON explanations (picture);
CREATE INDEX explanations_by_study ON explanations (study);
CREATE INDEX explanations_by_evidence ON explanations (evidence);
CREATE TABLE descriptions (
  explanation INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  place INTEGER NOT NULL, text TEXT NOT NULL, by TEXT NOT NULL,
  certainty REAL, low REAL, high REAL, abstained TEXT NOT NULL,
  PRIMARY KEY (explanation, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE scores (
  explanation INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  name TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER NOT NULL,
  higher_is_better INTEGER NOT NULL, control REAL, control_low REAL, control_high REAL,
  unit TEXT NOT NULL, PRIMARY KEY (explanation, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE exemplars (
  unit INTEGER NOT NULL REFERENCES units ON DELETE CASCADE, place INTEGER NOT NULL,
  picture INTEGER NOT NULL REFERENCES pictures, strength REAL NOT NULL,
  evidence INTEGER REFERENCES evidence, PRIMARY KEY (unit, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX exemplars_by_picture ON exemplars (picture);
CREATE INDEX exemplars_by_evidence ON exemplars (evidence);
CREATE TABLE relations (
  id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE,
  kind TEXT NOT NULL, one INTEGER NOT NULL REFERENCES units ON DELETE CASCADE,
  other INTEGER NOT NULL REFERENCES units ON DELETE CASCADE, value REAL NOT NULL,
  low REAL, high REAL, n INTEGER NOT NULL, control REAL, facts TEXT NOT NULL,
  UNIQUE (study, kind, one, other)
) STRICT;
CREATE INDEX relations_by_one ON relations (one);
CREATE INDEX relations_by_other ON relations (other);
CREATE INDEX relations_by_kind ON relations (kind, value DESC);
CREATE TABLE readings (
  picture INTEGER NOT NULL REFERENCES pictures ON DELETE CASCADE,
  set_id INTEGER NOT NULL REFERENCES sets ON DELETE CASCADE,
  evidence INTEGER NOT NULL REFERENCES evidence, PRIMARY KEY (picture, set_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX readings_by_evidence ON readings (evidence);
CREATE TABLE results (
  id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE,
  kind TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL,
  UNIQUE (study, kind, key)
) STRICT;
CREATE TABLE failures (
  study INTEGER NOT NULL REFERENCES studies ON DELETE CASCADE, target TEXT NOT NULL,
  reason TEXT NOT NULL, tries INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (study, target)
) STRICT, WITHOUT ROWID;
CREATE TABLE tallies (
  set_id INTEGER NOT NULL REFERENCES sets ON DELETE CASCADE, state TEXT NOT NULL,
  count INTEGER NOT NULL, PRIMARY KEY (set_id, state)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
  name, said, label, content = 'units', content_rowid = 'id', prefix = '1 2 3'
);
CREATE TRIGGER unit_added AFTER INSERT ON units BEGIN
  INSERT INTO words (rowid, name, said, label) VALUES (new.id, new.name, new.said, new.label);
  INSERT INTO tallies VALUES (new.set_id, new.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER unit_gone AFTER DELETE ON units BEGIN
  INSERT INTO words (words, rowid, name, said, label)
    VALUES ('delete', old.id, old.name, old.said, old.label);
  UPDATE tallies SET count = count - 1 WHERE set_id = old.set_id AND state = old.state;
END;
CREATE TRIGGER unit_named AFTER UPDATE OF name, said, label ON units BEGIN
  INSERT INTO words (words, rowid, name, said, label)
    VALUES ('delete', old.id, old.name, old.said, old.label);
  INSERT INTO words (rowid, name, said, label) VALUES (new.id, new.name, new.said, new.label);
END;
CREATE TRIGGER unit_judged AFTER UPDATE OF state ON units WHEN old.state <> new.state BEGIN
  UPDATE tallies SET count = count - 1 WHERE set_id = old.set_id AND state = old.state;
  INSERT INTO tallies VALUES (new.set_id, new.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
"""

MIGRATIONS: tuple[tuple[str, str], ...] = ((FIRST, "0.1.0"),)
"""Each with the version of legenda that brought it; the number of an atlas is how many it has."""
SCHEMA = len(MIGRATIONS)
WRITTEN = "SELECT json_extract(provenance, '$.legenda') FROM studies ORDER BY id DESC LIMIT 1"


def migrate(base: sqlite3.Connection, path: Path) -> None:
    """Bring an atlas to the newest schema, one migration at a time, each whole or not at all."""
    while (number := base.execute("PRAGMA user_version").fetchone()[0]) < SCHEMA:
        script = MIGRATIONS[number][0]
        base.execute("BEGIN IMMEDIATE")
        if base.execute("PRAGMA user_version").fetchone()[0] > number:  # another was faster
            base.execute("ROLLBACK")
            continue
        try:
            for statement in statements(script):
                base.execute(statement)
            base.execute(f"PRAGMA user_version = {number + 1}")
            base.execute(f"PRAGMA application_id = {APPLICATION}")
            base.execute("COMMIT")
        except BaseException:
            base.execute("ROLLBACK")
            raise


def statements(script: str) -> list[str]:
    """The statements of a script; those of a trigger stay together."""
    found, held = [], ""
    for line in script.splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            found.append(held.strip())
            held = ""
    return [one for one in found if one]


def checked(base: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no atlas, and what a newer legenda wrote."""
    try:
        application = base.execute("PRAGMA application_id").fetchone()[0]
        number = base.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as problem:
        raise BadInput(
            f"{path} is no atlas, or it is damaged ({problem}). `legenda atlas verify` says what "
            "can still be read."
        ) from None
    if application != APPLICATION:
        raise BadInput(f"{path} is no atlas of legenda. Give a folder that holds {FILE}.")
    if number > SCHEMA:
        raise BadInput(
            f"{path} has schema {number}; this legenda reads up to {SCHEMA}. Install "
            f"{_newer(base)}."
        )
    if number < SCHEMA and base.execute("PRAGMA query_only").fetchone()[0]:
        raise Missing(
            f"{path} has schema {number}, which is older than {SCHEMA}. Open it once for writing, "
            "as `legenda atlas verify` does with --migrate."
        )


def _newer(base: sqlite3.Connection) -> str:
    """The version that wrote an atlas last, where it tells; else any newer one."""
    said = own = ""
    with suppress(PackageNotFoundError):
        own = version("legenda")
    with suppress(sqlite3.Error):
        row = base.execute(WRITTEN).fetchone()
        said = str(row[0]) if row else ""
    if said == own or re.fullmatch(r"\d+(\.\w+){0,4}", said) is None:
        return "a newer one: pip install --upgrade legenda"
    return f"{said}, which wrote it, or a newer one: pip install 'legenda>={said}'"
