import pytest
import torch

from legenda.core.answer import Answer
from legenda.describe.measured import NAMES, Measured, frames, of_pictures
from legenda.measure.picture import measure
from legenda.score.measured_score import MeasuredScore
from legenda.tasks.latent_check import Check, as_sheet, read_off
from legenda.tasks.latent_ground import grounded, sheets
from legenda.tasks.latent_settings import LatentSettings
from tests.tasks.latent_world import ACROSS, DOWN, SMALL, discs

COUNT = len(NAMES)
EVEN = torch.ones(COUNT, dtype=torch.float64)
PLAIN = Measured(EVEN, torch.zeros(COUNT, COUNT, dtype=torch.bool))
POOL = torch.randn(60, COUNT, generator=torch.Generator().manual_seed(0)).double()


def rows_of(seed, **moves):
    values = 0.05 * torch.randn(5, 8, COUNT, generator=torch.Generator().manual_seed(seed)).double()
    for name, amount in moves.items():
        values[..., NAMES.index(name)] += amount * torch.linspace(0, 1, 8).double()
    return values


FRESH = {
    3: rows_of(1, x=3), 5: rows_of(2, y=3), 6: rows_of(3, size=3), 8: rows_of(4, texture=3),
    9: rows_of(5, x=-3),
}  # fmt: skip


def claim(attribute, direction=1):
    return Answer(f"{attribute} moves", attribute, "less", "more", direction)


def check(fresh=FRESH, seed=0):
    return Check(PLAIN, POOL, fresh, seed)


@pytest.mark.parametrize(("unit", "attribute", "way"), [(3, "x", 1), (5, "y", 1), (9, "x", -1)])
def test_true_answers_hold(unit, attribute, way):
    found = check()(unit, claim(attribute, way))
    assert found.holds and found.interval[0] <= found.moved <= found.interval[1]
    assert found.moved == pytest.approx(3, abs=0.1) and abs(found.control) < 0.3
    assert (found.picked, found.picks, found.pairs) == (5, 5, 5)
    assert found.aside < 0.15 and found.aside_interval[0] <= found.aside <= found.aside_interval[1]


@pytest.mark.parametrize(("attribute", "way"), [("x", -1), ("y", 1), ("hue", 1), ("size", -1)])
def test_false_answers_do_not(attribute, way):
    found = check()(3, claim(attribute, way))
    assert not found.holds and found.pairs == 0 and found.picked < 5
    if (attribute, way) == ("x", -1):
        assert found.moved == pytest.approx(-3, abs=0.1) and found.picked == 0


def test_what_is_also_moved_is_aside_and_its_twin_may_be_true():
    both = {**FRESH, 3: rows_of(1, x=3, y=3)}
    found = check(both)(3, claim("x"))
    assert found.aside == pytest.approx(0.5, abs=0.1) and found.holds


@pytest.mark.parametrize("answer", [claim("hair length"), claim("x", 0), Answer()])
def test_what_is_not_measured_is_not_checked(answer):
    assert check()(3, answer) is None


def test_there_must_be_four_to_choose_among():
    few = {unit: FRESH[unit] for unit in (3, 5, 6)}
    found = check(few)(3, claim("x"))
    assert (found.picked, found.picks) == (0, 0) and found.holds


def test_the_same_seed_gives_the_same_check_in_any_order():
    one, two = check(seed=4), check(seed=4)
    two(5, claim("y"))
    assert one(3, claim("x")) == two(3, claim("x"))


def test_measurements_stand_in_for_frames():
    sheet = as_sheet(FRESH[3])
    assert read_off(sheet.images).equal(FRESH[3]) and len(sheet.values) == 8
    score = MeasuredScore(EVEN, measure=read_off)
    assert score(claim("x"), sheet) > 0.8 > 0.3 > abs(score(claim("x"), sheet.constant()))


def test_pictures_are_judged_by_the_same_rules():
    how = LatentSettings(**SMALL)
    ground = grounded(discs(), how, None)
    fresh = {s.index: frames(s) for s in sheets(discs(), [ACROSS, DOWN], how, ground, None, True)}
    found = Check(of_pictures(ground.values), ground.values, fresh, 0)
    assert found(ACROSS, claim("x")).holds and not found(ACROSS, claim("y")).holds
    assert not found(DOWN, claim("y", -1)).holds
    assert measure(ground.pool.new_zeros(1, 3, 32, 32)).shape == (1, COUNT)
