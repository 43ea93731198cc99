import re

import pytest
import torch

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput
from legenda.score.measured_score import MeasuredScore
from legenda.score.movement import NAMES, likeness, tied
from legenda.score.pair_rule import PairRule, claim, nearest, triple
from tests.score.moving_world import COUNT, EVEN, as_sheet, lot_of, read_off, said, series
from tests.score.test_sheet_choice import study

JUDGE = MeasuredScore(EVEN, measure=read_off)


def test_rates_are_equation_1():
    answers, sheets = study()
    table = torch.rand(16, 3, generator=lot_of(0)).tolist()
    heard = []

    def score(said, sheet):
        if sheet.kind == "shuffled":
            return 0.0
        place = next(i for i, one in enumerate(sheets) if one is sheet)
        heard.append(place)
        return table[place][heard.count(place) - 1]

    found = PairRule(0.5)(answers, sheets, score)
    true = [row[0] > 0.5 for row in table]
    back = [row[0] > 0.5 and row[1] <= 0.5 for row in table]
    other = [row[0] > 0.5 and row[2] <= 0.5 for row in table]
    both = [a and b for a, b in zip(back, other, strict=True)]
    assert found.accepted.value == sum(true) / 16
    assert found.reversed.value == sum(back) / 16
    assert found.exchanged.value == sum(other) / 16
    assert found.both.value == sum(both) / 16
    assert found.both.n == 16 and found.both.control == 0
    assert [place for place, _ in found.verdicts] == list(range(16))


def test_true_claims_pass_and_shuffled_sheets_do_not():
    answers, sheets = study()
    found = PairRule(0.4)(answers, sheets, JUDGE)
    assert found.both.value == 1 and found.both.control < 0.3 and found.both.beats_control


def test_false_claims_do_not_pass():
    answers, sheets = study()
    false = [said(one.attribute, -one.direction) for one in answers]
    assert PairRule()(false, sheets, JUDGE).both.value == 0
    assert PairRule()(answers[2:] + answers[:2], sheets, JUDGE).both.value < 0.2


def test_who_agrees_with_everything_or_nothing_never_passes():
    answers, sheets = study()
    yes = PairRule()(answers, sheets, lambda claim, sheet: 1.0)
    assert yes.accepted.value == 1 and yes.reversed.value == yes.exchanged.value == 0
    assert yes.both.value == 0 and not yes.accepted.beats_control
    assert PairRule()(answers, sheets, lambda claim, sheet: 0.0).accepted.value == 0


def test_who_sees_the_attribute_but_not_the_way_passes_half_the_rule():
    answers, sheets = study()
    found = PairRule()(answers, sheets, lambda claim, sheet: JUDGE(said(claim.attribute, 0), sheet))
    assert found.exchanged.value == 1 and found.reversed.value == found.both.value == 0


def test_a_second_thing_that_moves_is_found_out():
    values = series({"x": 2.0, "y": 2.0})
    found = PairRule()([said("x")], [as_sheet(values)], JUDGE)
    assert found.reversed.value == 1 and found.exchanged.value == 0


def test_a_higher_threshold_accepts_less():
    answers, sheets = study()
    rates = [PairRule(t)(answers, sheets, JUDGE).accepted.value for t in (-1.1, 0.5, 0.999, 1.0)]
    assert rates == sorted(rates, reverse=True) and rates[0] == 1 and rates[-1] == 0


def test_twins_are_one_word_from_the_claim():
    one, back, other = triple(said("size", -1), None, tied())
    assert one.text == "From left to right, size goes from large to small."
    assert back.text == "From left to right, size goes from small to large."
    assert (one.attribute, one.direction) == ("size", -1)
    assert (back.attribute, back.direction) == ("size", 1)
    assert other.direction == -1 and not tied()[NAMES.index("size"), NAMES.index(other.attribute)]
    for name in ATTRIBUTES:
        there, again = claim(name, 1), claim(name, -1)
        assert (there.start, there.end) == (again.end, again.start) and there.text != again.text


def test_the_nearest_goes_with_it_most_without_being_tied():
    values = torch.randn(60, COUNT, generator=lot_of(0), dtype=torch.float64)
    x, y, texture, light = (NAMES.index(n) for n in ("x", "y", "texture", "light_x"))
    values[:, texture] = values[:, x] + 1.0 * values[:, texture]
    values[:, light] = values[:, x] + 0.05 * values[:, light]
    alike, ties = likeness(values), tied(values)
    assert ties[x, light] and not ties[x, texture]
    assert nearest(x, alike, ties) == texture
    assert nearest(x, None, ties) == y, "by the table"
    last = NAMES.index("texture")
    assert nearest(last, None, tied()) == 0, "which is round"
    alike[x] = torch.nan
    assert nearest(x, alike, ties) == y, "what is not known decides nothing"


def test_answers_without_a_twin_are_left_out():
    answers, sheets = study()
    answers[0], answers[1], answers[2] = Answer(), said("hair length"), said("y", 0)
    found = PairRule()(answers, sheets, JUDGE)
    assert found.both.n == 13 and found.verdicts[0][0] == 3
    nothing = PairRule()([Answer()], sheets[:1], JUDGE)
    assert nothing.both.n == 0 and nothing.both.interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: PairRule()([Answer()], [], JUDGE),
            "PairRule needs an answer for each sheet; it got 1 answers and 0 sheets.",
        ),
        (
            lambda: nearest(0, None, torch.ones(COUNT, COUNT, dtype=torch.bool)),
            "PairRule exchanges x for an attribute that is not tied to it; all are. Tie fewer.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
