from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.atlas.store import Atlas, loaded
from legenda.errors import BadInput
from legenda.explain.edges import Edge
from legenda.explain.hierarchy import Hierarchy
from legenda.tasks import atlas_concept_pictures
from legenda.tasks.atlas_concept_pictures import Shown, corpus_of
from legenda.tasks.atlas_concepts import ConceptSettings, certainty, gather_concepts, relations_of
from legenda.tasks.concept_folder import concept_folder
from legenda.tasks.reading import Reader
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.world import draw
from tests.tasks.atlas_world import counted, digest_at

FEW = ConceptSettings(exemplars=2, unnamed=0, pictures=2)
SEED = 2_000_182


@cache
def reader():
    return Reader.of("zoo:scenes")


class Once:
    """A reader that is opened once for all tests."""

    of = staticmethod(lambda *_: reader())


@pytest.fixture(autouse=True)
def opened_once(monkeypatch):
    monkeypatch.setattr("legenda.tasks.atlas_concepts.Reader", Once)


def scene():
    return Shown(Image.fromarray(photograph(draw(SEED), 256)), f"/home/me/scene {SEED}", draw(SEED).caption())  # fmt: skip # noqa: E501


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("concepts") / "a"
    patch = pytest.MonkeyPatch()
    patch.setattr("legenda.tasks.atlas_concepts.Reader", Once)
    with Atlas(place, write=True) as atlas:
        gather_concepts(atlas, settings=FEW, shown=[scene()])
    patch.undo()
    return place


def test_units_carry_their_names_and_checks(made):
    names = {name.unit: name for name in reader().names}
    with Atlas(made) as atlas:
        units = atlas.all("SELECT * FROM units ORDER BY number")
        assert [u["number"] for u in units] == list(range(256))
        assert {u["number"]: u["name"] for u in units if u["state"] == "named"} == reader().words
        for unit in units:
            name = names[unit["number"]]
            if unit["state"] == "named":
                assert name.check is not None
                if name.check.n:  # one was on in none of the pictures that check
                    assert unit["score"] == name.check.auroc
                    assert unit["certainty"] == pytest.approx(2 * name.check.auroc - 1)
                    assert unit["low"] <= unit["certainty"] <= unit["high"]
                else:
                    assert unit["score"] is None and unit["certainty"] is None
            else:
                assert unit["why"] and not unit["name"] and unit["certainty"] is None
        dead = [u["number"] for u in units if u["state"] == "dead"]
        assert reader().survey is not None
        assert dead == np.flatnonzero(reader().survey.active == 0).tolist()  # pyright: ignore
        row = atlas.one("SELECT s.*, m.ref, m.site FROM sets s JOIN models m ON m.id = s.model")
        assert row is not None and (row["ref"], row["site"]) == ("zoo:scenes", "patches(0.4)")
        assert loaded(row["card"])["fvu"] < 0.1 and row["size"] == 256


def test_a_name_stands_before_others_and_its_check_beside_a_random_word(made):
    with Atlas(made) as atlas:
        rows = atlas.all("SELECT d.text, s.* FROM descriptions d JOIN explanations e ON e.id = d.explanation JOIN units u ON u.id = e.unit JOIN scores s ON s.explanation = e.id WHERE u.number = 22 ORDER BY d.place")  # fmt: skip # noqa: E501
        assert [row["text"] for row in rows][:2] == ["building", "house"]
        assert rows[0]["control"] < 0.5 < rows[0]["low"] < rows[0]["value"] < rows[0]["high"]
        silent = atlas.one("SELECT d.* FROM descriptions d JOIN explanations e ON e.id = d.explanation JOIN units u ON u.id = e.unit WHERE u.state = 'abstained' AND d.place = 0")  # fmt: skip # noqa: E501
        assert silent is not None and not silent["text"] and silent["abstained"]


def test_exemplars_are_where_the_survey_says(made):
    survey = reader().survey
    assert survey is not None
    with Atlas(made) as atlas:
        for number in sorted(reader().words)[:5]:
            rows = atlas.all("SELECT x.*, p.source FROM exemplars x JOIN pictures p ON p.id = x.picture JOIN units u ON u.id = x.unit WHERE u.number = ? ORDER BY x.place", number)  # fmt: skip # noqa: E501
            keys = list(dict.fromkeys(survey.keys[i] for i in survey.exemplars.image[number]))[:2]
            assert [row["source"] for row in rows] == keys
            maps = atlas.arrays(rows[0]["evidence"])["maps"]
            assert tuple(maps.shape) == (2, 12, 12)
            strongest = torch.tensor([row["strength"] for row in rows])
            torch.testing.assert_close(maps.amax((1, 2)), strongest, rtol=1e-3, atol=1e-3)
            assert int(maps[0].argmax()) == int(survey.exemplars.position[number, 0])
            facts = loaded(atlas.value("SELECT facts FROM evidence WHERE id = ?", rows[0]["evidence"]))  # fmt: skip # noqa: E501
            assert facts["grid"] == [12, 12] and facts["frames"] == [[0.0, 0.0, 96.0, 96.0]] * 2


def test_pictures_are_read_and_name_no_place(made):
    with Atlas(made) as atlas:
        row = atlas.one("SELECT r.evidence, e.facts, p.* FROM readings r JOIN pictures p ON p.id = r.picture JOIN evidence e ON e.id = r.evidence WHERE p.width = 256")  # fmt: skip # noqa: E501
        assert row is not None and row["source"] == f"scene {SEED}"
        assert row["caption"] == draw(SEED).caption()
        arrays, facts = atlas.arrays(row["evidence"]), loaded(row["facts"])
        assert facts == {"grid": [12, 12], "frame": [0.0, 0.0, 256.0, 256.0]}
        x = reader().model.pixels([scene().picture])
        with torch.no_grad():
            codes = reader().dictionary.encode(reader().model.acts(x))
        held = torch.zeros(144, 256).scatter_add_(1, arrays["index"].long(), arrays["weight"])
        torch.testing.assert_close(held, codes.dense()[0].clamp(min=0))
        assert (arrays["weight"].diff(dim=1) <= 0).all()
        assert counted(atlas, "readings") == counted(atlas, "pictures")


