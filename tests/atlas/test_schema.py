"""The tables keep their own promises, whoever writes into them."""

import sqlite3

import pytest

from legenda.atlas import schema
from legenda.atlas.store import Atlas
from legenda.atlas.verify import TABLES
from legenda.errors import BadInput, Missing
from tests.atlas.made import made


@pytest.fixture
def atlas(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as opened:
        yield opened


BAD = {
    "a word for a number": "UPDATE units SET certainty = 'high' WHERE id = 1",
    "no such state": "UPDATE units SET state = 'happy' WHERE id = 1",
    "no such kind": "UPDATE sets SET kind = 'thing' WHERE id = 1",
    "a unit of no set": "UPDATE units SET set_id = 99 WHERE id = 1",
    "an explanation of no study": "UPDATE explanations SET study = 99 WHERE id = 1",
    "evidence in no file": "UPDATE evidence SET shard = 99 WHERE id = 1",
    "evidence that is used": "DELETE FROM evidence WHERE id = 1",
    "a unit twice": "UPDATE units SET number = 0 WHERE set_id = 1",
    "no name": "UPDATE units SET name = NULL WHERE id = 1",
}


@pytest.mark.parametrize("statement", BAD.values(), ids=BAD.keys())
def test_what_makes_no_sense_cannot_be_written(atlas, statement):
    with pytest.raises(sqlite3.IntegrityError):
        atlas.base.execute(statement)


def test_all_tables_are_strict_and_known_to_verify(atlas):
    tables = {row["name"]: row for row in atlas.all("PRAGMA table_list")}
    ours = {n: r for n, r in tables.items() if not n.startswith(("sqlite_", "words"))}
    assert all(row["strict"] for row in ours.values())
    assert set(ours) == {name for name in TABLES if not name.startswith("words")}


def test_the_log_is_written_ahead_and_references_are_checked(atlas):
    assert atlas.value("PRAGMA journal_mode") == "wal"
    assert atlas.value("PRAGMA foreign_keys") == 1
    with Atlas(atlas.folder) as reader:
        assert reader.value("PRAGMA foreign_keys") == reader.value("PRAGMA query_only") == 1


def counted(atlas):
    rows = atlas.all("SELECT set_id, state, count(*) FROM units GROUP BY 1, 2")
    return {tuple(row) for row in rows}


def told(atlas):
    return {tuple(row) for row in atlas.all("SELECT * FROM tallies WHERE count > 0")}


def words(atlas, text):
    rows = atlas.all("SELECT rowid FROM words WHERE words MATCH ?", text)
    return [row[0] for row in rows]


def test_tallies_follow_every_change(atlas):
    assert told(atlas) == counted(atlas)
    for change in (
        "UPDATE units SET state = 'dead' WHERE id < 4",
        "UPDATE units SET state = 'dead' WHERE id < 6",
        "DELETE FROM units WHERE id IN (2, 5)",
        "INSERT INTO units SELECT 99, set_id, 99, label, state, name, said, why, certainty, low, "
        "high, score, facts FROM units WHERE id = 1",
    ):
        before = counted(atlas)
        atlas.base.execute(change)
        assert told(atlas) == counted(atlas) != before


def test_words_follow_every_change(atlas):
    assert words(atlas, "animal") == [4] and words(atlas, "wolf") == []
    atlas.base.execute("UPDATE units SET name = 'grey wolf' WHERE id = 4")
    assert words(atlas, "wolf") == [4] and words(atlas, "said: animal") == [4]
    atlas.base.execute("UPDATE units SET said = 'x', label = 'y' WHERE id = 4")
    assert words(atlas, "animal") == []
    atlas.base.execute("DELETE FROM units WHERE id = 4")
    assert words(atlas, "wolf") == []
    atlas.base.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


def test_a_set_takes_its_units_with_it(atlas):
    atlas.base.execute("DELETE FROM models WHERE ref = 'zoo:scenes'")
    assert atlas.value("SELECT count(*) FROM units") == 5
    assert told(atlas) == counted(atlas)
    assert words(atlas, "animal") == []
    assert atlas.all("PRAGMA foreign_key_check") == []


def test_opening_again_migrates_nothing(atlas):
    before = [tuple(row) for row in atlas.all("SELECT * FROM sqlite_master")]
    schema.migrate(atlas.base, atlas.file)
    Atlas(atlas.folder, write=True).close()
    assert [tuple(row) for row in atlas.all("SELECT * FROM sqlite_master")] == before


SECOND = ("CREATE TABLE moods (id INTEGER PRIMARY KEY) STRICT;\n", "9.9")
BROKEN = ("CREATE TABLE moods (id INTEGER PRIMARY KEY) STRICT;\nCREATE TABLE units (x);\n", "9.9")


def test_an_older_atlas_is_brought_up_when_it_is_written(atlas, monkeypatch):
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, SECOND))
    monkeypatch.setattr(schema, "SCHEMA", 2)
    with pytest.raises(Missing) as caught:
        Atlas(atlas.folder)
    assert str(caught.value) == (
        f"{atlas.file} has schema 1, which is older than 2. Open it once for writing, as "
        "`legenda atlas verify` does with --migrate."
    )
    with Atlas(atlas.folder, write=True) as renewed:
        assert renewed.value("PRAGMA user_version") == 2
        assert renewed.value("SELECT count(*) FROM moods") == 0
        assert renewed.value("SELECT count(*) FROM units") == 11
    Atlas(atlas.folder).close()


def test_a_migration_that_fails_leaves_the_atlas_as_it_was(atlas, monkeypatch):
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, BROKEN))
    monkeypatch.setattr(schema, "SCHEMA", 2)
    with pytest.raises(BadInput, match="table units already exists"):
        Atlas(atlas.folder, write=True)
    monkeypatch.undo()
    with Atlas(atlas.folder) as same:
        assert same.value("PRAGMA user_version") == 1
        assert same.value("SELECT count(*) FROM sqlite_master WHERE name = 'moods'") == 0


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_atlas_is_refused(atlas, write):
    atlas.base.execute("PRAGMA user_version = 7")
    with pytest.raises(BadInput) as caught:
        Atlas(atlas.folder, write=write)
    assert str(caught.value) == (
        f"{atlas.file} has schema 7; this legenda reads up to 1. Install a newer one: "
        "pip install --upgrade legenda."
    )
    assert atlas.value("PRAGMA user_version") == 7


def test_statements_of_a_trigger_stay_together():
    script = "CREATE TABLE a (x);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\nEND;\n"
    assert [one.split()[1] for one in schema.statements(script)] == ["TABLE", "TRIGGER"]
