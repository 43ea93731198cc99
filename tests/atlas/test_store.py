"""An atlas is opened, read and written whole, or refused in a sentence."""

import sqlite3
import threading

import pytest

from legenda.atlas import schema, store
from legenda.atlas.store import Atlas
from legenda.atlas.writer import Writer
from legenda.errors import BadInput, Missing, Refused
from tests.atlas.children import entry, opened, state
from tests.atlas.made import made


def test_where_there_is_no_atlas_it_says_how_to_make_one(tmp_path):
    with pytest.raises(BadInput) as caught:
        Atlas(tmp_path / "none")
    assert str(caught.value) == (
        f"there is no atlas at {tmp_path / 'none'}: it has no atlas.db. Make one with "
        "`legenda demo` or `legenda run`, or name another folder."
    )


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput) as caught:
        Atlas(tmp_path / "file", write=True)
    assert str(caught.value) == (
        f"an atlas is a folder; {tmp_path / 'file'} is a file. Name another."
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Missing) as caught:
        Atlas(tmp_path / "file" / "atlas", write=True)
    assert str(caught.value) == (
        f"the atlas {tmp_path / 'file' / 'atlas'} cannot be made: Not a directory. "
        "Choose another folder."
    )


@pytest.mark.parametrize("write", [False, True])
def test_a_database_of_others_is_refused_and_not_touched(tmp_path, write):
    base = sqlite3.connect(tmp_path / "atlas.db")
    base.execute("CREATE TABLE mine (x)")
    base.commit()
    base.close()
    before = (tmp_path / "atlas.db").read_bytes()
    with pytest.raises(BadInput) as caught:
        Atlas(tmp_path, write=write)
    assert str(caught.value) == (
        f"{tmp_path / 'atlas.db'} is no atlas of legenda. Give a folder that holds atlas.db."
    )
    assert (tmp_path / "atlas.db").read_bytes() == before


@pytest.mark.parametrize("write", [False, True])
def test_what_is_no_database_is_refused(tmp_path, write):
    (tmp_path / "atlas.db").write_bytes(b"not at all a database" * 100)
    with pytest.raises(BadInput) as caught:
        Atlas(tmp_path, write=write)
    assert str(caught.value) == (
        f"{tmp_path / 'atlas.db'} is no database, or its beginning is lost. Bring the atlas "
        "back from a copy, or name another folder."
    )


def test_an_empty_file_becomes_an_atlas(tmp_path):
    sqlite3.connect(tmp_path / "atlas.db").execute("PRAGMA journal_mode = WAL")
    with Atlas(tmp_path, write=True) as atlas:  # such as a kill leaves, right at the beginning
        assert atlas.value("PRAGMA user_version") == schema.SCHEMA


