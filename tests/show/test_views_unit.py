"""The page of a unit: names, doubt, pictures, relations, and how to make it again."""
# ruff: noqa: E501

import pytest
import torch

from legenda.atlas.corrections import rename, undo
from legenda.atlas.entries import EvidenceEntry, ExplanationEntry, StudyEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_study, put_units
from legenda.atlas.writer import Writer
from legenda.errors import BadInput
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views.unit import box, once, unit
from tests.atlas.made import made
from tests.show.test_page import Tags

LATENT, SILENT, IDLE, ANIMAL, CAT, DEAD, UNREAD = 1, 2, 3, 4, 5, 8, 11


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("unit") / "a")) as held:
        yield held


def shown(atlas, number, **more):
    return body("unit", unit(atlas, number, **more), ReportLinks())


def test_candidates_say_who_and_how_surely(atlas):
    said = unit(atlas, LATENT)["candidates"]
    assert [(c["text"], c["by"], c["method"], c["certainty"], c["low"]) for c in said] == [
        ("size grows from 3 to 9 pixels", "measured", "Traversal", .9, .8),
        ("things grow", "lmm", "Traversal", .6, None),
    ]  # fmt: skip
    text = shown(atlas, LATENT)
    assert 'by measured on Traversal, certainty 0.9 <span class="range">(95 %: 0.8 to 0.95)' in text
    assert "certainty 0.9 <span" in text and "latent 0 of latents" in text


def test_silence_gives_its_reason(atlas):
    assert unit(atlas, SILENT)["verdict"] == (
        "No name is given, rather than one that is not sure enough. The reason: its answers disagree."
    )
    assert unit(atlas, IDLE)["verdict"] == (
        "Inactive: moving it changes nothing that could be described. The reason: it says 0.001 "
        "nats of a picture."
    )
    assert unit(atlas, DEAD)["verdict"] == "Dead: it was never on in any picture."
    assert unit(atlas, UNREAD)["verdict"] == "Not read yet: no study has looked at it."
    assert unit(atlas, LATENT)["verdict"] == ""
    assert "<i>no answer: its answers disagree</i>" in shown(atlas, SILENT)
    for number in (SILENT, IDLE, DEAD, UNREAD):
        assert unit(atlas, number)["verdict"] in shown(atlas, number)


