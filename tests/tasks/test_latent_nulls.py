from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet, constant, reordered, shuffled
from legenda.describe.measured import NAMES, Measured
from legenda.errors import BadInput
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import Certainty, Sampler, certainty
from legenda.score.conformal import Conformal
from legenda.score.null_sheets import least, null_threshold
from legenda.tasks.latent_describers import ByMeasure
from legenda.tasks.latent_nulls import (
    BEYOND,
    KINDS,
    MOST,
    Nulls,
    affordable,
    by_lot,
    calibrated,
    conformal,
    enough,
    null_answers,
    null_sheets,
)
from legenda.tasks.latent_settings import CERTAIN, LatentSettings

ALIKE, HOW = AttributeAgreement(), LatentSettings(rows=4, shown=1, seed=2)
COUNT = len(NAMES)
MEASURED = Measured(torch.ones(COUNT).double(), torch.zeros(COUNT, COUNT, dtype=torch.bool))
X, Y = Answer("right", "x", "left", "right", 1), Answer("down", "y", "top", "bottom", 1)


def told(units=5, rows=4):
    """Units whose x moves by three spreads; frames are numbered."""
    found = {}
    for u in range(units):
        values = torch.randn(rows, 6, COUNT, generator=torch.Generator().manual_seed(u)).double() / 50  # fmt: skip # noqa: E501
        values[..., 0] += torch.linspace(0, 3, 6).double()
        images = (torch.arange(rows * 6).float() / 100).view(rows, 6, 1, 1, 1).expand(-1, -1, 3, 2, 2)  # fmt: skip # noqa: E501
        found[u] = SimpleNamespace(values=values, whole=Sheet(images, torch.arange(6.0), index=u))
    return found


@dataclass
class Says:
    """Says in turn what it was told to say of each kind of sheet."""

    said: dict

    def __post_init__(self):
        self.seen = []

    def __call__(self, sheet, values):
        self.seen.append((sheet, values))
        return self.said[sheet.kind][len(self.seen) % len(self.said[sheet.kind])]


SURE, HALF, SILENT = (X, X, X, X), (X, X, X, Y), (Answer(),) * 4


def test_measured_controls_are_silent_and_leave_the_least_threshold():
    found = calibrated(told(), ByMeasure(MEASURED), ALIKE, HOW)
    assert found.count == 120 and found.threshold == CERTAIN
    assert found.silent == (120, 120)


