import re

import pytest

from legenda.core.answer import Fact
from legenda.core.attribute import ATTRIBUTES
from legenda.describe.measured_words import HUES, colour, numbers, sentence, words_of


def fact(name, start, end, trend, effect):
    return Fact(name, *(float(number) for number in (start, end, trend, effect)))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_number_is_that_of_a_fact(name):
    one = fact(name, 0.21, 1.8, 1.0, 2.0)
    text = sentence([one], 4, 5)
    said = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.removesuffix("in 4 of 5 rows."))]
    close = 0.51 if ATTRIBUTES[name].unit == "degrees" else 0.051
    assert len(said) >= 2 and all(
        min(abs(n - v) for v in (one.start, one.end, one.end - one.start)) <= close for n in said
    )  # fmt: skip
    assert text.endswith("in 4 of 5 rows.") and ATTRIBUTES[name].label in text.lower()


def test_one_row_is_not_counted():
    assert sentence([fact("size", 0.1, 0.3, 1, 2)], 1, 1) == (
        "Size goes from small to large: 0.10 to 0.30 of the picture."
    )


@pytest.mark.parametrize(("start", "end"), [(0.1, 0.3), (0.3, 0.1)])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_ends_swap_with_the_direction(name, start, end):
    there, back = words_of(fact(name, start, end, 1, 1)), words_of(fact(name, end, start, -1, 1))
    assert there == back[::-1] and set(there) == {ATTRIBUTES[name].less, ATTRIBUTES[name].more}
    assert (there[0] == ATTRIBUTES[name].less) == (end > start)


def test_what_moves_as_much_is_mentioned_what_moves_little_is_not():
    lead, much = fact("x", 0.2, 0.8, 1, 4), fact("size", 0.05, 0.2, 0.9, 2)
    assert sentence([lead, much], 2, 2) == (
        "Horizontal position goes from left to right: 0.20 to 0.80 of the width, in 2 of 2 rows. "
        "With it changes size (0.05 to 0.20 of the picture)."
    )
    for other in (fact("size", 0.05, 0.2, 0.9, 1.9), fact("size", 0.05, 0.2, 0.7, 4)):
        assert "With it" not in sentence([lead, other], 2, 2)


def test_two_others_at_most_are_mentioned():
    facts = [fact(name, 0.2, 0.8, 1, 4) for name in ("x", "y", "size", "texture")]
    text = sentence(facts, 1, 1)
    assert "vertical position" in text and "size" in text and "fine detail" not in text


def test_angles_are_told_by_how_far_they_turn():
    text = sentence([fact("orientation", 10, 55, 1, 2)], 3, 3)
    assert text == "Orientation is turned anticlockwise by 45 degrees: 10 to 55 degrees, in 3 of 3 rows."  # fmt: skip # noqa: E501
    assert "is turned clockwise by 45 degrees" in sentence([fact("orientation", 55, 10, -1, 2)], 1, 1)  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (fact("count", 1, 2.4, 1, 1), "1.0 to 2.4 pieces"),
        (fact("stroke", 0.02, 0.0446, 1, 1), "0.020 to 0.045 of the side"),
        (fact("stroke", 0.02, 0.2, 1, 1), "0.02 to 0.20 of the side"),
        (fact("hue", 3.4, 120.6, 1, 1), "3 to 121 degrees"),
    ],
)
def test_digits_suit_the_number(one, text):
    assert numbers(one) == text


def test_hues_have_names_all_around():
    assert [colour(float(h)) for h in (0, 30, 60, 120, 180, 240, 280, 300, 350)] == [
        "red", "orange", "yellow", "green", "cyan", "blue", "violet", "magenta", "red",
    ]  # fmt: skip
    assert all(
        colour(h) == colour(h + 360) == colour(h - 360) for h in map(float, range(0, 360, 7))
    )
    assert colour(HUES[0][0] - 1e-9) == "red" and colour(float(HUES[0][0])) == "orange"
    assert words_of(fact("hue", 120, 240, 1, 1)) == ("green", "blue")
    assert words_of(fact("hue", 100, 150, 1, 1)) == ("turning towards red", "turning away from red")
