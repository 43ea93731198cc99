import json

import pytest

from legenda.atlas.entries import ExplanationEntry, SetEntry, UnitEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result, put_set, put_units
from legenda.atlas.writer import Writer
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views.curves import CHARTS, curves
from legenda.show.views.findings import findings
from legenda.show.views.named import judged, probable
from legenda.show.views.tables import said
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags
from tests.show.two_worlds import atlas_of, picture_of, study_of


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
    (audit,) = held["audits"]
    (one,) = audit["findings"]
    assert one["effect"] == "0.6 (95 %: 0.4 to 0.7)" and one["flagged"] and one["unit"]["name"] == "red ground"  # fmt: skip # noqa: E501
    assert (one["p"], one["corrected"], one["n"]) == ("=\xa0.001", "=\xa0.01", "100")
    assert "Asked: which tokens went with a class; groups: cats and dogs." in text
    assert "1 found, 1 flagged, by The concepts of zoo:scenes." in text
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
    (audit,) = held["audits"]
    assert [f["text"] for f in audit["findings"]][::50] == [
        "flagged sure, strong", "flagged sure", "flagged weak", "calm sure",
    ]  # fmt: skip
    rest = text.index("<summary>190 more, less sure than these</summary>")
    assert text[:rest].count('class="flagged"') == 10, "ten can be read without asking for more"
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
    (nats,), (edit,) = held["others"], held["edits"]
    assert [c["name"] for c in nats["tables"][0]["columns"]] == ["unit", "token", "nats", "low", "ok"]  # fmt: skip # noqa: E501
    row = nats["tables"][0]["rows"][1]
    assert [c["say"] for c in row] == ["animal", "1", "1.5", "0.1", "yes"]
    assert [c["of"] for c in row] == [1, None, None, None, None]
    assert '<a href="#unit/1">animal</a>' in text
    assert nats["facts"] == [("agreement", "0.7"), ("n", "12")]
    assert "50 more rows" in text and "10 more rows are in the atlas" in text
    assert ("cells of the picture", "6, 6") in edit["facts"]
    assert not Tags(text).of("script") and "base64" not in text


def test_whatever_else_a_study_found_is_shown(bare):
    put_result(bare, study_of(bare), "disentanglement", "d", "Factors", {
        "mig": 0.4, "pairs": [{"picture": 3, "sentence": "a cat", "unit": 2}]})  # fmt: skip
    held, text = rendered(findings, bare)
    (one,) = held["others"]
    assert one["kind"] == "disentanglement" and one["facts"] == [("mig", "0.4")]
    assert [c["name"] for c in one["tables"][0]["columns"]] == ["unit", "sentence", "picture"]
    assert '<a href="#unit/2">cat</a>' in text and '<a href="#picture/3">picture 3</a>' in text


@pytest.mark.parametrize(
    "p, want",
    [(4.6e-13, "<\xa0.0001"), (0.00012, "=\xa0.00012"), (0.0123, "=\xa0.012"), (0.5, "=\xa0.5"),
     (1.0, "=\xa01"), (0.0, "<\xa0.0001"), (None, "unknown")],
)  # fmt: skip
def test_a_p_is_as_long_as_it_says_something(p, want):
    assert probable(p) == want


def test_an_edit_shows_its_pictures_and_its_judges(bare):
    seen = [picture_of(bare, i, caption=f"a ring, {i}") for i in range(3)]
    judges = [{"judge": "cnn", "class": "ring", "before": 0.98, "after": 0.0007, "control": 0.012,
               "control_low": 0.008, "control_high": 0.019, "n": 16}]  # fmt: skip
    put_result(bare, study_of(bare), "edit", "e", "Toward house", {
        "edit": "toward house", "of": "a ring", "picture": seen[0], "before": seen[1],
        "after": seen[2], "cells": 100, "controlled": "fillings by the prior", "judges": judges,
        "changed outside": 0.25, "settings": {"seed": "0", "method": HOSTILE},
        "optimised": {"by": "cnn", "before": 2.9e-9, "after": 0.987654}})  # fmt: skip
    held, text = rendered(findings, bare)
    (one,) = held["edits"]
    assert [(p["id"], p["what"]) for p in one["pictures"]] == [
        (seen[0], "as it was"), (seen[1], "the same, decoded"), (seen[2], "after the edit"),
    ]  # fmt: skip
    images = [i for i in Tags(text).of("img") if i["alt"]]
    assert [i["alt"] for i in images] == [
        "as it was: a ring, 0", "the same, decoded: a ring, 1", "after the edit: a ring, 2",
    ]  # fmt: skip
    assert [i["data-picture"] for i in images] == [f"picture/{i}" for i in seen]
    (table,) = one["tables"]
    assert [c["name"] for c in table["columns"]] == [
        "judge", "class", "before", "after", "control", "n",
    ]  # fmt: skip
    assert [c["say"] for c in table["rows"][0]] == [
        "cnn", "ring", "0.98", "0.0007", "0.012 [0.008, 0.019]", "16",
    ]  # fmt: skip
    assert ("cells that were edited", "100") in one["facts"]
    assert ("share of the others that changed", "0.25") in one["facts"]
    assert not {"picture", "before", "after"} & {k for k, _ in one["facts"]}
    assert "It was made to convince cnn, whose answer went from less than 0.0001 to 0.988." in text
    assert "Control: fillings by the prior" in text and not Tags(text).of("script")


