"""What is damaged is named, with what hangs on it, and the rest is read."""

import pytest
import torch

from legenda.atlas.corrections import rename
from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.evidence import put_evidence
from legenda.atlas.shards import place_of
from legenda.atlas.store import Atlas
from legenda.atlas.verify import Finding, verify
from tests.atlas.made import made


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "a")


def place(folder, evidence):
    """The file of a piece of evidence, and its name in findings."""
    with Atlas(folder) as atlas:
        asked = "SELECT digest FROM evidence e JOIN shards s ON s.id = e.shard WHERE e.id = ?"
        path = place_of(folder, atlas.value(asked, evidence))
    return path, str(path.relative_to(folder))


def found(folder):
    with Atlas(folder) as atlas:
        return verify(atlas)


def changed(folder, *statements):
    """What is found after some changes by a stranger, who checks nothing."""
    with Atlas(folder, write=True) as atlas:
        atlas.base.execute("PRAGMA foreign_keys = OFF")
        atlas.base.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            atlas.base.execute(statement)
    return found(folder)


def test_a_whole_atlas_is_whole(folder):
    assert found(folder) == []
    with Atlas(folder, write=True) as atlas:
        rename(atlas, 9, "tame")
    assert found(folder) == []


def test_a_lost_file_is_named_with_what_depends_on_it(folder):
    path, name = place(folder, 1)  # the sheet that both explanations of latents show
    path.unlink()
    assert found(folder) == [Finding(name, "is not there", 2)]


def test_a_file_cut_short_is_named_and_the_rest_is_read(folder):
    path, name = place(folder, 1)
    path.write_bytes(path.read_bytes()[:-10])
    assert found(folder) == [Finding(name, "does not hold what was written", 2)]
    with Atlas(folder) as atlas:
        assert atlas.arrays(2)["maps"].shape == (4, 6, 6)
        assert atlas.value("SELECT count(*) FROM units") == 11


def test_evidence_that_its_file_lacks_is_counted(folder):
    path, name = place(folder, 1)
    finding = Finding(name, "lacks 1 pieces of evidence", 2)
    assert changed(folder, "UPDATE evidence SET entry = 'gone' WHERE id = 1") == [finding]


def test_files_of_nobody_are_litter_and_no_damage(folder):
    (folder / "tensors" / "ab").mkdir(exist_ok=True)
    (folder / "tensors" / "ab" / "x.safetensors.writing").write_bytes(b"half")
    said = "no entry points at it; `legenda atlas gc` sweeps it"
    assert found(folder) == [
        Finding("tensors/ab/x.safetensors.writing", said, 0, damage=False)
    ]  # fmt: skip


def test_rows_that_point_nowhere_are_counted(folder):
    asked = "UPDATE explanations SET study = 99 WHERE id < 3"
    said = "2 rows point at rows of studies that are gone"
    assert changed(folder, asked) == [Finding("table explanations", said, 2)]


def test_what_is_no_json_is_counted(folder):
    asked = "UPDATE units SET facts = '{' WHERE id < 4"
    said = "3 rows hold a facts that is no JSON object"
    assert changed(folder, asked) == [Finding("table units", said)]
    asked = "UPDATE units SET facts = '[1]' WHERE id < 4"
    assert changed(folder, asked) == [Finding("table units", said)]


def test_tallies_that_do_not_tally_are_named(folder):
    said = "7 named units of set 2 are told, there are 5"
    asked = "UPDATE tallies SET count = 7 WHERE set_id = 2 AND state = 'named'"
    assert changed(folder, asked) == [Finding("table tallies", said)]


def test_a_name_that_nobody_gave_is_counted(folder):
    asked = "UPDATE units SET name = 'cheat' WHERE id = 5"
    said = "1 units do not have the name that was given to them"
    assert changed(folder, asked) == [Finding("table units", said)]


def test_words_that_find_nothing_are_counted(folder):
    trigger = "DROP TRIGGER unit_named"
    asked = "UPDATE units SET name = 'wolf', said = 'wolf' WHERE id = 5"
    said = "1 units are not found by their own words"
    assert changed(folder, trigger, asked) == [Finding("table words", said)]


def test_a_name_that_no_search_could_hold_is_no_damage(folder):
    for name in ("B" * 10_240, "a " * 5_000 + "b"):
        assert (
            changed(folder, f"UPDATE units SET name = '{name}', said = '{name}' WHERE id = 5") == []
        )  # noqa: E501


def test_units_that_are_not_indexed_are_counted(folder):
    asked = "INSERT INTO words (words) VALUES ('delete-all')"
    findings = changed(folder, asked)
    assert Finding("table words", "0 units are indexed, there are 11") in findings


@pytest.mark.parametrize("table", ["units", "explanations", "exemplars"])
def test_flipped_bytes_name_their_table(folder, table):
    with Atlas(folder) as atlas:
        size = atlas.value("PRAGMA page_size")
        root = atlas.value("SELECT rootpage FROM sqlite_master WHERE name = ?", table)
    with (folder / "atlas.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 200)
    findings = found(folder)
    assert f"table {table}" in {one.where for one in findings}
    assert all(one.damage for one in findings)
    with Atlas(folder) as atlas:
        assert atlas.value("SELECT count(*) FROM pictures") == 6
        assert atlas.arrays(1)["images"].shape == (2, 5, 3, 16, 16)


def test_every_damage_is_found_at_once(folder):
    first, second = place(folder, 1), place(folder, 2)
    first[0].unlink()
    second[0].write_bytes(b"")
    findings = changed(folder, "UPDATE units SET facts = '{' WHERE id = 1")
    assert {one.where for one in findings} == {"table units", first[1], second[1]}
    assert {one.where: one.lost for one in findings} == {
        "table units": 0, first[1]: 2, second[1]: 0,
    }  # fmt: skip


def test_looking_changes_nothing(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found(folder)
    after = {p: p.read_bytes() for p in before}
    assert after == before


def test_evidence_that_is_kept_but_not_used_is_no_damage(folder):
    with Atlas(folder, write=True) as atlas:
        put_evidence(atlas, [EvidenceEntry("sheet", {"x": torch.ones(1)})])
    assert found(folder) == []
