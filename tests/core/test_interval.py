"""Intervals against numbers computed by hand or by scipy."""

import math

import pytest
import torch
from scipy import stats

from legenda.core.explanation import Score
from legenda.core.interval import auroc, auroc_interval, bootstrap, wilson


def test_wilson_is_scipys():
    for successes, trials in [(0, 10), (3, 10), (10, 10), (950, 1000)]:
        theirs = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert wilson(successes, trials) == pytest.approx(tuple(theirs), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_of_a_median_does_not_care_how_far_an_outlier_is():
    values = torch.cat([torch.linspace(0, 1, 51), torch.tensor([1e6])])
    low, high = bootstrap(values, of="median")
    assert 0.3 < low < 0.5 < high < 0.7


def test_bootstrap_of_a_normal_sample_is_near_its_standard_error():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    low, high = bootstrap(values)
    half = 1.96 * float(values.std()) / math.sqrt(400)
    assert low == pytest.approx(float(values.mean()) - half, abs=0.02)
    assert high == pytest.approx(float(values.mean()) + half, abs=0.02)
    assert bootstrap(values) == (low, high), "same seed, same interval"


def test_one_value_says_nothing():
    assert bootstrap(torch.tensor([3.0])) == (-math.inf, math.inf)


def test_auroc_by_hand():
    assert auroc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])) == (1 + 0.5 + 1 + 1) / 4
    low, high = auroc_interval(torch.arange(20.0) + 10, torch.arange(20.0))
    assert 0.5 < low < 0.875 < high <= 1.0


def test_a_score_beats_its_control_when_their_intervals_are_apart():
    better = Score("iou", 0.5, (0.4, 0.6), 10, control=0.1, control_interval=(0.0, 0.2))
    assert better.beats_control is True
    worse = Score("drop", 0.5, (0.4, 0.6), 10, False, control=0.5, control_interval=(0.4, 0.6))
    assert worse.beats_control is False
    assert Score("x", 0.5, (0.4, 0.6), 10).beats_control is None