def test_a_live_edit_names_its_pictures_in_another_way(bare):
    seen = [picture_of(bare, i) for i in range(2)]
    rows = [{"sentence": "a cat", "before": 0.1, "after": 0.4, "random": [0.05, 0.15], "low": 0.05,
             "high": 0.15, "change": 0.3, "beyond": True}]  # fmt: skip
    put_result(bare, study_of(bare), "edit", "e", "cat +1", {
        "edit": "cat +1", "before": {"picture": seen[0]}, "after": {"picture": 999},
        "steered": rows, "control": {"n": 8, "by": "changes by lot"}})  # fmt: skip
    (one,) = rendered(findings, bare)[0]["edits"]
    assert [(p["id"], p["what"]) for p in one["pictures"]] == [(seen[0], "before")]
    named = [c["name"] for c in one["tables"][0]["columns"]]
    assert named == ["sentence", "change", "before", "after", "beyond", "by lot"]
    assert one["tables"][0]["rows"][0][5]["say"] == "[0.05, 0.15]"
    assert one["controlled"] == "changes by lot"


def test_a_latent_of_a_table_leads_to_its_own_unit(bare):
    """The number of a latent in its set is not the number of a unit in the atlas."""
    group = put_set(bare, SetEntry(1, "latents", "latent", 3))
    ids = put_units(bare, [UnitEntry(group, i, f"latent {i}", "named" if i == 1 else "unread",
                                     "size" if i == 1 else "") for i in range(3)])  # fmt: skip
    study = study_of(bare)
    rows = [{"factor": "size", "latent": 1, "nats": 0.72, "gap": 0.3}, {"factor": "x", "latent": 2},
            {"factor": "y", "latent": 77}]  # fmt: skip
    whole = [{"name": "mutual information gap", "value": 0.248, "low": 0.244, "high": 0.253,
              "n": 2000, "control": 0.001, "control_low": -0.002, "control_high": 0.004}]  # fmt: skip # noqa: E501
    content = {"factors": rows, "table": whole, "world": "colour"}
    put_result(bare, study, "disentanglement", "factors", "Factors", content)
    with Writer(bare, study) as writer:
        for unit in ids:
            writer.add(ExplanationEntry(f"x {unit}", "t", "by", unit))
    held, text = rendered(findings, bare)
    summary, factors = held["others"][0]["tables"]
    assert [c["say"] for c in summary["rows"][0]] == [
        "mutual information gap", "0.248 [0.244, 0.253]", "0.001 [−0.002, 0.004]", "2,000",
    ]  # fmt: skip
    assert [c["name"] for c in factors["columns"]] == ["factor", "latent", "nats", "gap"]
    assert [(r[1]["say"], r[1]["of"]) for r in factors["rows"]] == [
        ("size (latent 1)", ids[1]), ("latent 2", ids[2]), ("77", None),
    ]  # fmt: skip
    assert f'<a href="#unit/{ids[1]}">size (latent 1)</a>' in text


def test_tables_of_the_union_read_well(bare):
    """What `union_nats_atlas`, `union_together` and `union_behind_atlas` write."""
    study = study_of(bare)
    row = {"token": 3, "nats": 2.0, "low": 1.5, "high": 2.5, "nats by lot": 0.5, "slope": 0.01,
           "slope by lot": 0.002, "rank by slope": 4, "slope_low": 0.005, "slope_high": 0.02,
           "pictures": 7, "unit": 2}  # fmt: skip
    agree = [{"measure": "tokens agree", "value": 0.8, "low": 0.7, "high": 0.9, "control": 0.0,
              "control_low": -0.1, "control_high": 0.1, "n": 40}]  # fmt: skip
    put_result(bare, study, "importance", "i", "Nats", {
        "question": "do they agree", "tokens": [row], "agreement": agree, "compared": 40})  # fmt: skip # noqa: E501
    pair = {"one": 0, "other": 99, "lift": 3.0, "low": 2.0, "high": 4.0, "n": 12}
    put_result(bare, study, "together", "t", "Together", {
        "pairs": [pair], "control": 1.5, "control_low": 1.2, "control_high": 1.8,
        "pairs asked": 4000})  # fmt: skip
    first = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 24, "control": 0.1, "control_low": None,
             "control_high": None, "question": "is the first named", "pairs": [
                 {"picture": 1, "sentence": "a cat", "unit": 2, "name": "cat", "nats": 3.0,
                  "chance": 1.0, "excess": 2.0, "low": 1.5, "high": 2.5}]}  # fmt: skip
    put_result(bare, study, "importance", "b", "Behind", first)
    nats, together, behind = rendered(findings, bare)[0]["others"]
    agreement, tokens = nats["tables"]
    assert nats["question"] == "do they agree" and agreement["name"] == "agreement"
    assert [(c["name"], c["number"]) for c in tokens["columns"]] == [
        ("unit", False), ("token", False), ("nats", True), ("nats by lot", True),
        ("rank by slope", True), ("slope", True), ("slope by lot", True), ("pictures", True),
    ]  # fmt: skip
    assert [c["say"] for c in tokens["rows"][0]] == [
        "cat", "3", "2 [1.5, 2.5]", "0.5", "4", "0.01 [0.005, 0.02]", "0.002", "7",
    ]  # fmt: skip
    assert [c["say"] for c in together["tables"][0]["rows"][0]] == ["0", "99", "3 [2, 4]", "12"]
    assert together["facts"] == [("control", "1.5 (95 %: 1.2 to 1.8)"), ("pairs asked", "4,000")]
    assert behind["facts"] == [("value", "0.5 (95 %: 0.4 to 0.6), n = 24; by chance 0.1")]
    assert [c["name"] for c in behind["tables"][0]["columns"]] == [
        "unit", "name", "sentence", "picture", "nats", "excess", "chance",
    ]  # fmt: skip
    said = [c["say"] for c in behind["tables"][0]["rows"][0]]
    assert said == ["cat", "cat", "a cat", "picture 1", "3", "2 [1.5, 2.5]", "1"]


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
