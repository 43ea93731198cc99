"""Where an atlas may lie, what is taken away again, and what is said where nothing can be read."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from legenda.atlas import place
from legenda.atlas.entries import ModelEntry
from legenda.atlas.export_parquet import export_parquet
from legenda.atlas.place import orphaned, others, there
from legenda.atlas.shards import place_of
from legenda.atlas.store import Atlas
from legenda.atlas.verify import Finding, verify
from legenda.atlas.write import put_model
from legenda.errors import BadInput, Missing
from tests.atlas.made import made


def refused(kind, path, write=False):
    with pytest.raises(kind) as caught:
        Atlas(path, write=write)
    return str(caught.value)


def test_a_name_that_is_too_long_is_refused(tmp_path):
    path = tmp_path / ("x" * 300)
    assert refused(Missing, path) == (
        f"the atlas {path} cannot be opened: File name too long. Choose another folder, or one "
        "that you may read."
    )
    assert refused(Missing, path, True) == (
        f"the atlas {path} cannot be made: File name too long. Choose another folder."
    )
    assert not there(tmp_path / "a\0b")


AS_ANYBODY = """
import os, sys
import safetensors.torch
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.errors import LegendaError
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    with Atlas(sys.argv[1]) as atlas:
        print(*{one.said for one in verify(atlas)})
except LegendaError as problem:
    print(problem)
