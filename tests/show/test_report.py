"""The report: one file, everything in it once, and nothing that runs but ours."""
# ruff: noqa: E501

import base64
import io
import json
import re
from hashlib import sha256

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from legenda.atlas.entries import PictureEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_picture
from legenda.errors import BadInput
from legenda.show import report_store
from legenda.show.links import ReportLinks
from legenda.show.report import REPEATED, chosen, in_order, report
from legenda.show.report_pack import packed, phrases, unpacked
from legenda.show.report_store import pictured
from legenda.show.site import body, viewer
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags

STORED = re.compile(r'<script type="text/html" data-view="([^"]+)">(.*?)</script>', re.S)
HELD = re.compile(r'<script type="text/plain" data-store="([^"]+)">(.*?)</script>', re.S)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("report") / "squares.atlas")) as held:
        yield held


@pytest.fixture(scope="module")
def text(atlas):
    return report(atlas)


def views(text):
    table = json.loads(re.search(r'id="phrases">(.*?)</script>', text, re.S)[1])  # pyright: ignore
    return {name: unpacked(view, table) for name, view in STORED.findall(text)}


def test_every_view_lies_in_it_as_it_was_made(atlas, text):
    found = views(text)
    assert {f"unit/{i}" for i in range(1, 12)} | {f"picture/{i}" for i in range(1, 7)} < set(found)
    assert {"units", "pictures", "tree", "graph", "curves", "findings"} < set(found)
    for number in range(2, 11):
        assert found[f"picture/{min(number, 6)}"] == body(
            "picture", viewer("picture")(atlas, min(number, 6)), ReportLinks()
        )
    twin = body("unit", viewer("unit")(atlas, 5), ReportLinks())
    assert found["unit/5"].replace('href="#unit/4"', "") == twin.replace('href="#unit/4"', "")


def test_the_overview_can_be_read_without_scripts(text):
    main = re.search(r"<main.*?>(.*)</main>", text, re.S)[1]  # pyright: ignore
    assert "<h1>squares</h1>" in main and "zoo:vae" in main and "<script" not in main
    assert "<noscript>" in text


def test_no_network_and_no_script_but_ours(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]  # pyright: ignore
    assert policy.startswith(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
    )
    assert policy.endswith("base-uri 'none'; form-action 'none'")
    running = re.findall(r"<script>(.*?)</script>", text, re.S)
    hashes = {base64.b64encode(sha256(one.encode()).digest()).decode() for one in running}
    assert hashes == set(re.findall(r"'sha256-([^']+)'", policy)) and len(running) == 2
    shell = STORED.sub("", HELD.sub("", text))
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", shell)
    assert not re.search(r"@import|url\((?!data:|#)", shell)
    for view in views(text).values():
        assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", view)
        assert not re.search(r"\son[a-z]+=\"", view)


def test_pictures_are_there_once_and_all_that_are_shown(text):
    held = [key for key, _ in HELD.findall(text)]
    shown = {
        key for view in views(text).values() for key in re.findall(r'data-picture="([^"]+)"', view)
    }
    assert len(held) == len(set(held)) and shown <= set(held)
    assert all(uri.startswith("data:image/") for _, uri in HELD.findall(text))
    assert not re.search(r'src="data:', re.search(r"<main.*?</main>", text, re.S)[0])  # pyright: ignore


def test_the_index_tells_of_every_unit(atlas, text):
    index = json.loads(re.search(r'id="index">(.*?)</script>', text, re.S)[1])  # pyright: ignore
    rows = [dict(zip(index["fields"], row, strict=True)) for row in index["rows"]]
    assert sorted(row["id"] for row in rows) == list(range(1, 12))
    assert {row["name"] for row in rows} >= {"animal", "cat", "dog", "fur", "red ground"}
    for row in rows:
        assert row["kind"] == atlas.value("SELECT kind FROM sets WHERE id = ?", row["set"])


def test_words_of_others_end_no_element(text):
    assert "<script>alert" not in text and "\u202e" not in text
    tags = [one.get("type") for one in Tags(text).of("script")]
    assert (
        set(tags) == {None, "application/json", "text/html", "text/plain"} and tags.count(None) == 2
    )
    for view in views(text).values():
        assert not Tags(view).of("script") and not any("onerror" in a for _, a in Tags(view).found)


def test_what_is_packed_comes_back_whatever_it_is():
    known = phrases(REPEATED)
    for one in (
        HOSTILE,
        "<!-- <script> </ScRiPt> <\\/script",
        "\ue000\uf8ff",
        *known[:9],
        "".join(known),
    ):
        lies = packed(Markup(one), known)
        assert not re.search(r"</script|<script|<!--", lies, re.I)
        assert not set(re.findall("[\ue000-\uf8ff]", lies)) - {
            chr(0xE000 + i) for i in range(len(known))
        }
        if not re.search(r"[\ue000-\uf8ff]|<\\", one):
            assert unpacked(lies, known) == one
    assert packed(Markup("\ue000"), known) == "\N{REPLACEMENT CHARACTER}"


def test_a_thousand_pages_share_what_they_share(atlas):
    view = body("unit", viewer("unit")(atlas, 5), ReportLinks())
    assert len(packed(view, phrases(REPEATED)).encode()) < 0.6 * len(view.encode())