def test_relations_have_intervals_and_a_control(made):
    with Atlas(made) as atlas:
        rows = atlas.all("SELECT * FROM relations")
        assert {row["kind"] for row in rows} == {"is-a", "part-of", "co-occurs"}
        assert len(rows) == len(reader().relations.edges)  # pyright: ignore
        for row in rows:
            assert row["low"] <= row["value"] <= row["high"] and row["n"] > 0
            assert row["value"] > row["control"]


def test_edges_run_from_child_to_parent():
    edges = (
        Edge(0, 1, 0.9, 0.8, (0.7, 0.9), 4.0, (3.0, 5.0), 40, "is-a"),
        Edge(2, 1, 0.9, 0.8, (0.7, 0.9), 4.0, (3.0, 5.0), 40, "beside"),
    )
    found = Hierarchy({0: 50, 1: 200, 2: 60}, edges, 1000, synonyms={1: (3,)})
    is_a, beside, same = relations_of(found, [10, 11, 12, 13], None)
    assert (is_a.kind, is_a.one, is_a.other, is_a.value, is_a.n) == ("is-a", 10, 11, 0.8, 50)
    assert (is_a.low, is_a.high, is_a.control) == (0.7, 0.9, 0.2)
    assert (beside.kind, beside.value, beside.control, beside.n) == ("co-occurs", 4.0, 1.0, 40)
    assert beside.facts["measure"] == "lift"
    assert (same.kind, same.one, same.other, same.n) == ("same", 13, 11, 200)


@pytest.mark.parametrize(
    ("area", "interval", "sure"),
    [
        (1.0, (0.9, 1.0), (1.0, 0.8, 1.0)),
        (0.5, (0.3, 0.7), (0.0, 0.0, 0.4)),
        (0.2, (0.1, 0.3), (0.0, 0.0, 0.0)),
    ],
)
def test_certainty_is_nothing_at_chance(area, interval, sure):
    assert certainty(area, interval) == pytest.approx(sure)


def test_the_same_twice_is_the_same_and_costs_nothing(made, tmp_path, monkeypatch):
    with Atlas(tmp_path / "b", write=True) as atlas:
        study = gather_concepts(atlas, settings=FEW, shown=[scene()])
        monkeypatch.setattr("legenda.tasks.atlas_concepts.looked", None)
        assert gather_concepts(atlas, settings=FEW, shown=[scene()]) == study
    assert digest_at(tmp_path / "b") == digest_at(made)


def test_another_picture_of_the_same_name_is_read_as_well(tmp_path):
    """Two pictures may both be called `1.png`; what the study is says no place on a machine."""
    other = Shown(Image.fromarray(photograph(draw(SEED + 1), 256)), scene().source)
    with Atlas(tmp_path / "a", write=True) as atlas:
        first, second = (
            gather_concepts(atlas, "zoo:scenes", settings=FEW, shown=[one])
            for one in (scene(), other)
        )
        assert first != second and atlas.value("SELECT count(*) FROM studies") == 2
        settings = atlas.value("SELECT settings FROM studies WHERE id = ?", first)
        assert "/home/me" not in settings and f"scene {SEED}" in settings


def test_where_the_pictures_are_gone_tiles_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("legenda.tasks.atlas_concepts.corpus_of", lambda _: None)
    with Atlas(tmp_path / "b", write=True) as atlas:
        gather_concepts(atlas, settings=FEW)
        assert counted(atlas, "exemplars") == 4 * 28 and not counted(atlas, "readings")
        assert atlas.value("SELECT count(*) FROM exemplars WHERE evidence IS NOT NULL") == 0
        assert atlas.value("SELECT min(source) FROM pictures").startswith("concept ")


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path, monkeypatch):
    whole = corpus_of(concept_folder("zoo:scenes"))
    first = whole.key(0)  # pyright: ignore

    class Broken(type(whole)):
        def open(self, i):
            if self.key(i) == first:
                raise BadInput("it is cut off.")
            return super().open(i)

    broken = Broken(whole.first, whole.count)  # pyright: ignore
    monkeypatch.setattr("legenda.tasks.atlas_concepts.corpus_of", lambda _: broken)
    with Atlas(tmp_path / "b", write=True) as atlas:
        gather_concepts(atlas, settings=ConceptSettings(1, 0, 2))
        assert atlas.value("SELECT count(*) FROM pictures WHERE source = ?", first) == 0
        assert counted(atlas, "pictures") > 10


def test_a_corpus_that_is_not_here_is_none(tmp_path):
    folder = concept_folder("zoo:scenes")
    assert len(corpus_of(folder)) == 4000  # pyright: ignore
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "concepts.json").write_text('{"schema": 1, "origin": {"model": "m", "images": "/nowhere", "held_out": 0, "seed": 0}}')  # fmt: skip # noqa: E501
    assert corpus_of(concept_folder(tmp_path / "c")) is None
    assert atlas_concept_pictures.SCENES == "zoo:scenes"


def test_settings_that_show_nothing_are_refused():
    with pytest.raises(BadInput) as caught:
        ConceptSettings(exemplars=0)
    assert str(caught.value) == (
        "concepts are shown by one exemplar each or more, those without a name by 0 or more, and "
        "read in 0 pictures or more; it got exemplars=0, unnamed=4 and pictures=24."
    )
