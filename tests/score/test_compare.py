import pytest

from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.score.compare import best, difference, differences, row, rows
from tests.score.toys import noise

HARD = noise(1, 200, 3)[0] * 10  # what pairs differ in, whatever the method
OURS, THEIRS = HARD + 0.1 * noise(1, 200, 4)[0], HARD + 0.1 * noise(1, 200, 5)[0] + 0.05


def test_a_small_sure_difference_is_found_pair_by_pair():
    found = difference("a", OURS, "b", THEIRS)
    assert found.value == pytest.approx(float((OURS - THEIRS).mean()), rel=1e-4)
    assert found.better == "b" and found.n == 200 and found.won < 0.5
    assert found.interval[0] <= found.value <= found.interval[1] < 0


def test_lower_is_better_turns_the_sign():
    one = difference("a", OURS, "b", THEIRS)
    other = difference("a", OURS, "b", THEIRS, higher_is_better=False)
    assert other.value == -one.value and other.better == "a"
    assert one.won + other.won == pytest.approx(1)


def test_the_same_method_is_no_better_than_itself():
    found = difference("a", OURS, "a again", OURS)
    assert (found.value, found.won, found.better) == (0.0, 0.5, None)


def test_every_pair_of_methods_is_compared_once():
    found = differences({"a": OURS, "b": THEIRS, "c": HARD})
    assert [(d.first, d.second) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_values_of_other_pairs_are_refused():
    with pytest.raises(ShapeError) as caught:
        raw = getattr(difference, "__wrapped__", difference)
        raw("a", OURS, "b", THEIRS[:5])
    assert str(caught.value) == (
        "a and b must be compared on the same pairs; they have (200,) and (5,) values. "
        "Score both on the same inputs."
    )


def test_rows_say_whether_the_goal_is_met():
    up = Score("pointing", 0.9, (0.8, 1.0), 10, True, 0.1, (0.0, 0.2), "share")
    down = Score("drop", 2.0, (1.0, 3.0), 10, False, 1.0, (0.5, 1.5), "points")
    assert row("m2ib", up, 0.95)["ok"] is False and row("m2ib", up, 0.9)["ok"] is True
    assert row("m2ib", down, 1.0)["ok"] is False and row("m2ib", down, 2.0)["ok"] is True
    assert row("m2ib", up)["ok"] is None and row("m2ib", up)["beats_control"] is True
    table = rows({"m2ib": {"pointing": up, "drop": down}, "random": {"drop": down}})
    assert [line["name"] for line in table] == ["m2ib pointing", "m2ib drop", "random drop"]
    assert table[0]["interval"] == [0.8, 1.0] and table[0]["control"] == 0.1


def test_the_best_follows_the_direction():
    low, high = (Score("drop", v, (v, v), 3, False) for v in (1.0, 2.0))
    assert best({"a": high, "b": low}) == "b"
    with pytest.raises(BadInput) as caught:
        best({})
    assert str(caught.value) == (
        "best compares scores of one measure; it got none, or several measures."
    )
