import json

import pytest

from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views.curves import CHARTS, curves
from legenda.show.views.findings import findings, said
from legenda.show.views.named import judged
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags
from tests.show.two_worlds import atlas_of, study_of


def rendered(view, atlas):
    held = view(atlas)
    json.dumps(held, allow_nan=False)
    return held, body(view.__name__, held, ReportLinks())


@pytest.fixture
def small(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        yield atlas


@pytest.fixture
def bare(tmp_path):
    atlas = atlas_of(tmp_path / "bare")[0]
    with atlas:
        yield atlas


@pytest.mark.parametrize(
    "value, ends, control, controls, higher, want",
    [(.3, (.2, .4), .6, (.5, .7), False, "better than its control"),
     (.3, (.2, .4), .6, (.5, .7), True, "worse than its control"),
     (.9, (.8, 1), .6, (.5, .7), True, "better than its control"),
     (.6, (.5, .7), .6, (.5, .7), True, "not clear of its control"),
     (.6, (.5, .7), .4, (.3, .5), True, "not clear of its control"),
     (.6, (None, None), .4, (None, None), True, "better than its control"),
     (.6, (.5, .7), None, (None, None), True, "no control"),
     (None, (None, None), .5, (None, None), True, "no control")],
)  # fmt: skip
def test_a_verdict_looks_at_both_intervals(value, ends, control, controls, higher, want):
    assert judged(value, ends, control, controls, higher) == want


def test_faithfulness_of_the_contract(small):
    held, text = rendered(curves, small)
    (row,) = held["table"]
    assert (row["system"], row["name"], row["what"]) == ("M2IB", "m2ib", "Deletion of patches")
    assert (row["value"], row["control"], row["n"]) == ("0.3 [0.2, 0.4]", "0.6 [0.5, 0.7]", "16")
    assert row["verdict"] == "better than its control" and "raw" not in row
    assert held["charts"][0]["say"] == "lower is better; from The concepts of zoo:scenes"
    assert text.count("<svg") == 2 and text.count("Numbers of this chart") == 2
    assert "lower is better: better than its control" in text


def test_measures_of_different_meaning_share_no_axis(bare):
    study = study_of(bare)
    for key, better in (("deletion", "lower"), ("insertion", "higher")):
        rows = [{"system": s, "name": "m", "value": 0.1 * i, "n": 4} for i, s in enumerate("ab")]
        put_result(bare, study, "faithfulness", key, key, {"better": better, "table": rows})
    held, text = rendered(curves, bare)
    assert len(held["summary"]) == 2 and [r["control"] for r in held["table"]] == ["–"] * 4
    assert "deletion, where lower is better" in text and "insertion, where higher is better" in text
    assert "Curves" not in text and held["table"][0]["verdict"] == "no control"


def test_many_curves_and_rows_are_cut_and_said(bare):
    study = study_of(bare)
    curve = {"name": "c", "x": [0, 1], "y": [0, 1]}
    table = [{"system": f"s{i}", "name": "m", "value": i} for i in range(10)]
    for i in range(30):
        put_result(bare, study, "faithfulness", f"k{i:02}", f"k{i:02}",
                   {"x": "x", "y": "y", "curves": [curve], "table": table})  # fmt: skip
    held, text = rendered(curves, bare)
    assert len(held["charts"]) == CHARTS and "6 more curves are in the atlas." in text
    assert "The first 200 of 300 rows." in text


def test_nothing_measured_is_said(bare):
    assert "No faithfulness has been measured yet." in rendered(curves, bare)[1]
    assert "No audit and no null calibration has been run yet." in rendered(findings, bare)[1]


def test_findings_of_the_contract(small):
    held, text = rendered(findings, small)
    (one,) = held["findings"]
    assert one["effect"] == "0.6 [0.4, 0.7]" and one["flagged"] and one["unit"]["name"] == "red ground"  # fmt: skip # noqa: E501
    assert (one["p"], one["corrected"], one["n"]) == ("0.001", "0.01", "100")
    assert "Proof by edit: without it 0.4 of cats are called dogs." in text
    assert "1 finding of 1 audit; 1 is worth a look." in text and "Look at this." in text
    (null,) = held["nulls"]
    assert null["silent"] == "0.96 [0.9, 0.99]" and null["wanted"] == "0.95"
    assert (null["coverage"], null["threshold"], null["n"]) == ("0.8", "0.3", "100")


def test_flagged_ones_come_first_then_the_surest(bare):
    rows = [{"text": "calm sure", "effect": 0.9, "corrected": 0.001, "flagged": False},
            {"text": "flagged weak", "effect": 0.1, "corrected": 0.04, "flagged": True},
            {"text": "unknown", "effect": 0.1, "flagged": False},
            {"text": "flagged sure", "effect": 0.1, "corrected": 0.01, "flagged": True},
            {"text": "flagged sure, strong", "effect": -0.5, "corrected": 0.01, "flagged": True}]  # fmt: skip # noqa: E501
    put_result(bare, study_of(bare), "audit", "a", "An audit", {"findings": rows * 50})
    held, text = rendered(findings, bare)
    assert [f["text"] for f in held["findings"]][::50] == [
        "flagged sure, strong", "flagged sure", "flagged weak", "calm sure",
    ]  # fmt: skip
    assert "The first 200 of 250" in text and "250 findings of 1 audit; 150 are worth" in text


def test_an_audit_that_found_nothing_is_said(bare):
    put_result(bare, study_of(bare), "audit", "a", "An audit", {"findings": []})
    assert "0 findings of 1 audit; 0 are worth a look." in rendered(findings, bare)[1]


def test_edits_and_importances_are_shown_as_they_are(bare):
    rows = [{"token": i, "nats": 0.5 + i, "low": 0.1, "unit": 1 if i == 1 else 999, "ok": True, "deep": {"a": 1}} for i in range(70)]  # fmt: skip # noqa: E501
    put_result(bare, study_of(bare), "importance", "i", "Nats per token",
               {"agreement": 0.7, "n": 12, "rows": rows, "picture": "data:image/png;base64,xx"})  # fmt: skip # noqa: E501
    put_result(bare, study_of(bare), "edit", "e", HOSTILE, {HOSTILE: HOSTILE, "grid": [6, 6]})
    held, text = rendered(findings, bare)
    nats, edit = held["others"]
    assert nats["tables"][0]["columns"] == ["unit", "token", "low", "nats", "ok"]
    row = nats["tables"][0]["rows"][1]
    assert [c["say"] for c in row] == ["animal", "1", "0.1", "1.5", "yes"]
    assert [c["of"] for c in row] == [1, None, None, None, None]
    assert '<a href="#unit/1">animal</a>' in text
    assert nats["facts"] == [("agreement", "0.7"), ("n", "12")] and "10 more rows" in text
    assert edit["facts"][1] == ("grid", "[6, 6]") or edit["facts"][0] == ("grid", "[6, 6]")
    assert not Tags(text).of("script") and "base64" not in text


def test_whatever_else_a_study_found_is_shown(bare):
    put_result(bare, study_of(bare), "disentanglement", "d", "Factors", {
        "mig": 0.4, "pairs": [{"picture": 3, "sentence": "a cat", "unit": 2}]})  # fmt: skip
    held, text = rendered(findings, bare)
    (one,) = held["others"]
    assert one["kind"] == "disentanglement" and one["facts"] == [("mig", "0.4")]
    assert one["tables"][0]["columns"] == ["unit", "picture", "sentence"]
    assert '<a href="#unit/2">cat</a>' in text and '<a href="#picture/3">picture 3</a>' in text


def test_hostile_results_are_only_text(bare):
    row = {"unit": None, "text": HOSTILE, "proof": HOSTILE, "flagged": True, "effect": 0.1}
    put_result(bare, study_of(bare, HOSTILE), "audit", "a", HOSTILE,
               {"findings": [row], "groups": [HOSTILE, HOSTILE], "question": HOSTILE})  # fmt: skip
    put_result(bare, study_of(bare), "nulls", HOSTILE, HOSTILE, {"kind": HOSTILE})
    curve = {"name": HOSTILE, "x": [0, 1], "y": [0, 1]}
    put_result(bare, study_of(bare), "faithfulness", "f", HOSTILE, {
        "x": HOSTILE, "y": HOSTILE, "curves": [curve],
        "table": [{"system": HOSTILE, "name": HOSTILE, "value": 0.1}]})  # fmt: skip
    text = rendered(findings, bare)[1] + rendered(curves, bare)[1]
    tags = Tags(text)
    assert not tags.of("script") and not any("onerror" in a for _, a in tags.found)
    assert "\u202e" not in text and ">49<" not in text


@pytest.mark.parametrize(
    "value, want",
    [(True, "yes"), (0.12345, "0.123"), (3, "3"), ("data:image/png", ""), ([1, 2.5], "[1, 2.5]"),
     ([], ""), (list(range(20)), ""), ({"a": 1}, ""), (None, ""), (["a", {}], "")],
)  # fmt: skip
def test_plain_values_in_a_line(value, want):
    assert said(value) == want
