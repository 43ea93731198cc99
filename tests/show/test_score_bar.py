"""A score beside its control: where it is drawn, and the sentence."""
# ruff: noqa: E501

import pytest

from legenda.core.explanation import Score
from legenda.show.score_bar import WIDTH, between, said, score_bar, verdict


def row(value=0.8, low=0.6, high=0.9, control=0.1, ends=(0.0, 0.2), better=True, n=20, unit=""):
    return {
        "name": "name_check", "value": value, "low": low, "high": high, "n": n, "unit": unit,
        "higher_is_better": int(better), "control": control,
        "control_low": ends[0] if ends else None, "control_high": ends[1] if ends else None,
    }  # fmt: skip


def test_places_keep_the_order_of_values():
    made = score_bar(row())
    places = [made[k] for k in ("control_low", "control", "control_high", "low", "at", "high")]
    assert places == sorted(places) and len(set(places)) == 6
    assert 0 <= places[0] and places[-1] <= WIDTH
    # 0 and 1 are on the line, with 8 % beyond each
    assert made["at"] == round(WIDTH * (0.8 + 0.08) / 1.16, 1)


def test_what_lies_outside_of_zero_and_one_is_on_the_line():
    made = score_bar(row(value=-3.0, low=-4.0, high=7.0))
    assert made["low"] < made["at"] < made["control"] < made["high"] <= WIDTH and made["low"] >= 0


def test_the_sentence():
    assert said(row()) == "0.8 (95 %: 0.6 to 0.9), n = 20; by chance 0.1 (95 %: 0 to 0.2)"
    assert said(row(control=None, ends=None, n=1, unit="nats")) == (
        "0.8 (95 %: 0.6 to 0.9) nats; it has no control"
    )
    assert said(row(value=None, low=None, high=None)) == "–, n = 20; by chance 0.1 (95 %: 0 to 0.2)"
    assert between(None, 1.0) == "" and between(-1.0, 1.0) == " (95 %: −1 to 1)"
    assert score_bar(row())["name"] == "name check"


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("low,high", [(0.3, 0.5), (0.5, 0.9), (0.0, 0.1), (0.05, 0.95)])
def test_the_verdict_is_that_of_the_score(low, high, better):
    given = row((low + high) / 2, low, high, 0.2, (0.15, 0.25), better)
    twin = Score("x", given["value"], (low, high), 20, better, 0.2, (0.15, 0.25))
    assert (verdict(given) == "better than chance") == bool(twin.beats_control)
    mirrored = Score("x", given["value"], (low, high), 20, not better, 0.2, (0.15, 0.25))
    assert (verdict(given) == "worse than chance") == bool(mirrored.beats_control)


def test_without_intervals_values_are_compared_and_without_a_control_nothing_is():
    assert verdict(row(low=None, high=None, ends=None)) == "better than chance"
    assert verdict(row(control=None, ends=None)) == ""
    assert verdict(row(value=None, low=None, high=None)) == ""
    assert score_bar(row(control=None, ends=None))["control_low"] is None
