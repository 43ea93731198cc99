"""Plain values in words: what belongs together, and how many digits are said."""

import pytest

from legenda.show.views.facts import LABELS, facts, rounded, told
from legenda.show.views.tables import intervals, place


def test_facts_are_words():
    held = {"a": True, "b": None, "c": 0.1 + 0.2, "d": [1, "ü"], "e": "x" * 500, "is_so": 1234}
    assert facts(held, 10) == [
        ("a", "yes"), ("b", "–"), ("c", "0.3"), ("d", "1, ü"), ("e", "x" * 9 + "…"),
        ("is so", "1,234"),
    ]  # fmt: skip


def test_what_belongs_to_a_value_stands_with_it():
    held = {"images": 0.654, "images_high": 0.6685875265262282, "images_low": 0.6391169649358863,
            "images_n": 4000, "fires": 40765, "right": 0.97, "right_n": 360, "odd_low": 3,
            "asked": "cnn", "asked_n": 2, "held out": 0.6875, "held_out_n": 240}  # fmt: skip
    assert facts(held, labels={}) == [
        ("images", "0.654 (95 %: 0.639 to 0.669), n = 4,000"), ("fires", "40,765"),
        ("right", "0.97, n = 360"), ("odd low", "3"), ("asked", "cnn"), ("asked n", "2"),
        ("held out", "0.688, n = 240"),
    ]  # fmt: skip
    assert dict(facts(held))[LABELS["images"]].startswith("0.654")


def test_a_value_has_its_control():
    held = {"control": 0.1, "control_high": 0.2, "control_low": 0.0, "high": 0.6, "low": 0.4,
            "n": 24, "value": 0.5}  # fmt: skip
    assert facts(held) == [
        ("value", "0.5 (95 %: 0.4 to 0.6), n = 24; by chance 0.1 (95 %: 0 to 0.2)")
    ]


def test_settings_keep_their_names_and_digits():
    held = {"rows_n": 576000, "rows": 3.0, "alpha": 0.050000000000000044, "lr": 0.123456789}
    assert facts(held, exact=True) == [
        ("rows_n", "576000"), ("rows", "3"), ("alpha", "0.05"), ("lr", "0.123456789"),
    ]  # fmt: skip
    nested = {"deep": {"rate": 0.12345678901234, "names": ["a", 1 / 3]}}
    assert facts(nested, exact=True) == [
        ("deep", '{"rate": 0.1234567890, "names": ["a", 0.3333333333]}'.replace("890", "89"))
    ]
    assert facts(nested) == [("deep", '{"rate": 0.123, "names": ["a", 0.333]}')]


@pytest.mark.parametrize(
    "value, want",
    [([], "none"), ([0.98522, "a", True], "0.985, a, yes"), ([[1, 2]], "[[1, 2]]"),
     (-1234, "-1,234"), (0.98525301, "0.985"), ("x", "x")],
)  # fmt: skip
def test_a_value_in_a_line(value, want):
    assert told(value) == want


def test_digits_are_cut_wherever_they_are():
    assert rounded({"a": [0.123456, {"b": 2.0 / 3}], "c": "0.123456", "d": 12345}, 3) == {
        "a": [0.123, {"b": 0.667}], "c": "0.123456", "d": 12345,
    }  # fmt: skip


def test_intervals_find_their_columns():
    assert intervals([{"nats": 1, "low": 0, "high": 2, "slope": 1, "slope_low": 0, "slope_high": 2,
                       "odd_low": 1}]) == {
        "nats": ("low", "high"), "slope": ("slope_low", "slope_high"),
    }  # fmt: skip
    assert intervals([{"odd": 1, "low": 0, "high": 1}]) == {}
    assert intervals([{"value": 1, "nats": 2, "low": 0, "high": 1}]) == {"value": ("low", "high")}


def test_columns_stand_names_first_and_n_last():
    mixed = ["n", "control", "slope", "after", "unit", "nats by lot", "before", "nats", "name"]
    assert sorted(mixed, key=place) == [
        "unit", "name", "nats", "before", "after", "nats by lot", "slope", "control", "n",
    ]  # fmt: skip
