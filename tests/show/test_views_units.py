"""The list of units: what a search tells, and what it refuses."""
# ruff: noqa: E501

import pytest

from legenda.atlas.schema import STATES
from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.links import StudioLinks
from legenda.show.site import body
from legenda.show.views.units import FIELDS, face_of, told, units
from tests.atlas.made import made
from tests.show.test_page import Tags


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("units") / "a")) as held:
        yield held


def names(said):
    return [one["name"] or one["label"] for one in said["units"]]


def test_all_of_them_surest_first(atlas):
    said = units(atlas)
    sure = [one["certainty"] for one in said["units"]]
    assert said["total"] == len(said["units"]) == 11 and not said["more"]
    assert [s for s in sure if s is not None] == sorted(
        [s for s in sure if s is not None], reverse=True
    )
    assert sure[-2:] == [None, None], "what has no certainty comes last"
    assert all(set(one) == set(FIELDS) for one in said["units"])


def test_a_search_narrows_by_each_of_its_fields(atlas):
    """Against the slow way: every unit, looked at in turn."""
    everything = units(atlas)["units"]
    for field, value, test in (
        ("q", "fur", lambda u: "fur" in u["name"]),
        ("q", "ca", lambda u: u["name"].startswith("ca")),
        ("kind", "concept", lambda u: u["kind"] == "concept"),
        ("state", "abstained", lambda u: u["state"] == "abstained"),
        ("set", 1, lambda u: u["set"] == 1),
        ("set", "1", lambda u: u["set"] == 1),
        ("certainty", 0.6, lambda u: u["certainty"] is not None and u["certainty"] >= 0.6),
        ("certainty", "0.6", lambda u: u["certainty"] is not None and u["certainty"] >= 0.6),
        ("score", ".7", lambda u: u["score"] is not None and u["score"] >= 0.7),
    ):
        said = units(atlas, **{field: value})
        assert {u["id"] for u in said["units"]} == {u["id"] for u in everything if test(u)}, field
        assert said["total"] == len(said["units"]) > 0


def test_pages_join_to_the_whole_and_tallies_count(atlas):
    whole = [u["id"] for u in units(atlas)["units"]]
    pages = [units(atlas, limit=4, offset=str(at)) for at in (0, 4, 8)]
    assert [u["id"] for page in pages for u in page["units"]] == whole
    assert [page["more"] for page in pages] == [True, True, False]
    assert [page["total"] for page in pages] == [11, 11, 11]
    assert units(atlas, limit=1, kind="concept")["total"] == 6
    assert units(atlas, limit=1, state="named")["total"] == 7
    few = units(atlas, limit=1, certainty=0.5)
    assert (few["total"], few["exact"], few["more"]) == (2, False, True), (
        "no more is counted than must be"
    )


def test_every_unit_has_a_face_where_there_is_one(atlas):
    faces = {u["label"]: u["picture"] for u in units(atlas)["units"]}
    lit = atlas.value("SELECT evidence FROM exemplars WHERE place = 0 AND unit = 4")
    sheet = atlas.value("SELECT evidence FROM explanations WHERE unit = 1")
    assert (
        faces["concept 0"] == f"evidence/{lit}/face-4"
        and faces["latent 0"] == f"evidence/{sheet}/sheet"
    )
    assert faces["token 1"] == ""
    alts = {u["label"]: u["alt"] for u in units(atlas)["units"]}
    assert (face_of(4, 7, None), face_of(4, None, None)) == ("picture/7", "")
    assert alts["concept 0"] == "squares, number 0" and alts["latent 0"] == "sheet of latent 0"


def test_order_and_nothing_found(atlas):
    scores = [u["score"] for u in units(atlas, kind="concept", order="score")["units"]]
    assert scores == sorted(scores, reverse=True)
    assert [u["number"] for u in units(atlas, set=2, order="number")["units"]] == list(range(6))
    assert units(atlas, q="no such thing")["total"] == 0 and told(atlas, []) == []
    for odd in ('"', "*", "a OR b", "\0", "<script>", "' --", "(", 'fur*" OR "cat'):
        units(atlas, q=odd)


def test_the_page_keeps_what_was_asked_and_leads_on(atlas):
    text = body("units", units(atlas, q="c", state="named", limit=1), StudioLinks())
    tags = Tags(text)
    assert [one["value"] for one in tags.of("input") if one.get("name") == "q"] == ["c"]
    assert [one for one in tags.of("option") if "selected" in one and not one.get("value")] == [
        {"selected": None}
    ]
    after = [one for one in tags.of("a") if one.get("class") == "after"][0]
    assert after["href"] == "/units?q=c&state=named&offset=1" and "hidden" not in after
    assert all(one.get("alt") is not None for one in tags.of("img"))
    assert "No unit is like that." in body("units", units(atlas, q="nothing"), StudioLinks())


def test_what_cannot_be_searched_for_is_refused(atlas):
    for asked, said in (
        ({"state": "name"}, f"units are searched by state: {', '.join(STATES)}; it got 'name'. Did you mean 'named' or 'inactive'?"),
        ({"kind": "x"}, "units are searched by kind: token, latent, neuron, concept, direction; it got 'x'."),
        ({"order": "age"}, "units are searched by order: certainty, score, number; it got 'age'."),
        ({"certainty": "high"}, "the least certainty of a search is a number; it got 'high'. Leave it out, or give one such as 0.5."),
        ({"score": "nan"}, "the least score of a search is a number; it got 'nan'. Leave it out, or give one such as 0.5."),
        ({"score": "inf"}, "the least score of a search is a number; it got 'inf'. Leave it out, or give one such as 0.5."),
        ({"offset": "-1"}, "the offset of a search is a whole number of at least 0; it got '-1'."),
        ({"set": "1 OR 1"}, "the set of a search is a whole number of at least 0; it got '1 OR 1'."),
    ):  # fmt: skip
        with pytest.raises(BadInput) as refused:
            units(atlas, **asked)
        assert str(refused.value) == said


def test_an_offset_beyond_the_end_does_not_become_the_total(atlas):
    said = units(atlas, offset="1000000")
    assert (said["units"], said["exact"]) == ([], True)
    assert said["total"] == units(atlas)["total"] < 1000
    said = units(atlas, q="size", offset="1000000")
    assert (said["units"], said["total"], said["exact"]) == ([], 0, False)
