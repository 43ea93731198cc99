"""Effect sizes against loops, and against scipy."""

import pytest
import torch
from scipy import stats

from legenda.core.effect import (
    benjamini_hochberg,
    cliffs_delta,
    cliffs_delta_interval,
    magnitude,
    sign_test,
)
from legenda.errors import BadInput


def drawn(*shape, seed=0, kinds=9):
    return torch.randint(kinds, shape, generator=torch.Generator().manual_seed(seed))


def slow_delta(x, y):
    won = sum(a > b for a in x.tolist() for b in y.tolist())
    lost = sum(a < b for a in x.tolist() for b in y.tolist())
    return (won - lost) / (len(x) * len(y))


def test_three_numbers_above_three_others():
    high, low = torch.tensor([5, 6, 7]), torch.tensor([1, 2, 3])
    assert cliffs_delta(high, low) == 1
    assert cliffs_delta(low, high) == -1
    assert cliffs_delta(high, high) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32, torch.float64])
def test_it_is_the_double_loop(seed, dtype):
    x, y = drawn(31, seed=seed).to(dtype), drawn(17, seed=seed + 50).to(dtype)
    assert cliffs_delta(x, y) == slow_delta(x, y)


def test_it_is_what_is_left_of_the_area():
    x, y = drawn(40).double(), drawn(30, seed=1).double()
    u = stats.mannwhitneyu(x.numpy(), y.numpy()).statistic
    assert cliffs_delta(x, y) == pytest.approx(2 * u / (40 * 30) - 1, abs=1e-15)


def test_turned_round_it_changes_its_sign():
    x, y = drawn(40), drawn(25, seed=1)
    assert cliffs_delta(x, y) == -cliffs_delta(y, x) != 0


def test_only_the_order_counts():
    x, y = drawn(40).double(), drawn(25, seed=1).double() / 2
    for map_ in (lambda v: v.exp(), lambda v: v**3 - 5, lambda v: 7 * v):
        assert cliffs_delta(map_(x), map_(y)) == cliffs_delta(x, y)
    assert cliffs_delta(-x, -y) == -cliffs_delta(x, y)


def test_large_whole_numbers_stay_apart():
    assert cliffs_delta(torch.tensor([2**60 + 1]), torch.tensor([2**60])) == 1
    assert cliffs_delta(torch.tensor([0.0]), torch.tensor([-0.0])) == 0
    mixed = cliffs_delta(torch.tensor([2**25 + 1]), torch.tensor([2.0**25]))
    assert mixed == 1, "a whole number beside a float32 is not rounded to it"


@pytest.mark.parametrize("paired", [False, True])
def test_the_interval_is_the_loop_over_resamples(paired):
    x, y = drawn(13), drawn(13, seed=1)
    lot, found = torch.Generator().manual_seed(3), []
    pick = torch.randint(13, (60, 13), generator=lot)
    other = pick if paired else torch.randint(13, (60, 13), generator=lot)
    for one, two in zip(pick, other, strict=True):
        found.append(slow_delta(x[one], y[two]))
    low, high = torch.tensor([(1 - 0.9) / 2, 1 - (1 - 0.9) / 2], dtype=torch.float64)
    found = torch.tensor(found, dtype=torch.float64)
    ours = cliffs_delta_interval(x, y, seed=3, draws=60, level=0.9, paired=paired)
    assert ours == pytest.approx([float(found.quantile(edge)) for edge in (low, high)], abs=1e-12)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        lot = torch.Generator().manual_seed(seed)
        x, y = torch.randn(60, generator=lot) + 0.5, torch.randn(60, generator=lot)
        low, high = cliffs_delta_interval(x, y, draws=300)
        hits += low <= 0.2763 <= high  # 2 Φ(0.5 / √2) - 1
    assert 0.90 <= hits / 200 <= 0.99


def test_pairs_that_rise_together_have_a_narrower_interval():
    common = 5 * torch.randn(80, generator=torch.Generator().manual_seed(0))
    x, y = common + 1, common
    loose, tight = (cliffs_delta_interval(x, y, paired=paired) for paired in (False, True))
    assert tight[1] - tight[0] < (loose[1] - loose[0]) / 2
    assert cliffs_delta_interval(x, y, paired=True) == tight, "same seed, same interval"
    assert cliffs_delta_interval(x, y, seed=1, paired=True) != tight


def test_one_value_says_nothing():
    assert cliffs_delta_interval(torch.tensor([3]), torch.tensor([1, 2])) == (-1.0, 1.0)


@pytest.mark.parametrize("count", [1, 2, 37])
def test_corrected_p_values_are_scipys(count):
    p = torch.rand(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64) ** 3
    p[count // 2 :] = p[count // 2]  # ties
    ours = benjamini_hochberg(p)
    assert ours.dtype == torch.float64
    assert ours.tolist() == pytest.approx(stats.false_discovery_control(p.numpy()), rel=1e-14)


def test_corrected_p_values_rise_with_p_and_are_never_smaller():
    p = torch.rand(50, generator=torch.Generator().manual_seed(1)).double()
    q = benjamini_hochberg(p)
    assert (q >= p).all() and (q <= 1).all()
    assert (q[p.argsort()].diff() >= 0).all()
    assert benjamini_hochberg(p[:0]).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_the_sign_test_is_scipys_binomial_test(seed):
    x, y = drawn(40, seed=seed), drawn(40, seed=seed + 9) // 2
    won, lost = int((x > y).sum()), int((x < y).sum())
    theirs = stats.binomtest(won, won + lost).pvalue
    assert sign_test(x, y) == pytest.approx(theirs, rel=1e-12)
    assert sign_test(y, x) == sign_test(x, y)


def test_the_sign_test_of_many_and_of_none():
    assert sign_test(torch.ones(5), torch.ones(5)) == 1.0
    assert sign_test(torch.ones(5), torch.zeros(5)) == pytest.approx(2 / 2**5, rel=1e-14)
    x = torch.cat([torch.ones(51_000), torch.zeros(49_000)])
    theirs = stats.binomtest(51_000, 100_000).pvalue
    assert sign_test(x, 1 - x) == pytest.approx(theirs, rel=1e-8)
    assert sign_test(torch.tensor([0, 1]), torch.tensor([1, 0])) == 1.0


def test_words():
    said = [magnitude(d) for d in (0.0, -0.146, 0.147, -0.33, 0.474, 1.0)]
    assert said == ["negligible", "negligible", "small", "medium", "large", "large"]


def refused(call, *values, **how):
    with pytest.raises(BadInput) as error:
        call(*values, **how)
    return str(error.value)


def test_refusals():
    none, three = torch.tensor([]), torch.tensor([1.0, 2.0, torch.nan])
    assert refused(cliffs_delta, none, three) == (
        "An effect size compares two samples; it got 0 and 3 values. Give at least one of each."
    )
    assert refused(cliffs_delta, three, three[:2]) == (
        "An effect size needs values that can be ordered; 1 of 3 and 0 of 2 are NaN. Find out why."
    )
    assert refused(sign_test, three[:2], three[:1]) == (
        "The sign test compares two values of each image; it got 2 and 1. "
        "Give both for the same images."
    )
    assert refused(cliffs_delta_interval, three[:2], three[:1], paired=True) == (
        "A paired interval compares two values of each image; it got 2 and 1. "
        "Give both for the same images."
    )
    assert refused(benjamini_hochberg, torch.tensor([0.5, 1.5, torch.nan])) == (
        "Benjamini and Hochberg's correction needs p values from 0 to 1; 2 of 3 are not. "
        "Leave them out."
    )