def test_who_reads_cannot_write(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        with pytest.raises(Refused) as caught, atlas.writing():
            pass
        assert str(caught.value) == (
            f"{tmp_path / 'a'} was opened to read. Open it with write=True."
        )
        with pytest.raises(Missing, match="cannot be written"):
            atlas.one("DELETE FROM units")


def test_a_transaction_is_whole_or_nothing(tmp_path):
    atlas, _, units = opened(tmp_path / "a", 2)
    with pytest.raises(RuntimeError, match="half"), atlas.writing() as base:
        base.execute("UPDATE units SET label = 'new' WHERE id = ?", (units[0],))
        with atlas.writing() as inner:  # one within another is part of it
            inner.execute("UPDATE units SET label = 'new' WHERE id = ?", (units[1],))
        raise RuntimeError("half")
    assert [row[0] for row in atlas.all("SELECT label FROM units")] == ["latent 0", "latent 1"]
    with atlas.writing() as base:
        base.execute("UPDATE units SET label = 'new'")
    assert [row[0] for row in atlas.all("SELECT label FROM units")] == ["new", "new"]


def test_a_writer_leaves_one_file(tmp_path):
    folder = made(tmp_path / "a")
    assert sorted(path.name for path in folder.iterdir()) == ["atlas.db", "tensors"]


def test_readers_see_whole_transactions_while_one_writes(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with atlas, Atlas(tmp_path / "a") as reader:
        with atlas.writing() as base:
            base.execute("UPDATE units SET label = 'new'")
            assert reader.value("SELECT label FROM units") == "latent 0"
        assert reader.value("SELECT label FROM units") == "new"


def test_every_thread_has_a_connection_of_its_own(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        held, counts = [], []

        def read():
            held.append(atlas.base)
            counts.append(atlas.value("SELECT count(*) FROM units"))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [11] * 8 and len(set(map(id, held))) == 8
    with pytest.raises(sqlite3.ProgrammingError):
        held[0].execute("SELECT 1")


def test_what_is_not_there_is_none_and_no_error(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        assert atlas.one("SELECT 1 WHERE 0") is None and atlas.value("SELECT 1 WHERE 0") is None
        assert "latent 0" in atlas and "latent 99" not in atlas
        assert list(atlas.each("SELECT number FROM units WHERE 0")) == []
        with pytest.raises(BadInput) as caught:
            atlas.arrays(10**9)
        assert str(caught.value) == f"{tmp_path / 'a'} holds no evidence {10**9}."


def test_who_waits_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 0.1)
    first, second = opened(tmp_path / "a")[0], Atlas(tmp_path / "a", write=True)
    with first.writing():
        with pytest.raises(Refused) as caught, second.writing():
            pass
    assert str(caught.value) == (
        f"{tmp_path / 'a'} is being written by another process for more than 0.1 seconds. "
        "Wait for it, and run again: what is there is kept."
    )
    with second.writing():
        pass


def read_only(monkeypatch):
    """Tests may run as root, whom no mode stops: so the question whether one may is answered no."""
    monkeypatch.setattr(store.os, "access", lambda path, mode: False)


def test_a_read_only_folder_is_read_and_not_changed(tmp_path, monkeypatch):
    folder = made(tmp_path / "a")
    read_only(monkeypatch)
    before = {p: p.stat().st_mtime_ns for p in [folder, *folder.rglob("*")]}
    with Atlas(folder) as atlas:
        assert atlas.value("SELECT count(*) FROM units") == 11
        assert atlas.arrays(1)["values"].tolist() == [-2, -1, 0, 1, 2]
        assert sorted(p.name for p in folder.iterdir()) == ["atlas.db", "tensors"], "no -shm"
    assert {p: p.stat().st_mtime_ns for p in [folder, *folder.rglob("*")]} == before


def test_a_place_that_sqlite_cannot_write_is_named(tmp_path, monkeypatch):
    folder = made(tmp_path / "a")
    refuse = sqlite3.connect

    def connect(path, **more):
        return refuse(f"file:{path}?mode=ro", uri=True, **more)

    monkeypatch.setattr(store.sqlite3, "connect", connect)
    with pytest.raises(Missing) as caught, Atlas(folder, write=True) as atlas, atlas.writing() as b:
        b.execute("DELETE FROM relations")
    assert str(caught.value) == (
        f"{folder} cannot be written. Choose a folder that you may change, or copy it."
    )


def test_flipped_bytes_are_named_and_the_rest_stays_readable(tmp_path):
    folder = made(tmp_path / "a")
    with Atlas(folder) as atlas:
        size = atlas.value("PRAGMA page_size")
        root = atlas.value("SELECT rootpage FROM sqlite_master WHERE name = 'relations'")
    with (folder / "atlas.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    with Atlas(folder) as atlas:
        with pytest.raises(BadInput) as caught:
            atlas.all("SELECT * FROM relations")
        assert str(caught.value) == (
            f"{folder / 'atlas.db'} is damaged (database disk image is malformed). "
            "`legenda atlas verify` says what can still be read."
        )
        assert atlas.value("SELECT count(*) FROM units") == 11
        assert atlas.value("SELECT name FROM units WHERE number = 1 AND set_id = 2") == "cat"


def test_writing_goes_on_after_a_failure(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with pytest.raises(sqlite3.IntegrityError), atlas.writing() as base:
        base.execute("INSERT INTO corrections (unit, name, by, at) VALUES (99, 'x', '', '')")
    with Writer(atlas, study) as writer:
        writer.add(entry(0, units[0]))
    assert state(atlas) == {"explanations": 1, "described": 1, "evidence": 1, "damage": []}
