import math

import pytest
import torch

from legenda.errors import BadInput
from legenda.score.null_names import NullNames, Sureness
from legenda.score.null_sheets import null_threshold


def noise(count, seed=0):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)).double()


def kind(units, **nulls):
    return Sureness(torch.as_tensor(units).double(), nulls, "a number")


def test_the_threshold_is_the_literal_quantile_of_the_loudest_sort():
    quiet, loud = noise(99), noise(199, 1) + 0.2
    found = NullNames()({"token": kind([0.1, 1.3], quiet=quiet, loud=loud)})["token"]
    place = math.ceil((199 + 1) * 0.95 - 1e-9)
    literal = sorted(loud.tolist())[place - 1]
    assert found.threshold > literal
    assert found.threshold == pytest.approx(literal, abs=1e-12)
    assert found.threshold > null_threshold(quiet)
    assert found.named.tolist() == [False, True]


def test_nothing_is_named_as_seldom_as_was_asked_for():
    shares = []
    for seed in range(40):
        nulls, fresh = noise(200, seed), noise(200, 1000 + seed)
        shares.append(NullNames()({"concept": kind(fresh, lots=nulls)})["concept"].coverage.value)
    assert sum(shares) / len(shares) < 0.055
    assert sum(shares) / len(shares) > 0.03


def test_units_that_are_surer_are_named_and_silence_is_told_of_nulls_that_did_not_set_it():
    found = NullNames()({"latent": kind(noise(50) + 2, lots=noise(200))})["latent"]
    assert found.coverage.value == 1
    assert found.coverage.control == pytest.approx(1 - found.silent.value)
    assert found.silent.n == 200
    low, high = found.silent.interval
    assert low < 0.95 < high
    assert found.holds(0.05)
    assert not found.holds(0.0001)


def test_a_larger_alpha_names_more():
    sure = kind(noise(100), lots=noise(400, 3))
    shares = [NullNames(a)({"token": sure})["token"].coverage.value for a in (0.02, 0.1, 0.4)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_kinds_do_not_touch_each_other():
    one, other = kind(noise(9), lots=noise(100)), kind(5 * noise(9, 2), lots=7 * noise(100, 4))
    both = NullNames()({"token": one, "concept": other})
    assert both["token"].threshold == NullNames()({"token": one})["token"].threshold
    assert both["concept"].threshold > 5


def test_what_has_no_name_is_never_named():
    found = NullNames()({"token": kind([math.nan, 9.0], lots=noise(100))})["token"]
    assert found.named.tolist() == [False, True]


def test_the_same_seed_gives_the_same_silence():
    sure = kind(noise(9), lots=noise(61))
    ways = [NullNames(0.2, seed=s)({"token": sure})["token"].silent.value for s in range(12)]
    assert ways[0] == NullNames(0.2)({"token": sure})["token"].silent.value
    assert len(set(ways)) > 1


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({}, "NullNames rules over names of one kind or more; it got none."),
        (
            {"token": kind([1.0])},
            "a rule for the names of tokens needs names of nothing; it got none.",
        ),
        (
            {"token": kind([1.0], lots=noise(20))},
            "a rule for the names of tokens that names at most 0.05 of nothing needs 25 nulls of "
            "each sort, so that others judge them; of lots there are 20. Make more, or take a "
            "larger alpha.",
        ),
    ],
)
def test_too_little_is_refused(kinds, said):
    with pytest.raises(BadInput) as caught:
        NullNames()(kinds)
    assert str(caught.value) == said