def test_a_persons_name_is_shown_as_that(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        rename(atlas, CAT, "a tabby <b>", by="Ada", at="2026-02-03T04:05:06+00:00")
        rename(atlas, SILENT, "something", at="2026-02-03T04:05:06+00:00")
        said, text = unit(atlas, CAT), shown(atlas, CAT)
        assert said["title"] == "a tabby <b>" and said["correction"]["said"] == "cat"
        assert (
            '<b>Named by a person:</b> “<span dir="auto">a tabby &lt;b&gt;</span>”, by Ada, 2026-02-03.'
            in text
        )
        assert 'Legenda says “<span dir="auto">cat</span>”.' in text
        assert "by someone, 2026-02-03. Legenda gave no name." in shown(atlas, SILENT)
        undo(atlas, CAT)
        assert unit(atlas, CAT)["correction"] is None and "by a person" not in shown(atlas, CAT)


def test_exemplars_come_strongest_first_each_with_its_map(atlas):
    said = unit(atlas, ANIMAL)["exemplars"]
    rows = atlas.all("SELECT * FROM exemplars WHERE unit = ? ORDER BY place", ANIMAL)
    assert [one["picture"] for one in said] == [row["picture"] for row in rows]
    assert [one["strength"] for one in said] == sorted((o["strength"] for o in said), reverse=True)
    assert [one["map"] for one in said] == ["map-0", "map-1", "map-2", "map-3"]
    text = shown(atlas, ANIMAL)
    held = rows[0]["evidence"]
    for place in range(4):
        assert f'data-picture="evidence/{held}/map-{place}"' in text
    assert "weak to strong activation" in text


def test_where_it_is_on_is_lit_and_the_map_is_a_click_away(atlas):
    text, tags = shown(atlas, ANIMAL), Tags(shown(atlas, ANIMAL))
    ways = [one for one in tags.of("input") if one.get("type") == "radio"]
    assert [one["class"] for one in ways] == ["light", "map", "none"] and "checked" in ways[0]
    assert len({one["name"] for one in ways}) == 1 and ways[0]["name"] == f"where-{ANIMAL}"
    assert 'id="legenda-light"' in text and "half of the strongest of all of these" in text
    assert "legenda-light" not in shown(atlas, LATENT), "where nothing can be lit"


def test_a_sheet_says_its_steps_and_pictures_how_wide_they_are(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        told = EvidenceEntry("pictures", {"images": torch.zeros(2, 3, 8, 12, dtype=torch.uint8)},
                             {"captions": ["alone", "among others"]})  # fmt: skip
        many = EvidenceEntry("sheet", {"images": torch.zeros(1, 30, 1, 4, 4, dtype=torch.uint8),
                                       "values": torch.arange(30.0) / 7}, {})  # fmt: skip
        with Writer(atlas, put_study(atlas, StudyEntry("again", "Again", {}))) as writer:
            writer.add(ExplanationEntry("x", "token 1", "Decoding", UNREAD, None, told))
            writer.add(ExplanationEntry("y", "token 1", "Traversal", UNREAD, None, many))
        alone, others, long = unit(atlas, UNREAD)["drawn"]
        text = shown(atlas, UNREAD)
        [sheet] = unit(atlas, LATENT)["drawn"]
        assert sheet["steps"] == ["−2", "−1", "0", "1", "2"] and sheet["wide"] == 0
        assert "<span>−2</span><span>−1</span>" in shown(atlas, LATENT)
        shard = atlas.value("SELECT s.digest FROM shards s JOIN evidence e ON e.shard = s.id "
                            "WHERE e.id = ?", sheet["evidence"])  # fmt: skip
        place = tmp_path / "a" / "tensors" / shard[:2] / f"{shard}.safetensors"
        place.write_bytes(place.read_bytes()[:50])
    with Atlas(tmp_path / "a") as torn:
        assert unit(torn, LATENT)["drawn"][0]["steps"] == [], "a torn file takes them away"
    assert (alone["wide"], others["caption"]) == (12, "among others")
    assert text.count('style="--wide:12"') == 2
    assert long["steps"][:4] == ["0", "", "", "0.43"] and sum(map(bool, long["steps"])) == 10


def test_a_score_has_its_interval_n_and_control(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        row = atlas.one("SELECT set_id, number, label FROM units WHERE id = ?", UNREAD)
        assert row is not None
        held = {"score": "name check", "score_low": 0.4, "score_high": 0.6, "score_n": 1200,
                "score_control": 0.1, "images": 0.25}  # fmt: skip
        put_units(atlas, [UnitEntry(row["set_id"], row["number"], row["label"], score=0.512345,
                                    facts=held)])  # fmt: skip
        said = unit(atlas, UNREAD)
    assert said["score"] == "0.512 (95 %: 0.4 to 0.6), n = 1,200; by chance 0.1"
    assert sorted(said["facts"]) == [
        ("measured by", "name check"), ("share of pictures with it", "0.25"),
    ]  # fmt: skip


def test_a_map_lies_where_its_frame_is():
    assert box([10, 0, 90, 80], 100, 80) == "left:10%;top:0%;width:80%;height:100%"
    assert box(None, 100, 80) == box([0, 0, 100, 80], 100, 80) == box([0, 0, 1, 1], 0, 0) == ""


def test_an_attribution_is_laid_over_its_picture(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        heat = EvidenceEntry("attribution", {"map": torch.rand(3, 3)}, {"frame": [12, 0, 48, 24]})
        with Writer(atlas, put_study(atlas, StudyEntry("again", "Again", {}))) as writer:
            writer.add(ExplanationEntry("heat", "why it is on", "Gradient", UNREAD, 2, heat))
        [drawn] = unit(atlas, UNREAD)["drawn"]
        text = shown(atlas, UNREAD)
    assert (drawn["under"], drawn["what"], drawn["caption"]) == (2, "map", "why it is on")
    assert (
        'style="left:25%;top:0%;width:75%;height:50%"><img class="map" data-picture="evidence/'
        in text
    )


def test_relations_go_both_ways_with_interval_and_control(atlas):
    said = unit(atlas, ANIMAL)["relations"]
    assert [(r["way"], r["name"], r["value"], r["low"], r["control"], r["n"]) for r in said] == [
        ("has the kind", "cat", .9, .8, .1, 120), ("has the kind", "dog", .8, .7, .1, 90),
    ]  # fmt: skip
    ways = [(r["way"], r["name"]) for r in unit(atlas, CAT)["relations"]]
    assert ways == [("is found with", "fur"), ("is a kind of", "animal"), ("has the part", "fur")]
    text = shown(atlas, CAT)
    assert "<td>[0.8, 0.97]</td><td>0.1</td><td>120</td>" in text and ">lift<" in text


def test_scores_stand_beside_their_controls(atlas):
    [score] = unit(atlas, LATENT)["scores"]
    assert score["say"] == "0.97 (95 %: 0.8 to 1), n = 8; by chance 0.25 (95 %: 0.1 to 0.4)"
    text = shown(atlas, LATENT)
    assert score["say"] in text and 'class="control"' in text and "better than chance" in text


def test_how_to_make_it_again(atlas):
    text = shown(atlas, LATENT)
    assert "<code>legenda latents zoo:vae</code>" in text
    assert "model zoo:vae, seed 0, legenda 0.1.0, torch 2.13" in text
    assert 'href="#overview?study=1"' in text
    studies = [one["id"] for one in unit(atlas, CAT)["studies"]]
    assert studies == [2]


def test_neighbours_are_those_of_its_set_or_those_that_are_kept(atlas):
    assert [(unit(atlas, i)["before"], unit(atlas, i)["after"]) for i in (1, 2, 3, 4)] == [
        (None, 2), (1, 3), (2, None), (None, 5),
    ]  # fmt: skip
    said = unit(atlas, CAT, beside={CAT: (2, 9)})
    assert (said["before"], said["after"]) == (2, 9)
    assert (unit(atlas, 6, beside={})["before"], unit(atlas, 6, beside={})["after"]) == (None, None)
    tags = Tags(shown(atlas, 2))
    assert [one["href"] for one in tags.of("a") if one.get("rel") in ("prev", "next")] == [
        "#unit/1",
        "#unit/3",
    ]


def test_one_drawing_is_shown_once_though_two_studies_show_it(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        arrays = atlas.arrays(atlas.value("SELECT evidence FROM explanations WHERE unit = 1"))
        again = EvidenceEntry("sheet", arrays, {"caption": "latent 0 from -2 to 2"})
        with Writer(atlas, put_study(atlas, StudyEntry("again", "Again", {"x": 1}))) as writer:
            writer.add(ExplanationEntry("again", "latent 0", "Traversal", LATENT, None, again))
        assert len(unit(atlas, LATENT)["drawn"]) == 1 and len(unit(atlas, LATENT)["studies"]) == 2
    assert once([{"evidence": 1, "what": "a"}, {"evidence": 1, "what": "b"}]) == [
        {"evidence": 1, "what": "a"}, {"evidence": 1, "what": "b"},
    ]  # fmt: skip


def test_every_picture_has_words(atlas):
    for number in range(1, 12):
        tags = Tags(shown(atlas, number))
        assert all(one.get("alt") for one in tags.of("img"))
        assert len(tags.of("h1")) == 1


@pytest.mark.parametrize("asked", [99, "99", "x", "../1", "1 OR 1", "²"])
def test_a_unit_that_is_not_there_is_refused(atlas, asked):
    with pytest.raises(BadInput) as refused:
        unit(atlas, asked)
    assert str(refused.value) == (
        f"there is no unit {str(asked)!r} in this atlas; units have numbers from 1 to 11."
    )


def test_an_empty_atlas_has_none(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas, pytest.raises(BadInput) as refused:
        unit(atlas, 1)
    assert str(refused.value) == "there is no unit '1' in this atlas; it holds no units yet."
