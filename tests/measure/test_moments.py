"""Moments: a twin that loops over pixels, laws, and ellipses whose axes are known."""

import math

import pytest
import torch

from legenda.measure.foreground import foreground
from legenda.measure.moments import Moments, centre, crossing, moments, second
from tests.measure.drawings import bar, blurred, ellipse, painted


def seen(*covers) -> Moments:
    return moments(foreground(torch.cat([painted(c) for c in covers])))


def test_moments_are_their_slow_twin():
    mask = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(0)).double()
    (x, y), two = centre(mask), second(mask)
    for k, one in enumerate(mask.tolist()):
        total = sum(map(sum, one))
        cx = sum(m * j for row in one for j, m in enumerate(row)) / total
        cy = sum(m * i for i, row in enumerate(one) for m in row) / total
        at = [(m, j - cx, i - cy) for i, row in enumerate(one) for j, m in enumerate(row)]
        xx = sum(m * u * u for m, u, _ in at) / total + 1 / 12
        yy = sum(m * v * v for m, _, v in at) / total + 1 / 12
        xy = sum(m * u * v for m, u, v in at) / total
        principal = torch.linalg.eigvalsh(torch.tensor([[xx, xy], [xy, yy]]).double()).tolist()
        want = [cx, cy, xx, yy, xy, *reversed(principal)]
        got = [float(v[k]) for v in (x, y, two.xx, two.yy, two.xy, two.long, two.short)]
        assert got == pytest.approx(want, rel=1e-6)


def test_a_share_of_a_profile_is_reached_between_pixels():
    profile = torch.tensor([[0.0, 2.0, 2.0, 0.0]]).double()
    assert float(crossing(profile, 0.25)) == pytest.approx(1.5)
    assert float(crossing(profile, 0.75)) == pytest.approx(2.5)


@pytest.mark.parametrize("turn", [0, 20, 45, 70, 90, 120, 160])
def test_an_ellipse_tells_its_axes(turn):
    got = seen(ellipse(30, 36, 16, 8, turn))
    assert float(got.x) == pytest.approx(30 / 64, abs=0.002)
    assert float(got.y) == pytest.approx(36 / 64, abs=0.002)
    assert float(got.size) == pytest.approx(math.pi * 16 * 8 / 64**2, rel=0.01)
    assert float(got.elongation) == pytest.approx(2, rel=0.02)
    assert abs((float(got.orientation) - turn + 90) % 180 - 90) < 1


def test_half_a_pixel_moves_the_place_by_half_a_pixel_even_of_a_blurred_picture():
    pair = torch.cat([painted(ellipse(x=x)) for x in (30.0, 30.5)])
    for pictures in (pair, blurred(pair)):
        x = moments(foreground(pictures)).x
        assert float(x[1] - x[0]) * 64 == pytest.approx(0.5, abs=0.02)


def test_what_leans_right_has_a_slant_and_what_is_wide_has_none():
    # a stroke of 70 degrees leans by cot 70 of its height
    right, left, wide = ellipse(a=18, b=3, turn=70), ellipse(a=18, b=3, turn=110), bar(10, 28, 54, 36)  # fmt: skip # noqa: E501
    slant = seen(right, left, wide).slant
    assert float(slant[0]) == pytest.approx(1 / math.tan(math.radians(70)), abs=0.03)
    assert float(slant[1]) == pytest.approx(-float(slant[0]), abs=0.01)
    assert slant[2].isnan()


def test_the_heavy_end_is_told_from_the_light_one():
    cup = torch.maximum(bar(20, 12, 44, 28), bar(30, 28, 34, 52))
    balance = seen(cup, cup.flip(0), ellipse()).balance
    assert float(balance[0]) > 0.15
    assert float(balance[1]) == pytest.approx(-float(balance[0]), abs=0.01)
    assert abs(float(balance[2])) < 0.005


def test_proportion_is_width_by_height():
    aspect = seen(bar(12, 24, 52, 44), bar(24, 12, 44, 52), ellipse()).aspect
    assert aspect.tolist() == pytest.approx([2, 0.5, 1], rel=0.01)


def test_a_disc_has_no_orientation_and_an_empty_picture_nothing():
    got = seen(ellipse(), torch.zeros(64, 64))
    assert got.orientation.isnan().all() and not got.x[0].isnan()
    assert all(one[1].isnan() for one in got)
