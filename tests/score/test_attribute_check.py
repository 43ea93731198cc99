import re

import pytest
import torch

from legenda.core.answer import Answer
from legenda.errors import BadInput
from legenda.score.attribute_check import AttributeCheck, aside
from legenda.score.movement import NAMES, movement, tied
from tests.score.moving_world import COUNT, EVEN, lot_of, said, series
from tests.score.test_movement import slow_beside

CHECK = AttributeCheck(orders=60)
SIZE, STROKE, X = (NAMES.index(name) for name in ("size", "stroke", "x"))


# ------------------------------------------------------------------------ equations


def test_moved_aside_and_monotone_are_equations_1_to_3():
    values = series({"x": -1.5, "size": 0.5}, noise=0.2)
    found = CHECK(said("x", -1), values, EVEN)
    effect, trend = movement(values, EVEN)
    moved, shares, steady = 0.0, [], 0
    for r in range(8):
        moved += -float(effect[r, X]) / 8
        own, others = slow_beside(effect[r].tolist(), X, tied())
        shares.append(sum(others) / (own + sum(others)))
        steady += -float(trend[r, X]) >= 0.8
    assert found.moved.value == pytest.approx(moved)
    assert found.aside.value == pytest.approx(sum(shares) / 8)
    assert found.monotone.value == steady / 8
    assert found.moved.n == found.aside.n == found.monotone.n == 8


def test_the_control_is_both_of_shuffled_rows():
    values = series({"x": 2.0}, rows=4)
    moved, away = AttributeCheck(orders=7, seed=5).chance(values, EVEN, X, 1, tied())
    orders = torch.rand(7, 4, 8, generator=lot_of(5)).argsort(2)
    for o in range(7):
        mixed = torch.stack([values[r][orders[o, r]] for r in range(4)])
        effect = movement(mixed, EVEN).effect
        assert float(moved[o]) == pytest.approx(float(effect[:, X].mean()))
        assert float(away[o]) == pytest.approx(float(aside(effect, X, tied()).mean()))


# ------------------------------------------------------------------------ planted truth


def test_what_moves_as_was_said_holds():
    found = CHECK(said("size"), series({"size": 2.0}), EVEN)
    assert found.holds and found.moved.value == pytest.approx(2.0, abs=0.1)
    assert found.monotone.value == 1 and found.also == ()
    assert found.aside.value < 0.2 and found.aside.beats_control


def test_the_wrong_way_the_wrong_attribute_and_noise_do_not_hold():
    values = series({"size": 2.0})
    assert not CHECK(said("size", -1), values, EVEN).holds
    assert CHECK(said("size", -1), values, EVEN).moved.value == pytest.approx(-2.0, abs=0.1)
    wrong = CHECK(said("x"), values, EVEN)
    assert not wrong.holds and wrong.aside.value > 0.8
    assert wrong.also[0][0] == "size" and wrong.also[0][1] == pytest.approx(2.0, abs=0.1)
    held = [CHECK(said("x"), series(seed=s, noise=1.0), EVEN).holds for s in range(20)]
    assert sum(held) <= 2


def test_shuffled_rows_do_not_hold():
    values, lot = series({"size": 2.0}), lot_of(3)
    mixed = torch.stack([row[torch.randperm(8, generator=lot)] for row in values])
    assert not CHECK(said("size"), mixed, EVEN).holds


def test_rows_that_disagree_do_not_hold():
    values = series({"size": 2.0})
    values[::2] = values[::2].flip(1)
    assert not CHECK(said("size"), values, EVEN).holds


# ------------------------------------------------------------------------ laws


def test_a_second_thing_that_moves_is_aside_unless_it_is_tied():
    alone = CHECK(said("size"), series({"size": 2.0}), EVEN).aside.value
    both = CHECK(said("size"), series({"size": 2.0, "x": 2.0}), EVEN)
    family = CHECK(said("size"), series({"size": 2.0, "stroke": 2.0}), EVEN)
    assert both.aside.interval[0] > 0.4 > family.aside.value
    assert family.aside.value == pytest.approx(alone, abs=0.05) and family.also == ()
    assert both.holds and both.also[0][0] == "x"
    together = torch.randn(40, COUNT, generator=lot_of(0), dtype=torch.float64)
    together[:, X] = together[:, SIZE]
    found = CHECK(said("size"), series({"size": 2.0, "x": 2.0}), EVEN, tied(together))
    assert found.aside.value == pytest.approx(alone, abs=0.05)


def test_two_tied_things_aside_weigh_as_one():
    one = CHECK(said("x"), series({"x": 2.0, "size": 2.0}), EVEN).aside.value
    two = CHECK(said("x"), series({"x": 2.0, "size": 2.0, "stroke": 2.0}), EVEN).aside.value
    three = CHECK(said("x"), series({"x": 2.0, "size": 2.0, "y": 2.0}), EVEN).aside.value
    assert two == pytest.approx(one, abs=0.05) and three > one + 0.1


def test_reversed_rows_turn_moved_round():
    values = series({"y": 1.0})
    one, back = CHECK(said("y"), values, EVEN), CHECK(said("y", -1), values.flip(1), EVEN)
    assert one.moved.value == pytest.approx(back.moved.value)
    assert one.monotone.value == back.monotone.value


def test_without_a_direction_either_will_do_but_all_rows_one_way():
    values = series({"x": -2.0})
    found = CHECK(said("x", 0), values, EVEN)
    assert found.holds and found.moved.value == pytest.approx(2.0, abs=0.1)
    assert found.moved.control > 0, "and so it may for the control"
    values[::2] = values[::2].flip(1)
    assert not CHECK(said("x", 0), values, EVEN).holds


def test_rows_without_the_attribute_are_left_out():
    values = series({"size": 2.0})
    values[5:, :, SIZE] = torch.nan
    values[0, :3, SIZE] = torch.nan
    found = CHECK(said("size"), values, EVEN)
    assert found.moved.n == found.monotone.n == 5 and found.holds
    values[1:, :, SIZE] = torch.nan
    assert not CHECK(said("size"), values, EVEN).holds, "one row settles nothing"
    values[..., SIZE] = torch.nan
    found = CHECK(said("size"), values, EVEN)
    assert found.moved.n == 0 and not found.holds and found.moved.control is None


def test_nothing_that_moves_is_no_share_of_anything():
    found = CHECK(said("size"), series(noise=0.0), EVEN)
    assert not found.holds and found.moved.value == 0
    assert found.aside.n == 0 and found.aside.control is None


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch):
    values = series({"x": 0.3}, noise=0.3)
    one = CHECK(said("x"), values, EVEN)
    assert one == CHECK(said("x"), values, EVEN)
    assert one != AttributeCheck(orders=60, seed=1)(said("x"), values, EVEN)
    assert eval(repr(CHECK)) == CHECK


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CHECK(Answer(abstained="nothing moves"), series(), EVEN),
            "AttributeCheck checks what was named; this answer names nothing (nothing moves). "
            "Leave it out.",
        ),
        (
            lambda: AttributeCheck(steady=0.0),
            "AttributeCheck needs a trend above 0 and up to 1, and two orders or more; it got "
            "steady=0.0 and orders=200.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()


def test_what_is_not_measured_is_refused():
    with pytest.raises(BadInput, match="^'hair length' is not measured. Measured are x, y, size"):
        CHECK(said("hair length"), series(), EVEN)
