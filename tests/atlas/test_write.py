"""What is written twice is there once, and words of others come back as they were."""

import pytest

from legenda.atlas.corrections import rename
from legenda.atlas.entries import (
    ModelEntry,
    PictureEntry,
    RelationEntry,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.pack import clean, packed
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import (
    cleared,
    end_study,
    put_exemplars,
    put_failure,
    put_model,
    put_picture,
    put_reading,
    put_relations,
    put_result,
    put_set,
    put_study,
    put_units,
)
from legenda.errors import BadInput
from tests.atlas.children import opened
from tests.atlas.made import encoded, made

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "right to left": "abc\u202etxt.exe\u2066",
    "long": "x" * 10_000,
    "quotes": 'it\'s "quoted"; DROP TABLE units; --',
    "not latin": "狐狸 लोमड़ी ثعلب 🦊",
    "template": "{{ 7*7 }} {% include '/etc/passwd' %}",
    "lines": "one\ntwo\r\n\tthree",
}


@pytest.fixture
def atlas(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as opened:
        yield opened


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_come_back_as_they_were(tmp_path, name):
    atlas, study, _ = opened(tmp_path / "a")
    unit = put_units(atlas, [UnitEntry(1, 0, name, "named", name, name, facts={name: name})])[0]
    row = atlas.one("SELECT * FROM units WHERE id = ?", unit)
    assert row is not None and (row["label"], row["name"], row["why"]) == (name, name, name)
    assert loaded(row["facts"]) == {name: name}
    put_failure(atlas, study, name, name)
    assert atlas.value("SELECT reason FROM failures WHERE target = ?", name) == name


def test_what_no_text_holds_is_replaced(tmp_path):
    atlas, study, _ = opened(tmp_path / "a")
    put_units(atlas, [UnitEntry(1, 0, "a\0b", "named", "half \ud800 letter")])
    row = atlas.one("SELECT label, name FROM units")
    assert row is not None and tuple(row) == ("a\ufffdb", "half ? letter")
    put_failure(atlas, study, "target\0", "why\0")
    assert atlas.value("SELECT target FROM failures") == "target\ufffd"
    cleared(atlas, study, "target\0")
    assert atlas.value("SELECT count(*) FROM failures") == 0
    assert clean("plain") == "plain"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused_in_facts(value):
    with pytest.raises(BadInput) as caught:
        packed({"x": [value]})
    assert str(caught.value) == "an atlas keeps finite numbers only; it got nan or infinity."


def test_the_same_is_found_again_and_renewed(atlas):
    entry = ModelEntry("zoo:vae", "better name", "latents", "2", "aa" * 16, {"new": 1})
    assert put_model(atlas, entry) == 1
    row = atlas.one("SELECT name, revision, card FROM models WHERE id = 1")
    assert row is not None and tuple(row) == ("better name", "2", '{"new":1}')
    assert put_model(atlas, ModelEntry("zoo:vae", "vae", "latents", "1", "ff" * 16)) == 3
    assert put_set(atlas, SetEntry(1, "latents", "latent", 4, "cc" * 16)) == 1
    assert atlas.value("SELECT size FROM sets WHERE id = 1") == 4
    assert put_set(atlas, SetEntry(1, "latents", "latent", 4, "00" * 16)) == 4


def test_a_picture_is_kept_once(atlas):
    one = PictureEntry("elsewhere", "another caption", 48, 48, "image/webp", encoded(0))
    count = atlas.value("SELECT count(*) FROM pictures")
    assert put_picture(atlas, one) == 1
    assert atlas.value("SELECT count(*) FROM pictures") == count
    assert atlas.value("SELECT caption FROM pictures WHERE id = 1") == "squares, number 0"


def test_a_study_goes_on_where_it_stopped(atlas):
    settings = {"model": "zoo:vae", "rows": 24, "seed": 0}
    began = atlas.value("SELECT began FROM studies WHERE id = 1")
    atlas.base.execute("UPDATE studies SET began = '2000'")
    assert put_study(atlas, StudyEntry("latents", "Anew", settings, {"torch": "3"})) == 1
    row = atlas.one("SELECT title, began, seconds FROM studies WHERE id = 1")
    assert row is not None and tuple(row) == ("Anew", "2000", 4.0) and began != "2000"
    end_study(atlas, 1, 2.5)
    assert atlas.value("SELECT seconds FROM studies WHERE id = 1") == 6.5
    assert put_study(atlas, StudyEntry("latents", "Anew", settings | {"seed": 1})) == 3


def test_units_are_renewed_by_set_and_number(atlas):
    same = UnitEntry(2, 1, "concept 1", "abstained", "", "no", 0.1, facts={"fires": 1})
    assert put_units(atlas, [same, UnitEntry(2, 6, "concept 6")]) == [5, 12]
    row = atlas.one("SELECT state, name, why, certainty, facts FROM units WHERE id = 5")
    assert row is not None and tuple(row) == ("abstained", "", "no", 0.1, '{"fires":1}')
    assert put_units(atlas, []) == []


def test_a_correction_survives_every_rerun(atlas):
    rename(atlas, 5, "tabby", "me")
    for state, said in (("named", "dog"), ("abstained", ""), ("dead", "")):
        put_units(atlas, [UnitEntry(2, 1, "concept 1", state, said)])
        row = atlas.one("SELECT name, said, state FROM units WHERE id = 5")
        assert row is not None and tuple(row) == ("tabby", said, "named")
    assert atlas.value("SELECT state FROM corrections WHERE unit = 5") == "dead"
    others = atlas.all("SELECT id FROM units WHERE name = 'tabby'")
    assert [row[0] for row in others] == [5]


def test_results_relations_readings_and_exemplars_are_renewed(atlas):
    counts = {t: atlas.value(f"SELECT count(*) FROM {t}") for t in ("results", "relations", "readings")}  # noqa: E501 # fmt: skip
    put_result(atlas, 2, "faithfulness", "deletion", "New", {"x": 1})
    put_relations(atlas, 2, [RelationEntry("is-a", 5, 4, 0.5, 7)])
    put_reading(atlas, 1, 2, 1)
    assert counts == {t: atlas.value(f"SELECT count(*) FROM {t}") for t in counts}
    assert atlas.value("SELECT content FROM results WHERE key = 'deletion'") == '{"x":1}'
    row = atlas.one("SELECT value, n, low, facts FROM relations WHERE one = 5 AND other = 4")
    assert row is not None and tuple(row) == (0.5, 7, None, "{}")
    assert atlas.value("SELECT evidence FROM readings WHERE picture = 1 AND set_id = 2") == 1
    put_exemplars(atlas, 5, [(3, 0.5), (1, 0.25)])
    rows = atlas.all("SELECT picture, strength, evidence FROM exemplars WHERE unit = 5")
    assert [tuple(row) for row in rows] == [(3, 0.5, None), (1, 0.25, None)]


def test_failures_count_their_tries_until_it_goes_well(atlas):
    put_failure(atlas, 2, "picture 99", "another reason")
    row = atlas.one("SELECT reason, tries FROM failures")
    assert row is not None and tuple(row) == ("another reason", 2)
    cleared(atlas, 2, "picture 99")
    assert atlas.one("SELECT * FROM failures") is None
