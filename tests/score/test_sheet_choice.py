import re

import pytest
import torch

from legenda.core.answer import Answer
from legenda.errors import BadInput
from legenda.score.measured_score import ClaimScore, MeasuredScore, fit
from legenda.score.movement import NAMES, movement, tied
from legenda.score.sheet_choice import SheetChoice, by_luck
from tests.score.moving_world import EVEN, as_sheet, lot_of, read_off, said, series, square_sheet
from tests.score.test_movement import slow_beside

MOVES = ("x", "y", "size", "hue", "texture", "light_x", "background", "saturation")
JUDGE = MeasuredScore(EVEN, measure=read_off)


def study(moves=MOVES):
    """Answers and the sheets that they tell of, all of them true."""
    sheets = [as_sheet(series({name: 2.0 * way}, seed=i)) for i, (name, way) in enumerate(ways(moves))]  # fmt: skip # noqa: E501
    return [said(name, way) for name, way in ways(moves)], sheets


def ways(moves):
    return [(name, way) for name in moves for way in (1, -1)]


# ------------------------------------------------------------------------ the measured score


def test_the_measured_score_is_equation_1():
    values = series({"x": 1.5, "size": -1.0}, noise=0.2)
    effect = movement(values.float(), EVEN).effect
    for name, way in (("x", 1), ("size", -1), ("size", 1), ("y", 1)):
        a, total = NAMES.index(name), 0.0
        for r in range(8):
            _, others = slow_beside(effect[r].tolist(), a, tied())
            size = (float(effect[r, a]) ** 2 + sum(o**2 for o in others)) ** 0.5
            total += way * float(effect[r, a]) / max(1.0, size)
        assert JUDGE(said(name, way), as_sheet(values)) == pytest.approx(total / 8, abs=1e-6)
        assert fit(effect, a, way, tied()) == pytest.approx(total / 8)


def test_it_is_one_for_the_truth_and_minus_one_for_its_reverse():
    sheet = as_sheet(series({"x": 3.0}))
    assert JUDGE(said("x"), sheet) > 0.95 and JUDGE(said("x", -1), sheet) < -0.95
    assert JUDGE(said("x", 0), sheet) > 0.95
    assert abs(JUDGE(said("y"), sheet)) < 0.1
    assert JUDGE(Answer(), sheet) == JUDGE(said("hair length"), sheet) == 0.0


def test_little_movement_and_much_beside_bear_out_less():
    full = JUDGE(said("x"), as_sheet(series({"x": 2.0})))
    little = JUDGE(said("x"), as_sheet(series({"x": 0.3})))
    mixed = JUDGE(said("x"), as_sheet(series({"x": 2.0, "y": 2.0, "hue": 2.0})))
    kin = JUDGE(said("size"), as_sheet(series({"size": 2.0, "stroke": 2.0})))
    assert little < 0.5 < mixed < 0.7 < full and kin > 0.95
    sheet = as_sheet(series({"x": 2.0}))
    assert abs(JUDGE(said("x"), sheet.constant())) < 1e-9
    assert abs(JUDGE(said("x"), sheet.shuffled())) < 0.5


def test_a_sheet_is_measured_once_and_never_taken_for_another():
    seen = []

    def measure(images):
        seen.append(images)
        return read_off(images)

    judge, sheet = MeasuredScore(EVEN, measure=measure), as_sheet(series({"x": 2.0}))
    assert isinstance(judge, ClaimScore)
    assert judge(said("x"), sheet) == judge(said("x"), sheet) and len(seen) == 1
    for seed in range(12):  # sheets that are gone leave their ids to others
        way = 1 if seed % 2 else -1
        other = as_sheet(series({"x": 2.0 * way}, seed=seed))
        assert judge(said("x", way), other) > 0.9
        del other


def test_real_pictures_are_measured_by_default():
    judge = MeasuredScore(torch.full((25,), 0.1).double())
    for change in ("x", "-x", "y", "size"):
        way = -1 if change[0] == "-" else 1
        sheet = square_sheet(change)
        assert judge(said(change.lstrip("-"), way), sheet) > 0.3
        assert judge(said(change.lstrip("-"), -way), sheet) < -0.3


# ------------------------------------------------------------------------ the choice


def test_true_answers_find_their_sheets():
    answers, sheets = study()
    found = SheetChoice()(answers, sheets, JUDGE)
    assert found.right.value == 1 and found.right.n == 16 and found.right.control == 0.25
    assert found.right.beats_control and found.asked.value == 1
    assert all(choice.options[0] == choice.place for choice in found.choices)
    assert SheetChoice(hard=True)(answers, sheets, JUDGE).right.value == 1


