"""Merging finds the same again, decides by one rule, and no order changes what comes out."""

from itertools import permutations

import pytest

from legenda.atlas.corrections import rename, undo
from legenda.atlas.digest import content_digest, digests
from legenda.atlas.entries import RelationEntry, UnitEntry
from legenda.atlas.merge import COUNTED, merge
from legenda.atlas.shards import place_of
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.atlas.write import put_exemplars, put_failure, put_relations, put_result, put_units
from legenda.atlas.writer import Writer
from legenda.errors import BadInput, Refused
from tests.atlas.children import entry, opened
from tests.atlas.made import made


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three atlases that know different things of the same units."""
    folder = tmp_path_factory.mktemp("three")
    paths = [made(folder / str(i), pictures=6 + i, seed=i) for i in range(3)]
    with Atlas(paths[0], write=True) as atlas:
        rename(atlas, 2, "mine", "me", "2020")
        rename(atlas, 3, "also mine", "me", "2022")
        put_units(atlas, [UnitEntry(2, 4, "concept 4", "named", "tail", "", 0.1)])
        put_relations(atlas, 2, [RelationEntry("is-a", 5, 4, 0.1, 999)])
    with Atlas(paths[1], write=True) as atlas:
        rename(atlas, 2, "yours", "you", "2021")
        put_units(atlas, [UnitEntry(1, 0, "latent 0", "named", "size", "", 0.95)])
        put_units(atlas, [UnitEntry(1, 1, "latent 1", "named", "slant", "", 0.5)])
        put_exemplars(atlas, 5, [(1, 0.5)])
    return paths


def merged(folder, paths):
    """The content, the corrections that differ, and the units of several atlases as one."""
    said = []
    with Atlas(folder, write=True) as atlas:
        for path in paths:
            with Atlas(path) as source:
                said += merge(atlas, source).conflicts
        assert verify(atlas) == []
        asked = "SELECT label, name, said, state, certainty FROM units ORDER BY set_id, number"
        return digests(atlas), said, [tuple(row) for row in atlas.all(asked)]


def test_merging_into_an_empty_atlas_copies_it(tmp_path, three):
    digest, said, _ = merged(tmp_path / "c", three[:1])
    with Atlas(three[0]) as atlas:
        assert digests(atlas) == digest and said == []


def test_the_order_changes_nothing(tmp_path, three):
    found = [merged(tmp_path / str(i), order) for i, order in enumerate(permutations(three))]
    digest, _, _ = found[0]
    assert all(one[0] == digest for one in found)
    again, _, _ = merged(tmp_path / "again", (three * 2)[::-1])
    assert again == digest
    for i, path in enumerate(three):
        with Atlas(path) as atlas:
            assert digests(atlas)["units"] != digest["units"] or i == 2


def test_who_knows_more_is_believed(tmp_path, three):
    _, _, units = merged(tmp_path / "c", three)
    held = {row[0]: row[1:] for row in units}
    assert held["latent 0"] == ("size", "size", "named", 0.95), "the surer one"
    assert held["latent 1"] == ("yours", "slant", "named", 0.5), "a name before none"
    assert held["latent 2"] == ("also mine", "", "named", None)
    assert held["concept 4"] == ("tail", "tail", "named", 0.1), "named before dead, though unsure"
    with Atlas(tmp_path / "c") as atlas:
        relation = atlas.one("SELECT n, value FROM relations WHERE n = 999")
        assert relation is not None and relation["value"] == 0.1
        rows = atlas.value("SELECT count(*) FROM exemplars x JOIN units u ON u.id = x.unit WHERE u.label = 'concept 1'")  # noqa: E501 # fmt: skip
        assert rows == 4, "more exemplars before fewer"


def test_corrections_are_carried_and_where_they_differ_it_is_said(tmp_path, three):
    said = [
        "zoo:vae/latents/1 is called 'yours' since 2021 and 'mine' since 2020; 'yours' is kept"
    ]  # fmt: skip
    assert merged(tmp_path / "ab", three)[1] == said
    assert merged(tmp_path / "ba", three[::-1])[1] == said
    with Atlas(tmp_path / "ab", write=True) as atlas:
        unit = atlas.value("SELECT id FROM units WHERE name = 'yours'")
        assert atlas.value("SELECT by FROM corrections WHERE unit = ?", unit) == "you"
        assert undo(atlas, unit) == "slant"
        unit = atlas.value("SELECT id FROM units WHERE name = 'also mine'")
        undo(atlas, unit)
        assert atlas.value("SELECT state FROM units WHERE id = ?", unit) == "inactive"


def test_the_second_time_nothing_comes_in(tmp_path, three):
    with Atlas(tmp_path / "c", write=True) as atlas, Atlas(three[0]) as source:
        first = merge(atlas, source)
        assert first.added["units"] == 11 and first.added["explanations"] == 9
        before = content_digest(atlas)
        assert merge(atlas, source).added == dict.fromkeys(COUNTED, 0)
        assert merge(atlas, atlas).added == dict.fromkeys(COUNTED, 0)
        assert content_digest(atlas) == before


def test_tensors_come_along(tmp_path, three):
    merged(tmp_path / "c", three[:2])
    with Atlas(tmp_path / "c") as atlas, Atlas(three[1]) as source:
        for evidence, key in source.all("SELECT id, key FROM evidence"):
            there = atlas.arrays(atlas.value("SELECT id FROM evidence WHERE key = ?", key))
            assert all((there[n] == v).all() for n, v in source.arrays(evidence).items())


def test_row_numbers_within_results_are_moved(tmp_path, three):
    with Atlas(tmp_path / "c", write=True) as atlas:
        opened(tmp_path / "c", 5)[0].close()  # so that numbers differ
        with Atlas(three[2]) as source:
            merge(atlas, source)
        unit = atlas.value(
            "SELECT content ->> '$.findings[0].unit' FROM results WHERE kind = 'audit'"
        )
        assert unit == 15
        assert atlas.value("SELECT name FROM units WHERE id = ?", unit) == "red ground"


def test_a_failure_of_what_is_explained_elsewhere_is_forgotten(tmp_path):
    for name in ("bad", "good"):
        atlas, study, units = opened(tmp_path / name)
        with atlas:
            put_failure(atlas, study, "unit 1", "no answer")
            put_failure(atlas, study, "unit 2", "no answer")
            if name == "good":
                atlas.base.execute("DELETE FROM failures WHERE target = 'unit 1'")
                with Writer(atlas, study) as writer:
                    writer.add(entry(1, units[0]))
    found = [
        merged(tmp_path / f"c{i}", order)[0]
        for i, order in enumerate(permutations([tmp_path / "bad", tmp_path / "good"]))
    ]
    assert found[0] == found[1]
    with Atlas(tmp_path / "c0") as atlas:
        assert [row[0] for row in atlas.all("SELECT target FROM failures")] == ["unit 2"]


def test_a_damaged_source_is_refused_and_nothing_comes_in(tmp_path):
    path = made(tmp_path / "a")
    with Atlas(path) as source, Atlas(tmp_path / "c", write=True) as atlas:
        before = content_digest(atlas)
        digest = source.value("SELECT digest FROM shards ORDER BY id DESC")
        place_of(path, digest).write_bytes(b"short")
        with pytest.raises(Refused) as caught:
            merge(atlas, source)
        assert str(caught.value) == (
            f"{digest}.safetensors of the atlas {path} is damaged or not there, so it cannot be "
            "merged. `legenda atlas verify` lists what is lost; bring the file back."
        )
        assert content_digest(atlas) == before
        assert atlas.value("SELECT count(*) FROM units") == 0


def test_a_source_that_points_nowhere_is_refused(tmp_path):
    path = made(tmp_path / "a")
    with Atlas(path, write=True) as source, Atlas(tmp_path / "c", write=True) as atlas:
        source.base.execute("PRAGMA foreign_keys = OFF")
        source.base.execute("UPDATE explanations SET unit = 77 WHERE id = 1")
        with pytest.raises(BadInput) as caught:
            merge(atlas, source)
        assert str(caught.value) == (
            "the atlas to merge is damaged: a row points at row 77, which is gone. "
            "`legenda atlas verify` says what is lost."
        )
        assert atlas.value("SELECT count(*) FROM units") == 0


def test_a_pointer_of_a_result_that_points_nowhere_becomes_nothing(tmp_path):
    atlas, study, _ = opened(tmp_path / "a")
    put_result(atlas, study, "audit", "r", "", {"unit": 77})
    with Atlas(tmp_path / "c", write=True) as into:
        merge(into, atlas)
        assert into.value("SELECT content FROM results") == '{"unit":null}'
