"""The shell: where links lead, what a page holds, and which views are offered."""
# ruff: noqa: E501

import json
import re

import pytest

from legenda.atlas.entries import ModelEntry, SetEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set, put_units
from legenda.errors import BadInput
from legenda.show.links import (
    Links,
    NotebookLinks,
    ReportLinks,
    StudioLinks,
    data_uri,
    permalink,
)
from legenda.show.site import (
    SCRIPTS,
    STYLES,
    assets,
    body,
    called,
    navigation,
    page,
    shown,
    text_of,
    viewer,
)
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("site") / "two_squares.atlas")) as held:
        yield held


def test_links_of_a_file_are_hashes_and_its_pictures_are_keys():
    links = ReportLinks()
    assert links.to("unit", 5) == "#unit/5" and links.to("units") == "#units"
    assert links.picture(12) == 'data-picture="picture/12"'
    assert links.drawing(7, "map-3") == 'data-picture="evidence/7/map-3"'


def test_links_of_a_server_are_addresses():
    links = StudioLinks()
    assert links.to("unit", 5) == "/unit/5" and links.to("overview") == "/overview"
    assert links.picture(12) == 'src="/media/picture/12" loading="lazy"'
    assert links.drawing(7, "sheet") == 'src="/media/evidence/7/sheet" loading="lazy"'


def test_links_of_a_notebook_hold_the_picture(atlas):
    links = NotebookLinks(atlas)
    row = atlas.one("SELECT media, data FROM pictures WHERE id = 1")
    assert links.to("unit", 5) == "#"
    assert links.picture(1) == f'src="{data_uri(row["media"], row["data"])}"'
    assert links.picture(99) == 'src="data:,"', "what is lost takes no page away"
    for one in (links, ReportLinks(), StudioLinks()):
        assert isinstance(one, Links)


def test_no_key_leaves_its_attribute():
    for links in (ReportLinks(), StudioLinks()):
        tag = Tags(f"<img {links.media(HOSTILE)}>").of("img")[0]
        assert len(Tags(f"<img {links.media(HOSTILE)}>").found) == 1 and "onerror" not in tag


def test_a_permalink_says_what_was_asked_and_no_more():
    asked = {"q": "a cat & <dog>", "state": "", "set": None, "order": "certainty", "score": 0.0}
    assert permalink(ReportLinks(), asked) == "#units?q=a+cat+%26+%3Cdog%3E&score=0.0"
    assert permalink(StudioLinks(), {"q": ""}, 50) == "/units?offset=50"
    assert permalink(StudioLinks(), {}, -50) == "/units"


def test_an_unknown_view_is_refused():
    with pytest.raises(BadInput) as refused:
        viewer("secrets")
    assert str(refused.value) == (
        "there is no view 'secrets'; there are overview, units, unit, pictures, picture, tree, "
        "graph, curves, findings, compare."
    )


def test_only_views_with_something_in_them_are_offered(atlas, tmp_path):
    views = [place["view"] for place in navigation(atlas)]
    assert views == ["overview", "units", "pictures", "tree", "graph", "curves", "findings"]
    assert [p["view"] for p in navigation(atlas, compare=True)][-1] == "compare"
    keys = [place["key"] for place in navigation(atlas, compare=True)]
    assert len(set(keys)) == len(keys), "each place has a key of its own"
    with Atlas(tmp_path / "empty.atlas", write=True) as empty:
        assert [place["view"] for place in navigation(empty)] == ["overview"]
        model = put_model(empty, ModelEntry("m", "m"))
        put_units(empty, [UnitEntry(put_set(empty, SetEntry(model, "d", "latent", 1)), 0, "l")])
        assert [place["view"] for place in navigation(empty)] == ["overview", "units"]


def test_a_page_of_the_server_names_its_files_and_nothing_else(atlas):
    links = StudioLinks()
    said = viewer("unit")(atlas, 5)
    text = page(
        body("unit", said, links), title=said["title"], links=links, mode="studio", atlas=atlas,
        view="unit", token="t0ken", extra=["live.js", "live.css"],
        places=[{"view": "live", "title": "Live", "key": "l"}],
    )  # fmt: skip
    tags = Tags(text)
    assert [one["src"] for one in tags.of("script")] == [
        "/static/theme.js", *(f"/static/{name}" for name in SCRIPTS), "/static/live.js"
    ]  # fmt: skip
    sheets = [one["href"] for one in tags.of("link") if one.get("rel") == "stylesheet"]
    assert sheets == [*(f"/static/{name}" for name in STYLES), "/static/live.css"]
    assert not re.search(r"<script(?![^>]*src)", text), "no script stands in the page"
    assert not re.search(r"\son[a-z]+=", text), "and none in an attribute"
    meta = {one.get("name"): one.get("content") for one in tags.of("meta")}
    assert meta["legenda-token"] == "t0ken"
    assert '<a href="/live" data-view="live" data-key="l">Live</a>' in text
    current = [one["href"] for one in tags.of("a") if one.get("aria-current")]
    assert current == ["/units"], "a unit is found under units"
    assert "<title>cat · two squares</title>" in text


def test_what_is_named_as_a_file_can_be_asked_for():
    files = assets()
    assert set(files) == {"theme.js", *STYLES, *SCRIPTS}
    assert all(files.values()), "and none of them is empty"
    assert files["atlas.js"].decode() in text_of(SCRIPTS)


def test_every_rule_stays_within_what_is_ours():
    """In a notebook these rules meet a page of others."""
    style = re.sub(r"/\*.*?\*/", "", text_of({"atlas.css": STYLES["atlas.css"]}), flags=re.S)
    for rule in re.findall(r"(?:^|[{}])\s*([^{}@]+)\{", style):
        for selector in re.sub(r"\([^()]*\)", "", rule).split(","):
            one = selector.strip()
            assert one.startswith((".legenda", ":root[data-theme=")), one
            assert ".legenda" in one


def test_scripts_write_no_html_but_ours():
    for name in ("atlas.js", "find.js", "theme.js"):
        text = assets()[name].decode()
        assert (
            "eval(" not in text
            and "insertAdjacentHTML" not in text
            and "document.write" not in text
        )
        filled = re.findall(r"innerHTML = (\S+)", text)
        assert filled == (
            ["first;", "calm(stored.get(name).textContent);"] if name == "atlas.js" else []
        )


def test_words_of_others_are_cut_and_calm():
    assert shown("a\u202eb\0c\nd") == "a b c d"
    assert shown("x" * 10_000, 20) == "x" * 19 + "…"
    assert shown("ordinary words") == "ordinary words"


def test_an_atlas_is_called_by_its_folder(atlas):
    assert called(atlas) == "two squares"


def test_hostile_words_are_only_text_in_every_view_of_mine(atlas):
    for links in (ReportLinks(), StudioLinks()):
        for view, of in (("overview", ()), ("units", ()), *(("unit", (i,)) for i in range(1, 12))):
            text = body(view, viewer(view)(atlas, *of), links)
            assert not Tags(text).of("script")
            assert not any("onerror" in attrs for _, attrs in Tags(text).found)
            assert "49" not in re.findall(r"onerror=x (\S+)", text)


def test_views_are_plain(atlas):
    for view, of in (("overview", ()), ("units", ()), *(("unit", (i,)) for i in range(1, 12))):
        json.dumps(viewer(view)(atlas, *of), allow_nan=False)
