"""Both ways of searching find what a slow search finds, whatever a person types."""
# ruff: noqa: E501

import unicodedata
from functools import cache
from itertools import product

import numpy as np
import pytest

from legenda.atlas import search_ways
from legenda.atlas.corrections import rename
from legenda.atlas.entries import ModelEntry, SetEntry, UnitEntry
from legenda.atlas.schema import STATES
from legenda.atlas.search import Query, matching, search
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set, put_units
from legenda.errors import BadInput
from tests.atlas.made import HOSTILE, made

WORDS = ("red", "reddish", "cat", "Katze", "größe", "small", "size")
KINDS = ("token", "concept", "token")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """Some 600 units of three sets, with words, certainties and scores by chance."""
    lot = np.random.default_rng(0)
    with Atlas(tmp_path_factory.mktemp("search") / "a", write=True) as atlas:
        model = put_model(atlas, ModelEntry("made:up", "up"))
        sets = [put_set(atlas, SetEntry(model, f"d{i}", kind, 200)) for i, kind in enumerate(KINDS)]
        for number in range(200):
            put_units(atlas, (drawn(lot, one, number) for one in sets))
        yield atlas


def drawn(lot, set_id, number):
    state = str(lot.choice(STATES))
    name = " ".join(lot.choice(WORDS, 2)) if state == "named" else ""
    sure, score = (float(x) if lot.random() < 0.8 else None for x in lot.integers(0, 9, 2) / 8)
    return UnitEntry(
        set_id, number, f"unit {number}", state, name, certainty=sure, score=score
    )  # fmt: skip


def folded(text):
    """Words in small letters, without marks: how the index keeps them."""
    plain = unicodedata.normalize("NFKD", text.lower())
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in kept).split()


@cache
def slow(atlas, query):
    """The same search, one unit after another."""
    found = []
    asked = "SELECT u.*, s.kind FROM units u JOIN sets s ON s.id = u.set_id"
    for row in atlas.all(asked):
        words = folded(f"{row['name']} {row['said']} {row['label']}")
        fits = all(any(word.startswith(start) for word in words) for start in folded(query.text))
        for column in ("kind", "state", "set_id"):
            fits &= getattr(query, column) in (None, row[column])
        for column in ("certainty", "score"):
            least = getattr(query, column)
            fits &= least is None or (row[column] is not None and row[column] >= least)
        if fits:
            found.append(row)
    everywhere = query.kind is None and query.set_id is None

    def rank(row):
        place = (row["set_id"], row["number"])
        if query.order == "number":
            return place
        value = row[query.order]
        return (value is None, -(value or 0), *((row["id"],) if everywhere else place))

    return [row["id"] for row in sorted(found, key=rank)]


QUERIES = [
    Query(text, kind, state, set_id, certainty, score, order, limit=30)
    for (text, kind, state, set_id), (certainty, score), order in product(
        [("", None, None, None), ("red", None, None, None), ("RED ca", None, "named", None),
         ("grosse", "token", None, None), ("größe", None, None, 2), ("unit 1", "concept", None, 2),
         ("", "token", "dead", None), ("s", None, None, 1), ("", None, "unread", 3)],
        [(None, None), (0.5, None), (None, 0.75), (0.25, 0.25)],
        ["certainty", "score", "number"],
    )
]  # fmt: skip


@pytest.mark.parametrize(("few", "many"), [(10_000, 0), (40, 0), (0, 0), (0, 10_000), (40, 100)])
def test_every_way_finds_what_the_slow_search_finds(atlas, monkeypatch, few, many):
    monkeypatch.setattr(search_ways, "FEW", few)
    monkeypatch.setattr(search_ways, "MANY", many)
    monkeypatch.setattr(search_ways, "CHUNK", 7)
    hits = 0
    for query in QUERIES:
        expected, found = slow(atlas, query), search(atlas, query)
        assert [row["id"] for row in found.rows] == expected[:30], query
        assert found.more == (len(expected) > 30), query
        hits += len(found.rows)
    assert hits > 1000


