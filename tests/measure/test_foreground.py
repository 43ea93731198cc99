"""The object and its ground: twins, what blurring leaves alone, pictures that have no object."""

import pytest
import torch

from legenda.measure.foreground import BINS, CLEAR, foreground, mean_above, otsu
from tests.measure.drawings import bar, blurred, ellipse, painted


def slow_otsu(values):
    best, found = -1.0, 0.0
    for edge in range(1, BINS + 1):
        low = [v for v in values if int(v * BINS) < edge]
        high = [v for v in values if int(v * BINS) >= edge]
        if not low or not high:
            continue
        a, b = ([(int(v * BINS) + 0.5) / BINS for v in part] for part in (low, high))
        between = len(a) * len(b) * (sum(a) / len(a) - sum(b) / len(b)) ** 2
        if between > best + 1e-9:
            best, found = between, edge / BINS
    return found


def test_otsu_is_its_slow_twin():
    lot = torch.Generator().manual_seed(0)
    low, high = torch.rand(3, 60, generator=lot) * 0.4, 0.5 + 0.4 * torch.rand(3, 30, generator=lot)
    values = torch.cat([low, high], 1).double()
    assert otsu(values).tolist() == [slow_otsu(row) for row in values.tolist()]


def test_the_mean_above_a_limit():
    values, limit = torch.tensor([[0.1, 0.5, 0.7], [0.1, 0.2, 0.3]]), torch.tensor([0.4, 0.4])
    torch.testing.assert_close(mean_above(values, limit), torch.tensor([0.6, 0.0]))


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_blurring_leaves_the_outline_where_it_is(sigma):
    sharp = painted(bar(20, 16, 44, 48))
    soft = foreground(blurred(sharp, sigma)).mask
    assert float(soft.sum()) == pytest.approx(24 * 32, rel=0.05)


def test_the_ground_is_the_border_even_where_the_object_touches_it():
    seen = foreground(painted(bar(0, 20, 20, 40), (0.9, 0.2, 0.1), (0.3, 0.4, 0.5)))
    torch.testing.assert_close(seen.ground, torch.tensor([[0.3, 0.4, 0.5]]).double())
    assert float(seen.figure) == pytest.approx(1 - 20 / 248, abs=0.01)
    assert float(seen.figure) > CLEAR


def test_a_pale_part_belongs_to_the_object_beside_a_dark_one():
    seat, legs = bar(24, 20, 40, 36), bar(24, 36, 28, 52)
    picture = painted(seat, (0.0,) * 3, (1.0,) * 3) - 0.55 * legs
    mask = foreground(picture).mask[0]
    assert float(mask[40:50, 25:27].min()) > 0.7


def test_flat_pictures_and_noise_have_no_figure():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    faint = painted(ellipse(), (0.52,) * 3, (0.5,) * 3)
    flat = torch.full((1, 3, 64, 64), 0.7).double()
    figure = foreground(torch.cat([flat, faint, noise])).figure
    assert figure[0] == 0 and figure[1] == 0 and figure[2] < CLEAR


def test_colours_are_looked_for_in_the_object_or_else_in_the_middle():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    weight = foreground(torch.cat([painted(bar(40, 40, 56, 56)), noise])).weight
    torch.testing.assert_close(weight.sum((1, 2)), torch.ones(2).double())
    assert float(weight[0, 40:56, 40:56].sum()) == pytest.approx(1)
    assert weight[1, 31, 31] > 5 * weight[1, 5, 31]
