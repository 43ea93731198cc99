import itertools
import json
import math

import pytest

from legenda.atlas.entries import ExplanationEntry, ModelEntry, Said, SetEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_exemplars, put_model, put_set, put_units
from legenda.atlas.writer import Writer
from legenda.core.interval import wilson
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views import sides
from legenda.show.views.compare import compare
from legenda.show.views.named import ranged
from legenda.show.views.sides import Held, Side, agreement, change, moved, section, states
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags
from tests.show.two_worlds import atlas_of, picture_of, study_of


def held(name="cat", state="named", certainty=0.5, number=1):
    return Held(number, f"concept {number}", name, state, certainty, None, None)


def rendered(*atlases):
    said = compare(*atlases)
    json.dumps(said, allow_nan=False)
    return said, body("compare", said, ReportLinks())


def test_an_atlas_is_the_same_as_itself(tmp_path):
    with Atlas(made(tmp_path / "a")) as one, Atlas(made(tmp_path / "b")) as two:
        said, text = rendered(one, two)
    assert [p["title"] for p in said["pairs"]] == ["latents of zoo:vae", "matryoshka of zoo:scenes", "codebook of zoo:vae"]  # fmt: skip # noqa: E501
    assert all(not p["changes"] for p in said["pairs"]) and text.count("Nothing changed.") == 3
    concepts = said["pairs"][1]
    assert concepts["same"] == ranged(1.0, *wilson(5, 5)) and concepts["chance"] == "0.2"
    assert concepts["moved"] == "0 [0, 0]" and concepts["matched"] == "6"


def test_what_changed_is_listed_names_first(tmp_path):
    words = ("a", "b", "c", "d", "e")
    one = atlas_of(tmp_path / "one.atlas", words)[0]
    two = atlas_of(
        tmp_path / "two.atlas", ("a", "B ", "x", "", "e", "f"), states={0: "inactive"},
        certainties={1: 0.9, 4: 0.55}, digest="ff" * 16,
    )[0]  # fmt: skip
    with one, two:
        said, text = rendered(one, two)
    (pair,) = said["pairs"]
    assert said["names"] == pair["sides"] == ["one", "two"]
    assert [(c["label"], c["what"]) for c in pair["changes"]] == [
        ("concept 3", ["name", "state"]), ("concept 2", ["name"]), ("concept 0", ["state"]),
        ("concept 1", ["certainty"]),
    ]  # fmt: skip
    assert pair["counts"] == [("name", 2), ("state", 2), ("certainty", 1)]
    assert pair["matched"] == "5" and pair["only"] == ["0", "1"]
    assert pair["same"] == ranged(0.75, *wilson(3, 4)) and pair["same_n"] == "4"
    assert "no name" in text and "0 only on the first, 1 only on the second" in text


def test_chance_is_the_mean_over_all_dealings_of_names():
    pairs = [(i, held(a), held(b)) for i, (a, b) in enumerate([("x", "x"), ("x", "y"), ("y", "x"), ("z", "x")])]  # fmt: skip # noqa: E501
    ours, theirs = [a.name for _, a, _ in pairs], [b.name for _, _, b in pairs]
    slow = [
        sum(a == b for a, b in zip(ours, order, strict=True)) / 4
        for order in itertools.permutations(theirs)
    ]
    said = agreement(pairs)
    assert float(said["chance"]) == pytest.approx(sum(slow) / len(slow), abs=1e-3)
    assert said["same"] == ranged(0.25, *wilson(1, 4)) and said["same_n"] == "4"


def test_nothing_named_on_both_sides_has_no_share():
    assert agreement([(0, held(""), held("a"))]) == {"same": "–", "same_n": "0", "chance": "–"}


def test_how_far_certainty_moved_has_its_interval():
    pairs = [(i, held(certainty=0.5), held(certainty=0.5 + g)) for i, g in enumerate((0.1, 0.2, 0.3, 0.0))]  # fmt: skip # noqa: E501
    spread = math.sqrt(sum((g - 0.15) ** 2 for g in (0.1, 0.2, 0.3, 0.0)) / 3 / 4)
    assert moved(pairs) == {"moved": ranged(0.15, 0.15 - 1.96 * spread, 0.15 + 1.96 * spread), "moved_n": "4"}  # fmt: skip # noqa: E501
    assert moved(pairs[:1]) == {"moved": "0.1", "moved_n": "1"}
    assert moved([(0, held(certainty=None), held())]) == {"moved": "–", "moved_n": "0"}


def test_states_are_counted_from_and_to():
    pairs = [(0, held(), held()), (1, held(), held("", "abstained")), (2, held("", "dead"), held())]
    found = states(pairs)
    assert [row["state"] for row in found] == ["named", "abstained", "dead"]
    assert [[c["count"] for c in row["counts"]] for row in found] == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    "a, b, what",
    [(held(), held(" CAT "), None), (held(), held("dog"), ["name"]),
     (held(certainty=0.5), held(certainty=0.59), None),
     (held(certainty=0.5), held(certainty=0.6), ["certainty"]),
     (held(certainty=None), held(certainty=0.05), None),
     (held("", "unread", None), held(), ["name", "state", "certainty"])],
)  # fmt: skip
def test_what_counts_as_a_change(a, b, what):
    found = change(1, a, b)
    assert (found and found["what"]) == what


