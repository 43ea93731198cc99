"""Strokes: widths drawn by hand, whatever the bends, against the distance transform."""

import pytest
import torch
from scipy.ndimage import distance_transform_edt

from legenda.measure.foreground import foreground
from legenda.measure.stroke import outline_length, stroke
from tests.measure.drawings import bar, blurred, ellipse, painted, ring


def seen(pictures: torch.Tensor) -> torch.Tensor:
    return stroke(foreground(pictures)) * 64


def test_the_outline_is_its_slow_twin():
    mask = torch.rand(1, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    wide = torch.nn.functional.pad(mask, (1, 1, 1, 1))[0].tolist()
    total = 0.0
    for i in range(len(wide) - 1):
        for j in range(len(wide[0]) - 1):
            (a, b), (c, d) = wide[i][j : j + 2], wide[i + 1][j : j + 2]
            total += (((b - a + d - c) / 2) ** 2 + ((c - a + d - b) / 2) ** 2) ** 0.5
    assert float(outline_length(mask)) == pytest.approx(total)


def test_the_outline_of_a_disc_is_its_circumference():
    assert float(outline_length(ellipse()[None])) == pytest.approx(2 * 3.14159 * 12, rel=0.01)


@pytest.mark.parametrize("width", [3.0, 4.5, 6.0, 8.0])
def test_a_bar_a_bent_bar_and_a_ring_tell_their_width(width):
    straight = bar(10, 30, 54, 30 + width)
    bent = torch.maximum(bar(12, 12, 12 + width, 52), bar(12, 52 - width, 48, 52))
    round_ = ring(outer=16 + width / 2, inner=16 - width / 2)
    got = seen(torch.cat([painted(c) for c in (straight, bent, round_)]))
    assert got.tolist() == pytest.approx([width] * 3, rel=0.15)


def test_it_agrees_with_the_distance_transform():
    cover = torch.maximum(bar(12, 12, 18, 52), bar(12, 46, 48, 52))
    inside = distance_transform_edt((cover > 0.5).numpy())
    # across w pixels it is 1, 2, … 2, 1, whose mean is (w + 2) / 4
    width = 4 * inside[inside > 0].mean() - 2
    assert float(seen(painted(cover))) == pytest.approx(width, rel=0.1)


def test_a_bolder_stroke_is_wider_when_blurred_too():
    pictures = torch.cat([painted(bar(10, 30 - w, 54, 30 + w)) for w in (1.5, 2.25, 3, 3.75)])
    got = seen(blurred(pictures, 1.0))
    assert (got.diff() > 0.5).all()


def test_a_disc_and_a_square_are_no_strokes():
    assert seen(torch.cat([painted(ellipse()), painted(bar(20, 20, 40, 40))])).isnan().all()
