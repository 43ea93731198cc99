import pytest

from legenda.atlas.store import Atlas
from tests.atlas.made import CONCEPTS, made
from tests.studio.served import studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("atlas") / "squares.atlas")


@pytest.fixture(scope="module")
def client(folder):
    with studio(folder) as (client, _):
        yield client


def test_the_overview_counts_what_there_is(client):
    found = client.get("/api/overview").json()
    assert found["title"] == "squares" and found["edit"] is False
    assert [m["ref"] for m in found["models"]] == ["zoo:vae", "zoo:scenes"]
    assert found["models"][0]["card"]["parameters"] == 1234
    assert {s["kind"]: s["states"] for s in found["sets"]} == {
        "latent": {"named": 1, "abstained": 1, "inactive": 1},
        "concept": {"named": 5, "dead": 1},
        "token": {"named": 1, "unread": 1},
    }
    assert (found["units"], found["pictures"], found["studies"]) == (11, 6, 2)


def test_search_finds_by_name_kind_state_certainty_and_score(client):
    def names(**asked):
        found = client.get("/api/search", params=asked)
        assert found.status_code == 200, found.text
        return [one["name"] for one in found.json()["units"]]

    assert names(q="cat") == ["cat"]
    assert names(q="ca") == ["cat"], "the beginning of a word is enough"
    assert set(names(kind="concept", state="named")) == {
        *(n for n in CONCEPTS[:4]), next(n for n in names(q="alert"))
    }  # fmt: skip
    assert names(state="named", kind="latent") == ["size, small to large"]
    assert names(certainty=0.9) == ["size, small to large"]
    assert names(score=0.79, order="score") == ["size, small to large", "animal"]
    assert len(names(limit=3)) == 3
    assert names(limit=200)[3:6] == names(limit=3, offset=3)
    every, some = (client.get(f"/api/search?limit={n}&q=c").json() for n in (200, 1))
    assert every["exact"] and every["total"] == len(every["units"]) > 2
    assert not some["exact"] and some["total"] == 2, "there are two at least"
    assert client.get("/api/search").json()["total"] == 11
    empty = client.get("/api/search?q=&set=&kind=&state=&certainty=&score=")
    assert empty.status_code == 200 and empty.json()["total"] == 11, "as an empty form asks"


@pytest.mark.parametrize("q", ['"', "*", "a OR b", "NEAR(", "\0", "name:", "-", "'; DROP TABLE units", "x" * 300, "\u202e"])  # fmt: skip # noqa: E501
def test_any_words_can_be_searched_for(client, q):
    found = client.get("/api/search", params={"q": q})
    assert found.status_code == 200 and isinstance(found.json()["total"], int)


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"kind": "odd"}, "kind cannot be used: "), ({"state": "odd"}, "state cannot be used: "),
     ({"certainty": "nan"}, "certainty"), ({"limit": 0}, "limit cannot be used: "),
     ({"limit": 201}, "limit cannot be used: "), ({"offset": -1}, "offset cannot be used: "),
     ({"order": "random()"}, "order cannot be used: "), ({"q": "x" * 301}, "q cannot be used: "),
     ({"set": 2**63}, "set")],
)  # fmt: skip
def test_what_a_search_cannot_use_is_said(client, asked, said):
    found = client.get("/api/search", params=asked)
    assert found.status_code == 422 and found.json()["error"].startswith(said), found.text


