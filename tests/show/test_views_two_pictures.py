import itertools
import json
import math
import re

import numpy as np
import pytest
import torch

from legenda.atlas.entries import EvidenceEntry, ExplanationEntry
from legenda.atlas.store import Atlas
from legenda.atlas.writer import Writer
from legenda.errors import BadInput, Missing
from legenda.show.links import ReportLinks, StudioLinks
from legenda.show.site import body, viewer
from legenda.show.views.picture import _of_words, _words, picture
from legenda.show.views.pictures import pictures
from legenda.show.views.reading import KEPT, behind, layer, shares, strongest
from tests.atlas.made import HOSTILE, made
from tests.show.test_heat import pixels
from tests.show.test_page import Tags
from tests.show.two_worlds import WORDS, atlas_of, picture_of, read, study_of, web


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The atlas of the contract."""
    with Atlas(made(tmp_path_factory.mktemp("small") / "a")) as atlas:
        yield atlas


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    with web(tmp_path_factory.mktemp("wide") / "a")[0] as atlas:
        yield atlas


def rendered(atlas, name, *of, links=None):
    said = viewer(name)(atlas, *of)
    json.dumps(said)
    return body(name, said, links or ReportLinks())


def test_pictures_stand_sixty_to_a_page(wide):
    first, second = pictures(wide), pictures(wide, 2)
    assert (first["total"], first["pages"], len(first["pictures"])) == (70, 2, 60)
    assert [p["id"] for p in second["pictures"]] == list(range(61, 71))
    assert (second["first"], second["last"]) == (61, 70)
    text = rendered(wide, "pictures", 2)
    assert 'rel="prev" href="#pictures/1"' in text and 'rel="next"' not in text
    assert 'aria-label="Page 2" aria-current="page"' in text
    assert "61 to 70 are here" in text and 'start="61"' in text


@pytest.mark.parametrize("page", [0, 3, -1])
def test_a_page_that_is_not_there_is_refused(wide, page):
    with pytest.raises(BadInput) as said:
        pictures(wide, page)
    assert str(said.value) == f"the pictures of this atlas have pages 1 to 2; it got {page}."


def test_pictures_say_what_is_known_of_them(wide):
    first = pictures(wide)["pictures"][0]
    assert first["say"] == "top picture of 2 units, 2 explanations"


def test_an_atlas_without_pictures_says_so(tmp_path):
    with atlas_of(tmp_path / "a")[0] as atlas:
        assert "holds no pictures yet" in rendered(atlas, "pictures")
        with pytest.raises(Missing) as said:
            picture(atlas, 1)
    assert str(said.value) == (
        "this atlas has no picture 1. `pictures` lists the 0 that it has."
    )  # fmt: skip


@pytest.mark.parametrize("name, of", [("pictures", ()), ("picture", (1,)), ("picture", (2,))])
@pytest.mark.parametrize("links", [ReportLinks(), StudioLinks()])
def test_every_image_has_a_text_or_stands_beside_words(small, wide, name, of, links):
    for atlas in (small, wide):
        tags = Tags(rendered(atlas, name, *of, links=links))
        assert tags.of("img") and all("alt" in one for one in tags.of("img"))
        large = [i for i in tags.of("img") if "picture" == i.get("class")]
        assert all(one["alt"] for one in large) and len(large) == (name == "picture")
        buttons = tags.of("button")
        assert all(one.get("type") == "button" for one in buttons)
        assert not any(k.startswith("on") for _, a in tags.found for k in a)


def test_a_hostile_name_is_only_text(small):
    text = rendered(small, "picture", 1)
    tags = Tags(text)
    assert not tags.of("script") and "49" not in re.findall(r"onerror=x (.{12})", text)[0]
    assert "{{ 7*7 }}" in text and "\u202e" not in text
    codes = json.loads(next(t["data-codes"] for t in tags.of("section") if t.get("data-codes")))
    named = [one[1] for one in codes["units"].values()]
    assert HOSTILE.replace("\u202e", " ") in named


def test_a_hostile_sentence_and_caption_are_only_text(tmp_path):
    atlas, _, _ = atlas_of(tmp_path / "a")
    seen = picture_of(atlas, caption=HOSTILE * 100)
    heat = EvidenceEntry("attribution", {"map": torch.rand(2, 2), "words": torch.rand(2)},
                         {"words": [HOSTILE, "'\"><b>"], "unit": HOSTILE})  # fmt: skip
    with atlas, Writer(atlas, study_of(atlas)) as writer:
        writer.add(ExplanationEntry("x", HOSTILE, HOSTILE, None, seen, heat, (), (),
                                    {"sentence": HOSTILE, "flagged": True, "warning": HOSTILE}))  # fmt: skip # noqa: E501
        writer.flush()
        text = rendered(atlas, "picture", seen)
        assert len(rendered(atlas, "pictures")) < 3000
    tags = Tags(text)
    assert not tags.of("script") and not tags.of("b")
    assert not any("onerror" in a for _, a in tags.found) and "\u202e" not in text


def test_neighbours_of_a_picture(wide):
    assert [picture(wide, i)["before"] for i in (1, 2)] == [None, 1]
    assert [picture(wide, i)["after"] for i in (69, 70)] == [70, None]
    text = rendered(wide, "picture", 2)
    assert 'rel="prev" href="#picture/1"' in text and 'rel="next" href="#picture/3"' in text


def test_a_reading_says_units_strength_and_certainty(tmp_path):
    atlas, group, units = atlas_of(tmp_path / "a")
    seen = picture_of(atlas)
    index = [[1, 2], [1, 3], [4, 0], [9, 9]]
    weight = [[0.5, 0.25], [1.5, 0.0], [0.75, 0.5], [0.5, 0.5]]
    with atlas:
        read(atlas, seen, group, index, weight)
        one = picture(atlas, seen)["sets"][0]
    assert [u["name"] for u in one["units"]] == ["cat", "tree", "fur", "animal", "dog"]
    assert [u["strength"] for u in one["units"]] == ["1.5", "1", "0.75", "0.5", "0.25"]
    assert [u["where"] for u in one["units"]] == [2, 1, 1, 1, 1]
    assert one["units"][0]["certainty"] == "0.51 [0.4, 0.95]" and one["units"][0]["id"] == units[1]
    assert one["units"][0]["alt"] == "Map of cat: strongest in row 1, column 2."
    assert one["codes"]["at"] == [[[1, 0.5], [2, 0.25]], [[1, 1.5]], [[4, 0.75], [0, 0.5]], [[9, 1.0]]]  # fmt: skip # noqa: E501
    assert one["codes"]["units"]["9"] == [units[9], "tree", "0.59 [0.4, 0.95]"]
    assert one["codes"]["peak"] == 1.5 and "3" not in one["codes"]["units"]
    lit = pixels(one["units"][0]["map"])[..., 3]
    assert lit[0, 1] > lit[0, 0] > lit[1, 0] == lit[1, 1] and lit[0, 1] == pytest.approx(1)


def slow_strongest(index, weight):
    """Weights per unit and position, summed in a dict."""
    held = {}
    for i, (numbers, weights) in enumerate(zip(index, weight, strict=True)):
        for number, w in zip(numbers, weights, strict=True):
            if w:
                held[number, i] = held.get((number, i), 0.0) + w
    units = {}
    for (number, _), w in held.items():
        top, total = units.get(number, (0.0, 0.0))
        units[number] = max(top, abs(w)), total + abs(w)
    ranked = sorted(units, key=lambda u: (-units[u][0], -units[u][1], u))
    at = [
        [[n, held[n, i]] for n in sorted(units, key=lambda n: (-abs(held.get((n, i), 0)), n))
         if (n, i) in held]
        for i in range(len(index))
    ]  # fmt: skip
    return ranked, at


@pytest.mark.parametrize("slots, seed", [(1, 0), (4, 1), (12, 2)])
def test_strongest_is_its_slow_twin(slots, seed):
    draw = np.random.default_rng(seed)
    index = draw.integers(0, 20, (9, slots))
    weight = np.round(draw.normal(size=(9, slots)), 2) * (draw.random((9, slots)) > 0.3)
    found, full = strongest(index, weight)
    ranked, at = slow_strongest(index.tolist(), weight.tolist())
    assert found["all"].tolist() == ranked
    flat = [[[n, pytest.approx(w, abs=1e-4)] for n, w in one[:KEPT]] for one in at]
    assert found["at"] == flat and full == sum(len(one) > KEPT for one in at)
    assert set(found["numbers"].tolist()) >= {n for one in found["at"] for n, _ in one}


def test_more_than_is_kept_is_counted(wide):
    one = picture(wide, 1)["sets"][0]
    assert one["left"] == 64 and len(one["units"]) == 24 and one["more"] == len(WORDS) - 24
    text = rendered(wide, "picture", 1)
    assert "6 weaker units are on as well." in text
    assert "In 64 patches more units are on than the eight strongest" in text


def test_what_lies_behind_a_map_beside_all_orders_of_the_patches():
    draw = np.random.default_rng(0)
    index = np.array([[0], [0], [1], [2], [1], [2]])
    weight = draw.random((6, 1)) + 0.5
    nats = np.array([3.0, 2.0, 0.1, 0.2, 0.4, 0.0])
    first = behind(nats, index, weight, {0: {"id": 7, "name": "cat", "certainty": "–"}})[0]
    part = shares(index, weight, np.array([0, 1, 2]))
    slow = [sum(n * s for n, s in zip(order, part[:, 0], strict=True))
            for order in itertools.permutations(nats)]  # fmt: skip
    mean, spread = np.mean(slow), np.std(slow)
    said = [float(v) for v in re.findall(r"[\d.]+", first["chance"])]
    low = max(0, mean - 1.96 * spread)
    assert said == pytest.approx([mean, low, mean + 1.96 * spread], rel=5e-3)
    assert (first["id"], first["name"], first["nats"], first["apart"]) == (7, "cat", "5", True)


def test_what_lies_behind_a_map_finds_what_was_planted(wide):
    one = picture(wide, 1)["sets"][0]
    assert one["behind"][0]["name"] == "cat" and one["behind"][0]["apart"]
    assert sum(b["apart"] for b in one["behind"]) <= 2
    text = rendered(wide, "picture", 1)
    assert "Behind the map of &#39;a cat on sand&#39;" in text and "above chance" in text


def test_shares_of_a_position_add_up_to_one():
    index, weight = np.array([[3, 5], [5, 5], [7, 3]]), np.array([[1.0, 3.0], [1, 1], [0, 0]])
    found = shares(index, weight, np.array([3, 5, 7]))
    assert found.tolist() == [[0.25, 0.75, 0], [0, 1, 0], [0, 0, 0]]
    assert layer(index, weight, 5).tolist() == [3, 2, 0]


def test_a_sentence_has_its_map_its_words_and_its_scores(wide, small):
    calm, flagged = picture(wide, 1)["sentences"]
    assert [w["text"] for w in calm["words"]] == ["a", "cat", "on", "sand"]
    assert calm["words"][1]["share"] == "1.000" and calm["words"][3]["against"]
    assert len({w["map"] for w in calm["words"]}) == 4 and calm["words"][0]["map"] != calm["map"]
    assert calm["place"] == "left:8.3333%;top:8.3333%;width:83.333%;height:83.333%"
    colours = pixels(flagged["map"])[..., :3]
    assert np.allclose(colours.min(2), colours.max(2), atol=0.03)
    text = rendered(wide, "picture", 1)
    assert text.count("This pair does not match.") == 1
    (score,) = picture(small, 1)["sentences"][0]["scores"]
    assert score["verdict"] == "better than its control" and score["better"] == "lower"
    assert (score["value"], score["control"], score["n"]) == ("0.2 [0.1, 0.3]", "0.5 [0.4, 0.6]", "16")  # fmt: skip # noqa: E501


def test_a_word_without_a_map_of_its_own_shows_that_of_the_sentence(small):
    word = next(t for t in Tags(rendered(small, "picture", 1)).of("span") if t.get("data-say"))
    assert "data-map" not in word and "that of the whole sentence" in (word["data-say"] or "")
    assert word["role"] == "button" and word["tabindex"] == "0"


def test_units_that_a_study_weighed_behind_a_map_are_listed(tmp_path):
    atlas, _, units = atlas_of(tmp_path / "a")
    seen, study = picture_of(atlas), study_of(atlas)
    rows = [{"unit": units[1], "name": "cat", "nats": 3.0, "chance": 1.0, "excess": 2.0, "low": 1.5,
             "high": 2.5}, {"unit": 999, "nats": 1.0, "excess": 0.1, "low": -0.2, "high": 0.4}]  # fmt: skip # noqa: E501
    with atlas, Writer(atlas, study) as writer:
        writer.add(ExplanationEntry("x", "t", "by", None, seen, None, (), (),
                                    {"sentence": "a cat", "behind": rows}))  # fmt: skip
        writer.flush()
        (said,) = picture(atlas, seen)["sentences"]
        text = rendered(atlas, "picture", seen)
    assert [(b["id"], b["name"], b["nats"], b["chance"], b["above"], b["apart"]) for b in said["behind"]] == [  # fmt: skip # noqa: E501
        (units[1], "cat", "3", "1", "2 [1.5, 2.5]", True),
        (None, "unit 999", "1", "–", "0.1 [−0.2, 0.4]", False),
    ]  # fmt: skip
    assert "Units behind this map" in text and text.count("above chance") == 1


def test_readings_without_a_grid_or_a_unit_still_speak(tmp_path):
    atlas, group, _ = atlas_of(tmp_path / "a")
    seen = picture_of(atlas)
    with atlas:
        read(atlas, seen, group, [[99], [1], [1]], [[2.0], [1.0], [1.0]], grid=[2, 2])
        one = picture(atlas, seen)["sets"][0]
        text = rendered(atlas, "picture", seen)
    assert one["codes"] is None and [u["name"] for u in one["units"]] == ["unit 99", "cat"]
    assert "data-codes" not in text and "<button" not in text.split("reading")[1]
    assert '<span class="what">unit 99<' in text


@pytest.mark.parametrize("frame", [[0, 0, 0, 0], [10, 10, 5, 5]])
def test_a_frame_that_makes_no_sense_is_the_whole_picture(tmp_path, frame):
    atlas, group, _ = atlas_of(tmp_path / "a")
    seen = picture_of(atlas)
    with atlas:
        read(atlas, seen, group, [[1]], [[1.0]], frame=frame)
        one = picture(atlas, seen)["sets"][0]
    assert one["place"] == "left:0%;top:0%;width:100%;height:100%"


def test_a_picture_where_nothing_is_on(tmp_path):
    atlas, group, _ = atlas_of(tmp_path / "a")
    seen, bare = picture_of(atlas, 0), picture_of(atlas, 1)
    with atlas:
        read(atlas, seen, group, [[1]] * 4, [[0.0]] * 4, flow=[0.0] * 4)
        assert "No unit of this set is on." in rendered(atlas, "picture", seen)
        assert "Nothing is known of this picture yet." in rendered(atlas, "picture", bare)


def test_damaged_tensors_are_said_and_the_rest_is_shown(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        for shard in (tmp_path / "a" / "tensors").rglob("*.safetensors"):
            shard.write_bytes(shard.read_bytes()[:40])
        said = picture(atlas, 1)
        text = rendered(atlas, "picture", 1)
    assert len(said["damaged"]) == 2 and not said["sets"] and said["tops"]
    assert all("is damaged" in why and "`legenda atlas verify`" in why for why in said["damaged"])
    assert text.count("A part is lost.") == 2


def test_values_are_finite_in_json(wide):
    said = json.dumps(picture(wide, 1), allow_nan=False)
    assert not math.isnan(len(said)) and len(said) < 200_000


def test_every_word_has_its_map_on_a_scale_of_its_own():
    maps = {1: torch.tensor([[0.0, 2.0]]), 2: torch.tensor([[0.0, 40.0]])}
    scores = {"words": torch.tensor([1.0, 2.0, 3.0]), "word_maps": maps}
    first, faint, strong = _words(["a", "red", "car"], scores, False, "nats")
    assert (first["map"], first["high"]) == (None, None)
    assert (faint["high"], strong["high"]) == ("2 nats", "40 nats")
    assert faint["map"] == strong["map"], "a faint map is seen as well as a strong one"


def test_maps_of_words_go_by_their_numbers():
    arrays = {"word_maps": torch.rand(2, 3, 3)}
    found = _of_words({"mapped": [4, 0]}, arrays)["word_maps"]
    assert list(found) == [4, 0] and torch.equal(found[0], arrays["word_maps"][1])
    assert list(_of_words({}, arrays)["word_maps"]) == [0, 1]
    assert _of_words({}, {"map": 1}) == {"map": 1}
