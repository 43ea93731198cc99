"""Texture: sharp and grainy pictures have it, soft ones less, and size does not matter."""

import pytest
import torch

from legenda.measure.texture import blurred as softened
from legenda.measure.texture import texture
from tests.measure.drawings import blurred, ellipse, painted


def test_the_blur_is_its_slow_twin():
    maps = torch.rand(1, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    weights = [1, 4, 6, 4, 1]
    for i in range(5):
        for j in range(6):
            want = sum(
                weights[a]
                * weights[b]
                * float(maps[0, min(max(i + a - 2, 0), 4), min(max(j + b - 2, 0), 5)])  # fmt: skip # noqa: E501
                for a in range(5)
                for b in range(5)
            )
            assert float(softened(maps)[0, i, j]) == pytest.approx(want / 256)


def test_blurring_takes_it_away():
    sharp = painted(ellipse())
    got = texture(torch.cat([sharp, blurred(sharp, 1.0), blurred(sharp, 2.0)]))
    assert (got.diff() < -0.02).all()


def test_size_and_place_do_not_change_it():
    got = texture(torch.cat([painted(ellipse(x=x, a=a, b=a)) for x, a in ((32, 8), (32, 16), (20, 8))]))  # fmt: skip # noqa: E501
    assert got.tolist() == pytest.approx([float(got[0])] * 3, rel=0.1)


def test_grain_adds_to_it_and_a_flat_picture_has_none():
    lot = torch.Generator().manual_seed(0)
    smooth = torch.linspace(0.2, 0.8, 64).double().expand(1, 3, 64, 64)
    grain = (smooth + 0.05 * torch.randn(1, 1, 64, 64, generator=lot)).clamp(0, 1)
    flat = torch.full((1, 3, 64, 64), 0.5).double()
    got = texture(torch.cat([flat, smooth, grain]))
    assert got[0] == pytest.approx(0, abs=1e-12)
    assert got[2] > 10 * got[1]