"""


def as_anybody(folder):
    """What somebody is told who may not read everything."""
    words = [sys.executable, "-c", AS_ANYBODY, str(folder)]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def test_who_may_not_read_is_told_what_of():
    with TemporaryDirectory() as place:  # all folders of pytest belong to one person alone
        Path(place).chmod(0o755)
        folder = made(Path(place) / "a")
        assert as_anybody(folder) == ""
        (folder / "tensors").chmod(0)
        assert as_anybody(folder) == "cannot be read (Permission denied)"
        (folder / "tensors").chmod(0o755)
        (folder / "atlas.db").chmod(0)
        assert as_anybody(folder) == (
            f"{folder / 'atlas.db'} cannot be opened: you may not read it. Ask its owner, or name "
            "another folder."
        )
        folder.chmod(0)
        assert as_anybody(folder) == (
            f"the atlas {folder} cannot be opened: Permission denied. Choose another folder, or "
            "one that you may read."
        )
        folder.chmod(0o755)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_database(tmp_path, make):
    make(tmp_path / "atlas.db")
    assert refused(BadInput, tmp_path, True) == (
        f"{tmp_path / 'atlas.db'} is no file. Choose another folder."
    )


def test_a_database_that_is_cut_off_says_so(tmp_path):
    folder = made(tmp_path / "a")
    os.truncate(folder / "atlas.db", 2050)
    for write in (False, True):
        assert refused(BadInput, folder, write) == (
            f"{folder / 'atlas.db'} is damaged at its beginning or cut off (database disk image is "
            "malformed), so nothing in it can be read. Bring the atlas back from a copy, or name "
            "another folder."
        )


@pytest.mark.parametrize("lost", ["empty", "not there"])
def test_tensors_without_a_database_are_never_taken_for_litter(tmp_path, lost):
    folder = made(tmp_path / "a")
    assert orphaned(folder) and not others(folder)
    (folder / "atlas.db").write_bytes(b"")
    if lost == "not there":
        (folder / "atlas.db").unlink()
    before = sorted(folder.rglob("*.safetensors"))
    assert refused(BadInput, folder, True) == (
        f"{folder / 'atlas.db'} is {lost}, but tensors lie beside it: what told of them is lost. "
        "Bring it back from a copy, or name another folder."
    )
    assert before == sorted(folder.rglob("*.safetensors")) and before


def test_a_folder_of_others_is_known(tmp_path):
    assert not others(tmp_path / "none") and not others(tmp_path)
    (tmp_path / "mine").write_text("mine")
    assert others(tmp_path)
    assert not others(made(tmp_path / "a"))


# -------------------------------------------------------------------------- taken away again


def stopped(folder, *, write=()):
    with pytest.raises(KeyboardInterrupt), Atlas(folder, write=True) as atlas:
        for entry in write:
            put_model(atlas, entry)
        raise KeyboardInterrupt


def test_a_new_atlas_of_nothing_is_taken_away_where_the_work_fails(tmp_path):
    stopped(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    stopped(tmp_path / "b")
    assert list((tmp_path / "b").iterdir()) == [], "the folder was there before"


def test_what_was_written_or_was_there_stays(tmp_path):
    stopped(tmp_path / "a", write=[ModelEntry("made:model", "model")])
    with Atlas(tmp_path / "a") as atlas:
        assert atlas.value("SELECT ref FROM models") == "made:model"
    Atlas(tmp_path / "b", write=True).close()
    stopped(tmp_path / "b")
    assert (tmp_path / "b" / "atlas.db").is_file(), "an empty atlas that was there"


def test_a_new_atlas_stays_while_others_are_in_it(tmp_path):
    others_in = []
    with pytest.raises(KeyboardInterrupt), Atlas(tmp_path / "a", write=True):
        others_in.append(Atlas(tmp_path / "a", write=True))
        raise KeyboardInterrupt
    with others_in[0] as other:
        put_model(other, ModelEntry("made:model", "model"))
    with Atlas(tmp_path / "a") as atlas:
        assert atlas.value("SELECT ref FROM models") == "made:model"
        assert atlas.value("PRAGMA journal_mode") == "wal"


def test_who_comes_while_it_is_taken_away_makes_it_anew(tmp_path, monkeypatch):
    from legenda.atlas import store

    migrate, gone = store.migrate, []

    def meanwhile(base, path):
        migrate(base, path)
        if not gone:
            gone.append(path.unlink())

    monkeypatch.setattr(store, "migrate", meanwhile)
    with Atlas(tmp_path / "a", write=True) as atlas:
        put_model(atlas, ModelEntry("made:model", "model"))
    with Atlas(tmp_path / "a") as atlas:
        assert gone and atlas.value("SELECT ref FROM models") == "made:model"


def test_an_atlas_that_is_taken_away_meanwhile_is_missed(tmp_path):
    folder = made(tmp_path / "a")
    with Atlas(folder, write=True) as atlas:
        for change in (folder.rename, lambda where: made(folder)):
            change(tmp_path / "b")
            with pytest.raises(Missing) as caught:
                put_model(atlas, ModelEntry("made:model", "model"))
            assert str(caught.value) == (
                f"{folder} was taken away or put in another's place while it was written. Bring it "
                "back, or run again to make it anew."
            )


# ----------------------------------------------------------------------------------- sentences


def test_damage_within_a_transaction_is_a_sentence(tmp_path):
    folder = made(tmp_path / "a")
    with Atlas(folder) as atlas:
        size = atlas.value("PRAGMA page_size")
        root = atlas.value("SELECT rootpage FROM sqlite_master WHERE name = 'relations'")
    with (folder / "atlas.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    with Atlas(folder, write=True) as atlas:
        with pytest.raises(BadInput) as caught, atlas.writing() as base:
            base.execute("DELETE FROM relations")
        assert str(caught.value) == (
            f"{folder / 'atlas.db'} is damaged (database disk image is malformed). "
            "`legenda atlas verify` says what can still be read."
        )
        assert not atlas.base.in_transaction


def test_rows_may_be_left_before_their_end(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        rows = atlas.each("SELECT id FROM units ORDER BY id")
        assert next(rows)["id"] == 1
    rows.close()  # pyright: ignore[reportAttributeAccessIssue] -- after the atlas: nothing is raised
    with pytest.raises(StopIteration):
        next(rows)


def test_a_newer_atlas_tells_who_wrote_it(tmp_path):
    folder = made(tmp_path / "a")
    base = sqlite3.connect(folder / "atlas.db")
    base.execute("PRAGMA user_version = 7")
    base.execute('UPDATE studies SET provenance = \'{"legenda": "4.2"}\'')
    base.commit()
    assert refused(BadInput, folder) == (
        f"{folder / 'atlas.db'} has schema 7; this legenda reads up to 1. Install 4.2, which wrote "
        "it, or a newer one: pip install 'legenda>=4.2'."
    )
    base.execute('UPDATE studies SET provenance = \'{"legenda": "1; rm -rf"}\'')
    base.commit()
    base.close()
    assert refused(BadInput, folder).endswith("Install a newer one: pip install --upgrade legenda.")


def test_half_of_a_parquet_export_is_taken_away(tmp_path):
    folder = made(tmp_path / "a")
    with Atlas(folder) as atlas:
        lost = place_of(folder, atlas.value("SELECT digest FROM shards LIMIT 1"))
        lost.unlink()
        assert [one.said for one in verify(atlas)] == ["is not there"]
        assert isinstance(verify(atlas)[0], Finding)
        with pytest.raises(Missing, match="is not there"):
            export_parquet(atlas, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        (tmp_path / "empty").mkdir()
        with pytest.raises(Missing, match="is not there"):
            export_parquet(atlas, tmp_path / "empty")
        assert list((tmp_path / "empty").iterdir()) == []


def test_many_who_make_one_atlas_at_once_all_get_it(tmp_path):
    def begun(folder):
        with Atlas(folder, write=True) as atlas:
            return atlas.value("PRAGMA journal_mode")

    with ThreadPoolExecutor(8) as pool:
        for turn in range(15):
            assert list(pool.map(begun, [tmp_path / f"{turn}"] * 8)) == ["wal"] * 8


def test_a_file_that_comes_while_one_looks_is_an_atlas_of_somebody(tmp_path, monkeypatch):
    def late(file):
        found = there(file)
        file.touch()  # another process makes it, just after we looked
        return found

    monkeypatch.setattr(place, "there", late)
    assert place.made(tmp_path / "a") is True