def test_sets_that_only_one_has_are_said(tmp_path):
    one = atlas_of(tmp_path / "one")[0]
    with one, Atlas(made(tmp_path / "two")) as two:
        said, text = rendered(one, two)
    assert [p["alone"] for p in said["pairs"]] == ["in the first atlas only"] + 3 * [
        "in the second atlas only"
    ]
    assert "30 units, in the first atlas only: there is nothing to compare with." in text


def test_large_sides_are_cut_and_say_so():
    one = Side("a", {i: held(f"n{i}") for i in range(500)}, cut=100_000)
    two = Side("b", {i: held(f"m{i}") for i in range(500)})
    found = section("t", "concept", one, two)
    assert len(found["changes"]) == sides.LISTED and found["changed"] == 500
    assert found["cut"] == f"{sides.READ:,}"
    text = body("compare", {"title": "", "two": True, "names": ["a", "b"], "pairs": [found]}, ReportLinks())  # fmt: skip # noqa: E501
    assert "Of each side the first 100,000 units were read." in text
    assert "The first 200 of 500" in text


def spoken(atlas, study, units, words):
    with Writer(atlas, study) as writer:
        for unit, word in zip(units, words, strict=True):
            writer.add(ExplanationEntry(f"{study} {unit}", f"unit {unit}", "by", unit, None, None,
                                        (Said(word, "v", .5), Said("second", "v", .4))))  # fmt: skip # noqa: E501


def test_two_studies_of_the_same_units_inside_one_atlas(tmp_path):
    atlas, _, units = atlas_of(tmp_path / "a", ("a", "b", "c"))
    with atlas:
        spoken(atlas, study_of(atlas, "first study"), units, ("a", "b", "c"))
        spoken(atlas, study_of(atlas, "second study"), units, ("a", "x", ""))
        said, text = rendered(atlas)
    (pair,) = said["pairs"]
    assert pair["title"] == "first study and second study" and pair["kind"] == "study"
    assert [c["what"] for c in pair["changes"]] == [["name", "state"], ["name"]]
    assert pair["sides"] == ["first study", "second study"] and "first study ↓" in text


def test_two_sets_are_matched_by_name_and_judged_by_their_pictures(tmp_path):
    atlas, _, units = atlas_of(tmp_path / "a", ("cat", "dog", "car"))
    with atlas:
        model = put_model(atlas, ModelEntry("zoo:other", "other"))
        group = put_set(atlas, SetEntry(model, "sae", "concept", 3))
        others = put_units(atlas, [UnitEntry(group, i, f"c {i}", "named", w, "", c)
                                   for i, (w, c) in enumerate([("Dog", .9), ("sun", .5), ("cat", .2), ("cat", .8)])])  # noqa: E501 # fmt: skip
        seen = [picture_of(atlas, i) for i in range(8)]
        for unit, start in ((units[0], 0), (units[1], 4), (others[3], 0), (others[0], 4)):
            put_exemplars(atlas, unit, [(seen[start + k], 1.0) for k in range(4)])
        said, text = rendered(atlas)
    (pair,) = said["pairs"]
    one = pair["by_name"]
    assert one["shared"] == "2" and one["sizes"] == ["3", "3"]
    assert [n["name"] for n in one["names"]] == ["cat", "dog"]
    assert one["names"][0]["ids"] == [units[0], others[3]]
    assert (one["overlap"], one["chance"], one["overlap_n"]) == ("1", "0", "2")
    assert "Of the top pictures of two units of one name 1 are the same" in text


def test_one_atlas_with_nothing_to_compare_says_how(tmp_path):
    with atlas_of(tmp_path / "a")[0] as atlas:
        said, text = rendered(atlas)
    assert not said["pairs"] and "legenda report A --against B" in text


def test_hostile_names_are_only_text(tmp_path):
    one = atlas_of(tmp_path / "one", (HOSTILE, "b"))[0]
    two = atlas_of(tmp_path / "two", ("a", HOSTILE * 99))[0]
    with one, two:
        text = rendered(one, two)[1]
    tags = Tags(text)
    assert not tags.of("script") and not any("onerror" in a for _, a in tags.found)
    assert "\u202e" not in text and len(text) < 8000


def test_more_units_than_are_read_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("legenda.show.views.compare.READ", 3)
    one, two = (atlas_of(tmp_path / name, tuple("abcde"))[0] for name in ("one", "two"))
    with one, two:
        (pair,) = compare(one, two)["pairs"]
        assert pair["matched"] == "3" and pair["cut"] == "3"