def test_answers_of_other_units_do_no_better_than_luck():
    answers, sheets = study()
    lot, rights = lot_of(0), []
    for seed in range(12):
        dealt = [answers[i] for i in torch.randperm(16, generator=lot).tolist()]
        rights.append(SheetChoice(seed=seed)(dealt, sheets, JUDGE).right.value)
    assert abs(sum(rights) / 12 - 0.25) < 0.12


def test_ties_count_as_luck_would_have_it():
    answers, sheets = study()
    found = SheetChoice()(answers, sheets, lambda claim, sheet: 0.0)
    assert found.right.value == 0.25 and not found.right.beats_control
    assert {choice.right for choice in found.choices} == {0.25}
    half = SheetChoice()(answers, sheets, lambda claim, sheet: float(sheet is sheets[0]))
    first = half.choices[0]
    assert first.right == 1.0 and half.choices[1].right in (0.0, 0.25)


def test_scores_may_come_from_anyone_and_only_options_are_asked():
    answers, sheets = study()
    asked = []

    def score(claim, sheet):
        asked.append((claim, sheet))
        place = next(i for i, one in enumerate(sheets) if one is sheet)
        return float(answers[place] == claim)

    assert SheetChoice(options=3)(answers, sheets, score).right.value == 1
    assert len(asked) == 16 * 3


def test_easy_others_claim_something_else_and_hard_ones_the_same_attribute():
    answers = [said("x"), said("x"), said("x", -1), said("y"), said("size"), said("hue")]
    for seed in range(10):
        easy = SheetChoice(seed=seed).others(0, answers)
        assert 1 not in easy and len(set(easy)) == 3 and 0 not in easy
        hard = SheetChoice(hard=True, seed=seed).others(0, answers)
        assert set(hard[:2]) == {1, 2} and len(set(hard)) == 3
    same = [said("x")] * 4
    assert sorted(SheetChoice().others(2, same)) == [0, 1, 3], "where it cannot be avoided"


def test_hard_choices_are_harder_for_answers_that_say_only_the_attribute():
    answers, sheets = study(("x", "y", "size", "hue"))
    vague = [said(one.attribute, 0) for one in answers]
    easy, hard = (SheetChoice(hard=h)(vague, sheets, JUDGE).right.value for h in (False, True))
    assert hard < easy


def test_the_others_of_an_answer_depend_on_it_and_the_seed_alone():
    answers, _ = study()
    one = SheetChoice(seed=4)
    assert one.others(3, answers) == SheetChoice(seed=4).others(3, answers)
    drawn = {tuple(SheetChoice(seed=s).others(3, answers)) for s in range(10)}
    assert len(drawn) > 5 and len({tuple(one.others(i, answers)) for i in range(16)}) > 10


def test_answers_that_name_nothing_are_not_asked():
    answers, sheets = study()
    answers[:4] = [Answer(abstained="nothing moves")] * 4
    found = SheetChoice()(answers, sheets, JUDGE)
    assert found.right.n == 12 and found.asked.value == 0.75 and found.asked.n == 16
    assert all(choice.place >= 4 for choice in found.choices)
    nothing = SheetChoice()([Answer()] * 16, sheets, JUDGE)
    assert nothing.right.n == 0 and nothing.right.interval == (0.0, 1.0)


def test_luck_is_binomial_and_ties_widen_the_interval():
    from legenda.core.interval import wilson

    lot = torch.Generator().manual_seed(0)
    shares = (torch.rand(20_000, 40, generator=lot) < 0.25).double().mean(1)
    low, high = by_luck(40, 0.25)
    assert low == pytest.approx(float(shares.quantile(0.025)), abs=0.026)
    assert high == pytest.approx(float(shares.quantile(0.975)), abs=0.026)
    exact = SheetChoice().judged([1.0, 0.0, 1.0, 1.0])
    assert exact.interval == wilson(3, 4)
    ties = SheetChoice().judged([1.0, 0.25, 1.0, 0.25])
    assert ties.value == 0.625 and ties.interval == (wilson(2, 4)[0], wilson(3, 4)[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: SheetChoice(options=1),
            "SheetChoice needs two sheets or more to choose among; it got options=1.",
        ),
        (
            lambda: SheetChoice()(*(part[:3] for part in study()), JUDGE),
            "SheetChoice needs an answer for each sheet, and 4 sheets or more; it got 3 answers "
            "and 3 sheets.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