def test_named_ones_come_first_and_the_rest_is_told(atlas):
    ids = chosen(atlas, 5)
    assert [atlas.value("SELECT certainty FROM units WHERE id = ?", i) for i in ids] == [
        0.9,
        0.75,
        0.7,
        0.65,
        0.6,
    ]
    assert len(chosen(atlas, 100)) == 11 and in_order(atlas, ids) == sorted(ids)
    text = report(atlas, most=5)
    assert (
        "This file holds 5 of 11 units, named ones first, surest first; the other 6 are in the "
        "atlas, which the studio shows: legenda studio."
    ) in text
    found = views(text)
    assert sum(name.startswith("unit/") for name in found) == 5
    order = in_order(atlas, ids)
    for before, after in zip(order, order[1:], strict=False):
        assert f'rel="next" href="#unit/{after}"' in found[f"unit/{before}"]
        assert f'rel="prev" href="#unit/{before}"' in found[f"unit/{after}"]
    assert "This file holds" not in report(atlas)


def test_every_picture_of_the_file_is_in_the_list(tmp_path, monkeypatch):
    """What is explained comes first, wherever it stands in the atlas; lists are of what is there."""
    monkeypatch.setattr("legenda.show.report.PICTURES", 65)
    with Atlas(made(tmp_path / "a", pictures=80), write=True) as atlas:
        atlas_pictures = [row[0] for row in atlas.all("SELECT id FROM pictures ORDER BY id")]
        with atlas.writing() as base:
            base.execute("UPDATE explanations SET picture = 80 WHERE picture = 1")
            base.execute("DELETE FROM readings WHERE picture BETWEEN 10 AND 29")
        found = views(report(atlas))
    kept = {int(name.split("/")[1]) for name in found if name.startswith("picture/")}
    assert len(atlas_pictures) == 80 and len(kept) == 65 and 80 in kept
    assert not kept & set(range(15, 30)), "what nothing is known of comes last"
    listed = {int(i) for n in (1, 2) for i in re.findall(r'href="#picture/(\d+)"', found[f"pictures/{n}"])}  # fmt: skip # noqa: E501
    assert listed == kept and "pictures/3" not in found and found["pictures"] == found["pictures/1"]
    assert (
        "65 pictures; 1 to 60 are here, those that most is known of; 15 more are in the atlas"
        in found["pictures"]
    )
    order = sorted(kept)
    for before, after in zip(order, order[1:], strict=False):
        assert f'rel="next" href="#picture/{after}"' in found[f"picture/{before}"]


def test_no_units_are_refused(atlas):
    with pytest.raises(BadInput) as refused:
        report(atlas, most=0)
    assert str(refused.value) == "a report shows at least one unit; it got most=0. Leave it out."


def test_an_empty_atlas_has_a_report(tmp_path):
    with Atlas(tmp_path / "new.atlas", write=True) as atlas:
        assert "Nothing has been read yet." in report(atlas)


def test_pictures_are_as_large_as_the_budget_lets_them_be(atlas):
    keys = [f"picture/{i}" for i in range(1, 7)]
    sides = []
    for budget in (10_000_000, 6 * 900, 10):
        found = dict(pictured(atlas, keys, budget))
        assert list(found) == keys
        data = base64.b64decode(found["picture/1"].partition(",")[2])
        sides.append(Image.open(io.BytesIO(data)).width)
        weight = sum(len(u) for u in found.values())
        assert weight <= budget or budget == 10, "the least size is what there is"
    assert sides[0] == 48 == max(sides)


def test_a_picture_with_a_page_of_its_own_is_kept_larger(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        for seed in range(3):
            pixels = np.random.default_rng(seed).integers(0, 255, (300, 300, 3), np.uint8)
            held = io.BytesIO()
            Image.fromarray(pixels).save(held, "PNG")
            put_picture(atlas, PictureEntry("s", "c", 300, 300, "image/png", held.getvalue()))
        keys = [f"picture/{i}" for i in (1, 2, 3)]
        found = dict(report_store._drawn(atlas, keys, 80, 50, {"picture/2"}))
        sides = [
            Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2]))).width
            for u in found.values()
        ]
        assert sides == [80, 240, 80]
        assert len(pictured(atlas, keys, 100_000, {"picture/2"})) == 3


def test_a_sample_tells_what_all_of_them_would_weigh(atlas):
    keys = [f"picture/{1 + i % 6}" for i in range(60)] + ["evidence/1/sheet"] * 3
    slow = sum(
        len(k) + len(u) + report_store.TAG for k, u in report_store._drawn(atlas, keys, 40, 60)
    )
    assert report_store._guess(atlas, keys, 40, 60) == pytest.approx(slow, rel=0.1)


def test_a_torn_shard_takes_its_pictures_away_and_no_more(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        number = atlas.value("SELECT evidence FROM explanations WHERE unit = 1")
        shard = atlas.value(
            "SELECT s.digest FROM shards s JOIN evidence e ON e.shard = s.id WHERE e.id = ?", number
        )
        place = tmp_path / "a" / "tensors" / shard[:2] / f"{shard}.safetensors"
        place.write_bytes(place.read_bytes()[:100])
        text = report(atlas)
    held = {key for key, _ in HELD.findall(text)}
    assert f"evidence/{number}/sheet" not in held and "picture/1" in held
    assert "unit/1" in views(text)


def test_two_atlases_are_compared_and_one_only_where_there_is_something(atlas, text, tmp_path):
    assert "compare" not in views(text), "nothing in this atlas can be compared"
    with Atlas(made(tmp_path / "other.atlas", seed=1)) as other:
        both = report(atlas, against=other)
    assert "matryoshka" in views(both)["compare"] and 'href="#compare"' in both
