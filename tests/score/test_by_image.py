import math

import pytest
import torch

from legenda.core.interval import bootstrap, wilson
from legenda.score.by_image import mean_of_means, ratio, scored, share_of
from tests.score.concept_toys import lot, resampled


def test_a_ratio_is_the_mean_of_its_numbers_per_image():
    above, below = torch.rand(30, generator=lot(0)), torch.rand(30, generator=lot(1))
    values = ratio(above, below)
    want = above.double().sum() / below.double().sum()
    assert float(values.mean()) == pytest.approx(float(want)) and values.dtype == torch.float64
    assert ratio(torch.zeros(3), torch.zeros(3)).isnan().all()


def test_equation_2_is_the_slope_by_the_weight_of_an_image():
    above, below = (torch.rand(9, generator=lot(s)).double().requires_grad_() for s in (0, 1))
    weight = torch.ones(9, dtype=torch.float64, requires_grad=True)
    whole = (weight * above).sum() / (weight * below).sum()
    (slope,) = torch.autograd.grad(whole, [weight])
    got = ratio(above.detach(), below.detach())
    torch.testing.assert_close(got, (whole + 9 * slope).detach())


def observed(seed=9):
    g = lot(seed)
    where = torch.rand(12, 6, generator=g) < torch.linspace(0.2, 0.9, 6)
    image, group = where.nonzero().T
    return torch.rand(len(image), generator=g), image, group


@pytest.mark.parametrize("least", [1, 6])
def test_a_mean_of_means_leaves_out_small_groups(least):
    values, image, group = observed()
    sizes = group.bincount().tolist()
    means = [float(values[group == q].double().mean()) for q in range(6) if sizes[q] >= least]
    got = mean_of_means(values, image, group, 12, least)
    assert float(got.mean()) == pytest.approx(sum(means) / len(means), rel=1e-6)
    assert len(means) == 6 or 1 < len(means) < 6


def test_equation_3_is_the_slope_by_the_weight_of_an_image():
    values, image, group = observed()
    weight = torch.ones(12, dtype=torch.float64, requires_grad=True)
    w, inside = weight[image], torch.nn.functional.one_hot(group, 6).double()
    theta = (((w * values)[:, None] * inside).sum(0) / (w[:, None] * inside).sum(0)).mean()
    (slope,) = torch.autograd.grad(theta, [weight])
    got = mean_of_means(values, image, group, 12)
    torch.testing.assert_close(got, (theta + 12 * slope).detach(), rtol=1e-6, atol=1e-6)


def test_nothing_to_average_is_nan():
    none = torch.zeros(0, dtype=torch.int64)
    for values in (
        mean_of_means(torch.zeros(0), none, none, 4),
        mean_of_means(*observed(), 12, 99),
    ):
        score = scored("x", values)
        assert math.isnan(score.value) and math.isnan(score.interval[0])
        assert score.beats_control is None


def test_the_interval_of_a_ratio_is_that_of_a_bootstrap():
    below = 1 + torch.rand(80, generator=lot(1))
    above = below * (0.5 + 0.3 * torch.rand(80, generator=lot(2)))
    want = resampled(lambda rows: float(above[rows].sum() / below[rows].sum()), 80, draws=2000)
    got = scored("x", ratio(above, below)).interval
    assert got == pytest.approx(want, abs=0.1 * (want[1] - want[0]))


def test_scores_stand_beside_their_control():
    one, other = torch.rand(20, generator=lot(3)) + 1, torch.rand(20, generator=lot(4))
    score = scored("x", one, other, 5, unit="nats")
    assert score.interval == bootstrap(one, 5) and score.control_interval == bootstrap(other, 5)
    assert score.beats_control and score.n == 20 and score.unit == "nats"
    assert scored("x", one, other, higher=False).beats_control is False
    assert scored("x", one).control is None


def test_shares_carry_the_interval_of_wilson():
    score = share_of("x", 9, 10, 2, 20)
    assert (score.value, score.n, score.control) == (0.9, 10, 0.1) and score.beats_control
    assert score.interval == wilson(9, 10) and score.control_interval == wilson(2, 20)
    assert math.isnan(share_of("x", 0, 0, 0, 0).value)