def test_a_unit_is_told_with_all_that_is_held_of_it(client):
    found = client.get("/api/units/1").json()
    assert (found["label"], found["state"], found["corrected"]) == ("latent 0", "named", False)
    assert found["facts"]["nats"] == 2.5
    (one,) = found["explanations"]
    assert [d["text"] for d in one["descriptions"]] == ["size grows from 3 to 9 pixels", "things grow"]  # fmt: skip # noqa: E501
    (score,) = one["scores"]
    assert (score["value"], score["low"], score["high"], score["n"]) == (0.97, 0.8, 1.0, 8)
    assert (score["control"], score["control_low"], score["control_high"]) == (0.25, 0.1, 0.4)
    cat = client.get("/api/units/5").json()
    assert len(cat["exemplars"]) == 4 and cat["exemplars"][0]["strength"] == 1.0
    assert {(r["kind"], r["one"], r["other"]) for r in cat["relations"]} == {
        ("is-a", 5, 4), ("part-of", 7, 5), ("co-occurs", 5, 7)
    }  # fmt: skip


def test_a_picture_is_told_with_what_was_made_of_it(client):
    found = client.get("/api/pictures/1").json()
    assert (found["width"], found["height"], found["media"]) == (48, 48, "image/webp")
    assert [r["set"] for r in found["readings"]] == [2]
    assert found["explanations"][0]["facts"]["sentence"] == "red squares"


def test_studies_are_told_newest_first(client):
    found = client.get("/api/studies").json()
    assert [s["kind"] for s in found] == ["concepts", "latents"]
    assert found[0]["failures"] == 1 and found[1]["explanations"] == 2
    assert found[1]["command"] == "legenda latents zoo:vae"
    assert [s["kind"] for s in client.get("/api/studies?limit=1&offset=1").json()] == ["latents"]


@pytest.mark.parametrize("path", ["/api/units/999", "/api/pictures/999", "/api/jobs/abc", "/api/jobs/abc/events", "/api/nothing"])  # fmt: skip # noqa: E501
def test_what_is_not_there_is_said_as_json(client, path):
    found = client.get(path, headers={"accept": "text/html"})
    assert found.status_code == 404 and set(found.json()) == {"error"}


def test_names_are_given_where_the_atlas_may_be_changed(tmp_path):
    folder = made(tmp_path / "a")
    with studio(folder, edit=True) as (client, headers):
        assert client.get("/api/overview").json()["edit"] is True
        found = client.put("/api/units/5/name", json={"name": " tabby  cat "}, headers=headers)
        assert found.status_code == 200, found.text
        said = found.json()
        assert (said["name"], said["said"], said["corrected"]) == ("tabby cat", "cat", True)
        assert "tabby cat" in client.get("/unit/5").text
        back = client.put("/api/units/5/name", json={"name": ""}, headers=headers).json()
        assert (back["name"], back["corrected"]) == ("cat", False)
        client.put("/api/units/5/name", json={"name": "tabby"}, headers=headers)
    with Atlas(folder) as atlas:
        assert atlas.value("SELECT name FROM units WHERE id = 5") == "tabby"


def test_names_that_cannot_be_given(tmp_path):
    folder = made(tmp_path / "a")
    with studio(folder, edit=True) as (client, headers):

        def status(number, body, headers=headers):
            return client.put(f"/api/units/{number}/name", json=body, headers=headers).status_code

        assert status(999, {"name": "x"}) == 409
        assert status(5, {"name": ""}) == 422, "there is none to take back"
        assert status(5, {"name": "x" * 201}) == 422
        assert status(5, {"name": 5}) == 422
        assert status(5, {"name": "x", "state": "dead"}) == 422
        assert status(5, {"name": "x"}, {}) == 403, "without our token"
        assert status(5, {"name": "x"}, headers | {"origin": "http://evil.example"}) == 403
    with Atlas(folder) as atlas:
        assert atlas.value("SELECT count(*) FROM corrections") == 0


def test_a_studio_that_only_reads_changes_no_name(tmp_path):
    with studio(made(tmp_path / "a")) as (client, headers):
        found = client.put("/api/units/5/name", json={"name": "x"}, headers=headers)
        assert found.status_code == 409
        assert found.json() == {
            "error": "this studio only shows the atlas. Start it with --edit to keep names and "
            "results in it."
        }
        assert client.get("/api/units/5").json()["name"] == "cat"
