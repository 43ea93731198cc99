"""Colours: hues on the wheel, and what neither place nor ground changes."""

import colorsys

import pytest
import torch

from legenda.measure.colour import Colour, colour
from legenda.measure.foreground import foreground
from tests.measure.drawings import bar, ellipse, painted


def seen(pictures: torch.Tensor) -> Colour:
    return colour(pictures, foreground(pictures))


def test_pure_hues_stand_on_the_wheel_by_sixths():
    wheel = [colorsys.hsv_to_rgb(i / 6, 1, 1) for i in range(6)]
    got = seen(torch.cat([painted(ellipse(), c) for c in wheel]))
    assert got.hue.tolist() == pytest.approx([0, 60, 120, 180, 240, 300], abs=0.01)
    assert got.saturation.tolist() == pytest.approx([1] * 6, abs=0.03)


def test_two_hues_on_either_side_of_red_make_red():
    paints = [colorsys.hsv_to_rgb(h / 360, 1, 1) for h in (340, 20)]
    halves = [painted(bar(*box), c) for box, c in zip(((20, 20, 32, 44), (32, 20, 44, 44)), paints, strict=True)]  # fmt: skip # noqa: E501
    hue = float(seen(halves[0] + halves[1]).hue)
    assert min(hue, 360 - hue) < 1


def test_grey_has_no_hue_and_no_warmth():
    got = seen(painted(ellipse(), (0.6,) * 3))
    assert got.hue.isnan().all()
    assert float(got.saturation) == float(got.warmth) == float(got.background_warmth) == 0
    assert float(got.object_brightness) == pytest.approx(0.6, abs=0.01)


def test_the_ground_changes_no_colour_of_the_object():
    grounds = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.2, 0.4, 0.9))
    got = seen(torch.cat([painted(ellipse(), (0.9, 0.3, 0.1), g) for g in grounds]))
    assert got.hue.tolist() == pytest.approx([13.9] * 3, abs=0.5)
    assert got.warmth.tolist() == pytest.approx([0.8] * 3, abs=0.02)
    assert got.background.tolist() == pytest.approx([0, 0.5, 0.39358], abs=1e-6)
    assert got.background_warmth.tolist() == pytest.approx([0, 0, -0.7])


def test_a_whole_picture_of_one_tint_is_measured_too():
    got = seen(torch.tensor([0.8, 0.4, 0.2]).double()[None, :, None, None].expand(1, 3, 64, 64))
    assert float(got.warmth) == pytest.approx(0.6)
    assert float(got.hue) == pytest.approx(19.1, abs=0.1)