@pytest.mark.parametrize("many", [0, 10_000])
def test_a_walk_that_finds_little_ends_and_finds_all_the_same(atlas, monkeypatch, many):
    monkeypatch.setattr(search_ways, "FEW", 0)
    monkeypatch.setattr(search_ways, "MANY", many)
    monkeypatch.setattr(search_ways, "FARTHER", 20)
    monkeypatch.setattr(search_ways, "CHUNK", 5)
    monkeypatch.setattr(search_ways, "FAR", 20)
    query = Query("katze size", limit=10)
    assert [row["id"] for row in search(atlas, query).rows] == slow(atlas, query)[:10]


def test_pages_follow_one_another(atlas):
    whole = slow(atlas, Query("red"))
    pages = [search(atlas, Query("red", limit=25, offset=at)) for at in range(0, 150, 25)]
    assert [row["id"] for page in pages for row in page.rows] == whole
    assert [page.more for page in pages if page.rows][-1] is False
    assert search(atlas, Query(offset=10**6)).rows == []


TYPED = [
    "cat", '"', '""', '"cat', "* OR", "cat*", "cat OR dog", "NEAR(cat dog)", "name:cat", "-cat",
    "^cat", "a\0b", "!!!", "  ", "\ud800", "{a b}: c", "cat'; DROP TABLE units; --", HOSTILE,
    "x" * 10_000, " ".join(["cat"] * 1000), "狐狸", "\u202e", "(", "+ + +", "🦊", "AND", "cat AND",
]  # fmt: skip


@pytest.mark.parametrize(("few", "many"), [(10_000, 0), (0, 0), (0, 10_000)])
def test_nothing_that_is_typed_is_an_error(tmp_path, monkeypatch, few, many):
    monkeypatch.setattr(search_ways, "FEW", few)
    monkeypatch.setattr(search_ways, "MANY", many)
    with Atlas(made(tmp_path / "a")) as atlas:
        found = {text: [r["id"] for r in search(atlas, Query(text)).rows] for text in TYPED}
    assert found["cat"] == found["cat*"] == found['"cat'] == found[" ".join(["cat"] * 1000)] == [5]
    assert found[HOSTILE] == [9] and len(found["  "]) == 11
    others = {text for text in TYPED if found[text]}
    assert others == {
        "cat",
        "cat*",
        '"cat',
        " ".join(["cat"] * 1000),
        HOSTILE,
        "  ",
        "-cat",
        "^cat",
    }


def test_words_are_quoted():
    assert matching('fine "cat* OR') == '"fine"* "cat*"* "OR"*'
    assert matching("!! --") == matching("") == ""
    assert matching("a b", prefix=False) == '"a" "b"'


def test_a_persons_name_is_found(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        rename(atlas, 2, "zebra stripes")
        (row,) = search(atlas, Query("zeb")).rows
        assert (row["id"], row["name"], row["state"]) == (2, "zebra stripes", "named")
        assert (row["model"], row["dictionary"], row["kind"]) == ("zoo:vae", "latents", "latent")


WRONG = [
    (Query(kind="tokens"), "there is no kind 'tokens'. Did you mean 'token' or 'latent'? Known: token, latent, neuron, concept, direction."),
    (Query(state="x"), "there is no state 'x'. Known: unread, named, abstained, inactive, dead."),
    (Query(order="size"), "there is no order 'size'. Known: certainty, score, number."),
    (Query(limit=0), "a page has 1 to 10000 units and comes after 0 or more; it got limit=0 and offset=0."),
    (Query(offset=-1), "a page has 1 to 10000 units and comes after 0 or more; it got limit=50 and offset=-1."),
]  # fmt: skip


@pytest.mark.parametrize(("query", "said"), WRONG)
def test_what_is_asked_wrongly_is_refused(atlas, query, said):
    with pytest.raises(BadInput) as caught:
        search(atlas, query)
    assert str(caught.value) == said


def test_no_set_finds_nothing(atlas):
    assert search(atlas, Query(set_id=99)).rows == []
    assert search(atlas, Query(kind="latent")).rows == []
