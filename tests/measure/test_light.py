"""Light: shaded objects are lit from where they are bright, wherever they are."""

import pytest
import torch

from legenda.measure.foreground import foreground
from legenda.measure.light import DARK, Light, light, luma, side
from tests.measure.drawings import ellipse, painted


def seen(pictures: torch.Tensor) -> Light:
    return light(pictures, foreground(pictures))


def shaded(x: float, slope: float, ground: float = 0.0) -> torch.Tensor:
    """A disc whose brightness rises to the right."""
    place = (torch.arange(64).double() + 0.5 - x) / 24
    return painted(ellipse(x=x)) * (0.6 + slope * place).clamp(0, 1) + ground * (1 - ellipse(x=x))


def test_white_has_luma_one():
    assert float(luma(torch.ones(1, 3, 2, 2)).mean()) == pytest.approx(1)


def test_the_side_is_its_slow_twin():
    lot = torch.Generator().manual_seed(0)
    there = torch.rand(1, 9, generator=lot).double()
    grey = torch.rand(1, 9, generator=lot).double()
    w, y = there[0].tolist(), grey[0].tolist()
    middle = sum(a * i for i, a in enumerate(w)) / sum(w)
    lit = [a * (b + DARK) for a, b in zip(w, y, strict=True)]
    bright = sum(a * i for i, a in enumerate(lit)) / sum(lit)
    sigma = (sum(a * (i - middle) ** 2 for i, a in enumerate(w)) / sum(w)) ** 0.5
    want = (bright - middle) / (12**0.5 * sigma)
    assert float(side(there * grey, there)) == pytest.approx(want)


def test_the_lit_side_is_told_wherever_the_object_and_whatever_its_ground():
    at = [shaded(20, 0.5), shaded(44, 0.5), shaded(32, 0.5, 1.0), shaded(32, -0.5), shaded(32, 0)]
    got = seen(torch.cat(at)).light_x.tolist()
    assert got[0] > 0.04
    assert got[1:3] == pytest.approx([got[0]] * 2, rel=0.2)
    assert got[3] == pytest.approx(-got[0], abs=0.02)
    assert got[4] == pytest.approx(0, abs=0.003)


def test_below_is_positive():
    turned = shaded(32, 0.5).mT
    assert float(seen(turned).light_y) > 0.04
    assert abs(float(seen(turned).light_x)) < 0.003


def test_a_photograph_is_lit_too():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    ramp = torch.linspace(0.2, 0.9, 64).double()
    assert float(seen(noise * 0.1 + ramp * 0.9).light_x) > 0.03
    assert abs(float(seen(noise).light_x)) < 0.02


def test_brightness_and_contrast_are_mean_and_spread():
    grey = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    got = seen(grey.expand(1, 3, 8, 8))
    assert float(got.brightness) == pytest.approx(float(grey.mean()))
    assert float(got.contrast) == pytest.approx(float(grey.std(correction=0)))
