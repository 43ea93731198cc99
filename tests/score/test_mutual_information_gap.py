"""The mutual information gap against the paper's loops, and on codes planted good and bad."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from legenda.errors import BadInput
from legenda.score.factor_information import FactorInformation, binned
from legenda.score.mutual_information_gap import MutualInformationGap
from tests.score.disentanglement_world import (
    bootstrapped,
    levels,
    noise,
    perfect,
    turned,
    width,
)

PLAIN = FactorInformation(correction="none")


def literal(cells, v):
    """Equation (1): for each factor the two largest, over its entropy."""
    gaps = []
    for level in v.T:
        said = sorted((mutual_info_score(level, cell) for cell in cells.T), reverse=True)
        gaps.append((said[0] - said[1]) / mutual_info_score(level, level))
    return gaps


def test_gaps_agree_with_their_literal_twin():
    v = levels(300)
    z = turned(perfect(v))
    found = MutualInformationGap(PLAIN)(z, v, list("abcd"))
    want = literal(binned(z, 20).numpy(), v)
    assert found.each.tolist() == pytest.approx(want, abs=1e-12)
    assert found.score.value == pytest.approx(sum(want) / 4, abs=1e-12) and found.score.n == 300
    assert found.factors == ("a", "b", "c", "d")


def test_the_parts_say_which_codes_lead():
    v = levels()
    found = MutualInformationGap()(perfect(v, blur=0.3)[:, [4, 2, 0, 3, 1, 5]], v)
    assert found.first.tolist() == [2, 4, 1, 3] and (found.second != found.first).all()
    assert found.leads.tolist() == [0, 1, 1, 1, 1, 0]
    h = FactorInformation()(noise(), v).entropy
    torch.testing.assert_close(found.each, (found.nats[0] - found.nats[1]) / h)


def test_a_perfect_code_comes_close_to_one_and_a_turned_one_does_not():
    v = levels()
    good, bad = (MutualInformationGap()(z, v).score for z in (perfect(v), turned(perfect(v))))
    assert good.value > 0.9 and good.beats_control
    assert bad.value < 0.3
    blurred = [MutualInformationGap()(perfect(v, blur=b), v).score.value for b in (0.1, 0.4, 1.0)]
    assert good.value > blurred[0] > blurred[1] > blurred[2] > 0.05


def test_more_levels_than_bins_keep_a_perfect_code_below_one():
    v = np.arange(4000)[:, None] % 32
    z = torch.cat([torch.from_numpy(v.astype(float)), torch.zeros(4000, 1).double()], 1)
    found = MutualInformationGap(PLAIN)(z, v).score.value
    assert found <= math.log(20) / math.log(32) and found > 0.8


def test_a_factor_told_twice_has_no_gap():
    v = levels()
    z = perfect(v, 0)
    assert MutualInformationGap()(torch.cat([z, -z], 1), v).score.value == pytest.approx(0, abs=0.02)  # fmt: skip # noqa: E501


def test_noise_scores_like_its_control():
    score = MutualInformationGap()(noise(2000), levels(2000)).score
    assert score.control is not None and abs(score.value) < 0.01
    assert score.value == pytest.approx(score.control, abs=0.004) and not score.beats_control


def test_order_and_scale_of_codes_change_nothing():
    v = levels(300)
    z = turned(perfect(v))
    one = MutualInformationGap()(z, v)
    other = MutualInformationGap()((5 * z - 2)[:, [5, 3, 1, 0, 2, 4]], v)
    assert other.score.value == pytest.approx(one.score.value, abs=1e-12)
    assert other.score.interval == pytest.approx(one.score.interval, abs=1e-12)


def test_the_interval_is_about_that_of_a_bootstrap_over_pictures():
    v = levels(500, (3, 5))
    z = perfect(v, 1, blur=0.5)
    cells = binned(z, 6).numpy()
    found = MutualInformationGap(FactorInformation(bins=6, correction="none"))(z, v).score
    want = bootstrapped(lambda rows: float(np.mean(literal(cells[rows], v[rows]))), 500, 120)
    assert found.interval[0] < found.value < found.interval[1]
    assert width(found.interval) == pytest.approx(want, rel=0.25)


def test_one_code_has_no_gap():
    with pytest.raises(BadInput) as caught:
        MutualInformationGap()(noise(20, 1), levels(20))
    assert str(caught.value) == (
        "MutualInformationGap needs 8 pictures, 2 codes and 1 factors or more; it got 20, 1 and 4."
    )
