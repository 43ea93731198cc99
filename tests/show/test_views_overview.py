"""The first page: what an atlas holds, and where to begin."""
# ruff: noqa: E501

import pytest

from legenda.atlas.entries import ExplanationEntry, ModelEntry, SetEntry, StudyEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set, put_study, put_units
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views.overview import BINS, certainty, coverage, doubtful, overview, surest
from tests.atlas.made import made
from tests.show.test_page import Tags


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("overview") / "a")) as held:
        yield held


@pytest.fixture(scope="module")
def said(atlas):
    return overview(atlas)


def test_coverage_counts_every_unit_once(atlas, said):
    known = {
        row[0]: row[1] for row in atlas.all("SELECT state, count(*) FROM units GROUP BY state")
    }
    assert {one["state"]: one["count"] for one in said["coverage"]} == known
    assert sum(one["share"] for one in said["coverage"]) == pytest.approx(1)
    assert [one["state"] for one in said["coverage"]] == [
        "named",
        "abstained",
        "inactive",
        "dead",
        "unread",
    ]
    assert coverage({}) == [] and said["units"] == 11 and said["pictures"] == 6


def test_certainty_is_counted_as_it_would_be_by_hand(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        place = put_set(atlas, SetEntry(put_model(atlas, ModelEntry("m", "m")), "d", "latent", 9))
        values = [0.0, 0.049, 0.05, 0.5, 0.999, 1.0, 1.0, 0.3]
        put_units(
            atlas, [UnitEntry(place, i, "u", "named", "n", "", v) for i, v in enumerate(values)]
        )
        put_units(
            atlas,
            [UnitEntry(place, 90, "u", "abstained", "", "w", 0.31), UnitEntry(place, 91, "u")],
        )
        found = certainty(atlas)
    slow = [0] * BINS
    for value in values:
        slow[min(BINS - 1, int(value * BINS))] += 1
    assert found["counts"]["named"] == slow and slow[-1] == 3 and slow[1] == 1
    assert (
        found["n"] == {"named": len(values), "abstained": 1}
        and found["counts"]["abstained"][6] == 1
    )


def test_where_to_begin(said):
    sure = [one["certainty"] for one in said["surest"]]
    assert (
        sure == sorted(sure, reverse=True) and said["surest"][0]["name"] == "size, small to large"
    )
    assert [(one["a"], one["b"], one["low"], one["control"]) for one in said["surprising"]] == [
        ("cat", "fur", 1.9, 1.0)
    ]
    assert said["surprising"][0]["measure"] == "lift"
    assert said["findings"][0]["text"] == "token 0 is on in 0.8 of cats and 0.2 of dogs"
    assert said["doubtful"] == [], "every score here is clear of its control"


@pytest.mark.parametrize("better", [True, False])
def test_a_sure_name_that_does_no_better_than_chance_is_doubted(tmp_path, better):
    with Atlas(tmp_path / "a", write=True) as atlas:
        place = put_set(atlas, SetEntry(put_model(atlas, ModelEntry("m", "m")), "d", "latent", 3))
        ids = put_units(atlas, [UnitEntry(place, i, f"u{i}", "named", f"n{i}", "", .9) for i in range(3)])  # noqa: E501 # fmt: skip
        ends = {"good": (0.6, 0.8), "poor": (0.2, 0.4), "none": (0.2, 0.4)}
        with Writer(atlas, put_study(atlas, StudyEntry("k", "t", {}))) as writer:
            for unit, (name, (low, high)) in zip(ids, ends.items(), strict=True):
                value, chance = (low, high), (0.3, 0.5)
                if not better:
                    value, chance = (1 - high, 1 - low), (0.5, 0.7)
                control = None if name == "none" else 0.4
                score = Score("check", 0.5, value, 9, better, control, chance if control else None)
                writer.add(ExplanationEntry(name, name, "by", unit, scores=(score,)))
        assert doubtful(atlas) == [ids[1]]
        assert surest(atlas, 2) == [ids[0], ids[2]]


def test_the_surest_names_are_of_several_dictionaries_and_each_is_shown_once(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        model = put_model(atlas, ModelEntry("m", "m"))
        one, other = (put_set(atlas, SetEntry(model, name, "latent", 6)) for name in "de")
        same = [UnitEntry(one, i, f"u{i}", "named", "size", "", 0.9) for i in range(6)]
        apart = [UnitEntry(one, 6 + i, f"v{i}", "named", f"n{i}", "", 0.8) for i in range(6)]
        few = [UnitEntry(other, i, f"w{i}", "named", f"m{i}", "", 0.5 - i / 10) for i in range(3)]
        ids = put_units(atlas, [*same, *apart, *few])
        assert surest(atlas, 4) == [ids[0], *ids[6:8], ids[12]], "a name twice, or one set alone"
        assert surest(atlas, 15) == ids, "where all are shown, the surest come first"


def test_studies_say_how_they_are_run_again_and_what_failed(said):
    first, second = said["studies"]
    assert (first["title"], first["command"]) == (
        "The latents of zoo:vae",
        "legenda latents zoo:vae",
    )
    assert ("rows", "24") in first["settings"] and ("torch", "2.13") in first["provenance"]
    assert (first["explanations"], first["failed"], first["seconds"]) == (2, 0, 4.0)
    assert second["failures"] == [
        {"target": "picture 99", "reason": "picture 99 cannot be read: it is cut off.", "tries": 1}
    ]


def test_the_page_shows_all_of_it(said):
    text = body("overview", said, ReportLinks())
    tags = Tags(text)
    assert len(tags.of("h1")) == 1 and all(one.get("alt") for one in tags.of("img"))
    for words in ("zoo:vae", "matryoshka", "a model of squares", "CC0", "legenda fit zoo:scenes",
                  "picture 99 cannot be read: it is cut off.", "(63.6 %)"):  # fmt: skip
        assert words in text, words
    assert "#units?set=2" in text and "#unit/10" in text


def test_an_empty_atlas_says_what_fills_it(tmp_path):
    with Atlas(tmp_path / "new.atlas", write=True) as atlas:
        text = body("overview", overview(atlas), ReportLinks())
    assert "<h1>new</h1>" in text and "legenda run study.toml" in text
    assert "Models" not in text and "nan" not in text