def test_measured_controls_equal_their_literal_twin():
    units = list(told().values())
    found = null_answers(told(), ByMeasure(MEASURED), HOW)
    for i in (0, 1, 5, 6, 7, 100, 239):
        still = i // 2 % 4 == 3
        values = units[i // 2 % 5].values
        order = (constant if still else shuffled)(values, HOW.seed * 100_003 + i)
        assert found[i] == (KINDS[still], MEASURED.looks(reordered(values, order)))


def test_both_halves_have_each_kind_three_to_one():
    kinds = [kind for kind, _ in null_answers(told(), ByMeasure(MEASURED), HOW)]
    for half in (kinds[::2], kinds[1::2]):
        assert (half.count("shuffled"), half.count("constant")) == (90, 30)


def test_what_is_asked_about_equals_what_is_measured():
    says = Says({"shuffled": [SURE], "constant": [SURE]})
    null_answers(told(3), says, replace(HOW, nulls=16))
    assert len(says.seen) == 16
    for sheet, values in says.seen:
        assert len(sheet) == len(values) == 4
        plain = told(3)[sheet.index]
        place = (sheet.images[:, :, 0, 0, 0] * 100).round().long() % 6
        assert values.equal(reordered(plain.values, place))


@pytest.mark.parametrize("loud", KINDS)
def test_the_kind_that_is_named_most_sets_the_threshold(loud):
    quiet = KINDS[1 - KINDS.index(loud)]
    how = replace(HOW, nulls=16, alpha=0.5)
    found = calibrated(told(), Says({loud: [HALF], quiet: [SILENT]}), ALIKE, how)
    half = certainty(ALIKE(HALF)).value
    assert found.threshold == null_threshold(torch.tensor([half]).double(), 0.5) > half
    assert found.silent == (8, 8) and found.count == 8
    sure = calibrated(told(), Says({loud: [SURE], quiet: [SILENT]}), ALIKE, how)
    assert sure.threshold > 1


def test_controls_that_set_it_do_not_judge_it():
    """Every second sheet sets the threshold: of the others, those that are surer are named."""
    says = Says({"shuffled": [SURE, SILENT], "constant": [SURE, SILENT]})
    found = calibrated(told(), says, ALIKE, replace(HOW, nulls=16, alpha=0.5))
    assert found.threshold == CERTAIN and found.silent == (0, 8)


def test_where_controls_are_few_a_unit_must_be_surer_than_each_of_them():
    """A model that says the same of everything is as sure of nothing: it names nothing."""
    found = calibrated(told(), Says({"shuffled": [SURE], "constant": [SURE]}), ALIKE, HOW)
    assert found.threshold > 1 and (found.count, found.silent) == (6, (6, 6))
    quiet = calibrated(told(), Says({"shuffled": [SILENT], "constant": [SILENT]}), ALIKE, HOW)
    assert (quiet.threshold, quiet.count, quiet.silent) == (CERTAIN, 6, (6, 6))


def test_a_threshold_that_is_given_holds_and_no_control_sets_it():
    for threshold in (0.1, 0.9):
        found = calibrated(told(), ByMeasure(MEASURED), ALIKE, replace(HOW, threshold=threshold))
        assert (found.threshold, found.count) == (threshold, 0)
        assert found.silent[1] == 120 and found.silent[0] >= 114


# conformal names


def sureness(value):
    return Certainty(float(value), torch.zeros(4), 0, (0.0, 1.0), 4)


def surely(values):
    """Units whose answers agree so much; frames as in `told`."""
    found = told(len(values))
    for one, value in zip(found.values(), values, strict=True):
        one.answers, one.sure = SURE, sureness(value)
    return found


def heard(kinds):
    """Controls that were asked about, of certainties by kind."""
    return [(k, SURE, sureness(v)) for k, own in kinds.items() for v in own]


@pytest.mark.parametrize("seed", range(8))
def test_conformal_names_are_those_of_the_threshold_that_is_told(seed):
    lot = torch.Generator().manual_seed(seed)
    nulls = {k: (torch.rand(n, generator=lot).double() * 20).round() / 20 for k, n in (("shuffled", 60), ("constant", 39))}  # fmt: skip # noqa: E501
    units = torch.cat([0.3 + 0.7 * torch.rand(8, generator=lot), torch.ones(seed)]).double()
    alpha = (0.05, 0.2)[seed % 2]
    found = conformal(surely(units.tolist()), heard(nulls), replace(HOW, alpha=alpha, conformal=True))  # fmt: skip # noqa: E501
    slow = Conformal(alpha)(units, nulls)
    assert list(found.q.values()) == slow.q.tolist()
    by_threshold = [found.names(SURE, sureness(v)) for v in units.tolist()]
    assert by_threshold == slow.named.tolist() == (slow.q <= alpha * (1 + 1e-9)).tolist()
    assert found.count == 99


def test_one_of_many_is_named_if_there_are_controls_enough():
    """No p value is below 1 / (n + 1), and it is corrected for the number of units."""
    units = surely([1.0, 0.31, 0.31, 0.31])
    how = replace(HOW, conformal=True)
    for count, names in ((79, True), (78, False)):
        nulls = {"shuffled": [0.5] * count, "constant": [0.0] * 200}
        found = conformal(units, heard(nulls), how)
        assert found.names(SURE, sureness(1.0)) is names
        assert (found.threshold == BEYOND) is not names
    assert found.q[0] == pytest.approx(4 / 79) and found.q[1] == pytest.approx(1)


def test_units_that_say_nothing_or_agree_too_little_take_no_name_and_help_none():
    nulls, how = {"shuffled": [0.0] * 19}, replace(HOW, conformal=True)
    units = surely([1.0, 1.0, 0.29])
    units[1].answers = SILENT
    found = conformal(units, heard(nulls), how)
    assert list(found.q.values()) == pytest.approx([3 / 20, 1, 1])
    assert conformal({}, [], how) == Nulls(CERTAIN, 0, (0, 0))


def test_measured_controls_are_as_many_as_one_of_the_units_needs():
    how, own = replace(HOW, conformal=True), surely([1.0] * 5)
    answers = null_answers(own, ByMeasure(MEASURED), how)
    assert len(answers) == enough(0.05 / 5) == 792
    found = calibrated(own, ByMeasure(MEASURED), ALIKE, how)
    assert found.threshold == CERTAIN and found.silent == (396, 396) and found.count == 396
    assert max(found.q.values()) <= 0.05


def test_conformal_names_with_too_few_controls_are_refused():
    how = replace(HOW, conformal=True)
    with pytest.raises(BadInput) as error:
        affordable("a parrot", how)
    assert str(error.value) == (
        "conformal names at alpha 0.05 need 152 sheets without a pattern or more; a parrot is "
        "asked about 12. Ask about more (nulls), take a larger alpha, or leave conformal out."
    )
    affordable("a parrot", HOW), affordable("a parrot", replace(how, nulls=152))
    kinds = [kind for kind, _, _ in list(by_lot(5, 152, 0))[::2]]
    assert min(kinds.count(kind) for kind in KINDS) == least(0.05)


# asking until one speaks for all


def test_controls_are_asked_as_units_are():
    """What stops early is surer: it would not be fair to ask controls more."""
    full = null_answers(told(), ByMeasure(MEASURED), replace(HOW, rows=4))
    short = null_answers(told(), ByMeasure(MEASURED), replace(HOW, rows=4, adaptive=True))
    for (kind, every), (same, few) in zip(full, short, strict=True):
        assert kind == same and few == every[: len(few)]
        assert few == Sampler(every.__getitem__, ALIKE, 3, 4, seed=HOW.seed)().answers
    assert {len(few) for _, few in short} == {3, 4}
    says = Says({"shuffled": [SURE], "constant": [SILENT]})
    asked = null_answers(told(), says, replace(HOW, nulls=8, adaptive=True))
    assert {len(answers) for _, answers in asked} == {3}


def test_the_sheets_of_a_dry_run_are_those_that_are_asked_about():
    says, how = Says({"shuffled": [SURE], "constant": [SURE]}), replace(HOW, nulls=16)
    null_answers(told(3), says, how)
    dry = null_sheets([one.whole for one in told(3).values()], how)
    assert len(dry) == 16
    for sheet, (seen, _) in zip(dry, says.seen, strict=True):
        assert sheet.images.equal(seen.images) and (sheet.kind, sheet.index) == (seen.kind, seen.index)  # fmt: skip # noqa: E501


def test_a_smaller_alpha_takes_more_controls():
    assert enough(0.05) == 240
    for alpha in (0.05, 0.02, 0.01):
        assert enough(alpha) / 8 >= 1 / alpha - 1  # an eighth are constant and set a threshold
    assert enough(1e-6) == MOST


def test_without_units_there_are_no_controls():
    assert calibrated({}, ByMeasure(MEASURED), ALIKE, HOW) == Nulls(CERTAIN, 0, (0, 0))


def test_an_explanation_is_sure_and_says_something():
    nulls = Nulls(0.5, 0, (0, 0))
    assert nulls.names(HALF, certainty(ALIKE(HALF)))
    assert not Nulls(0.51, 0, (0, 0)).names(HALF, certainty(ALIKE(HALF)))
    still = AttributeAgreement(silence=1.0)
    assert not nulls.names(SILENT, certainty(still(SILENT)))
