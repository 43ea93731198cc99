"""Outlines: hulls against scipy's, pieces and holes counted by hand, laws of shape."""

from math import pi

import pytest
import torch
from scipy.spatial import ConvexHull

from legenda.measure.foreground import foreground
from legenda.measure.outline import Outline, crossings, evened, hull, outline, pieces, symmetry
from tests.measure.drawings import bar, blurred, ellipse, painted, ring


def seen(*covers) -> Outline:
    return outline(foreground(torch.cat([painted(c) for c in covers])))


def triangle(pointing_up: bool = True) -> torch.Tensor:
    rows = [bar(32 - i * 0.5, 14 + i, 32 + i * 0.5, 15 + i) for i in range(1, 36)]
    cover = torch.stack(rows).amax(0)
    return cover if pointing_up else cover.flip(0)


def test_hulls_are_those_of_scipy():
    points = torch.randn(5, 40, 2, generator=torch.Generator().manual_seed(0)).double()
    length, area = hull(points)
    for k, cloud in enumerate(points):
        # of flat hulls scipy calls the length `area` and the area `volume`
        twin = ConvexHull(cloud.numpy())
        assert float(length[k]) == pytest.approx(twin.area, rel=0.001)
        assert float(area[k]) == pytest.approx(twin.volume, rel=0.03)


def test_a_crossing_lies_between_pixels():
    mask = torch.zeros(1, 9, 9).double()
    mask[0, 3:6, 2:6] = torch.tensor([0.25, 1, 1, 0.75]).double()
    right = crossings(mask)[0, :, 0]
    # from the mean column, 3.75: ½ is crossed a third before 3, and two thirds beyond 5
    assert float(right.min()) == pytest.approx(2 + 1 / 3 - 3.75)
    assert float(right.max()) == pytest.approx(5 + 1 / 3 - 3.75)


def test_evened_points_have_equal_axes():
    mask = ellipse(a=18, b=6, turn=30)[None]
    points = evened(crossings(mask), mask)[0]
    lengths = points[points.norm(dim=1) > 0.1].norm(dim=1)
    assert float(lengths.min()) == pytest.approx(2, abs=0.1)
    assert float(lengths.max()) == pytest.approx(2, abs=0.1)


def test_every_ellipse_is_round_and_no_rectangle_is():
    got = seen(ellipse(a=16, b=16), ellipse(a=24, b=8, turn=25), bar(16, 16, 48, 48), bar(12, 24, 52, 40))  # fmt: skip # noqa: E501
    assert got.roundness[:2].tolist() == pytest.approx([1, 1], abs=0.02)
    assert got.roundness[2:].tolist() == pytest.approx([pi / 4, pi / 4], abs=0.03)


def test_a_notch_costs_convexity_in_proportion():
    whole, notched = bar(16, 16, 48, 48), bar(16, 16, 48, 48) - bar(24, 16, 40, 32)
    convexity = seen(whole, notched).convexity
    assert convexity.tolist() == pytest.approx([1, 0.75], abs=0.02)


def test_symmetry_is_its_slow_twin():
    mask = torch.rand(1, 6, 9, generator=torch.Generator().manual_seed(1)).double()
    one, total = mask[0].tolist(), float(mask.sum())
    middle = sum(m * j for row in one for j, m in enumerate(row)) / total
    both = either = 0.0
    for row in one:
        for j, m in enumerate(row):
            at = 2 * middle - j
            low = int(at // 1)
            near = [row[i] if 0 <= i < 9 else 0.0 for i in (low, low + 1)]
            other = near[0] * (low + 1 - at) + near[1] * (at - low)
            both, either = both + min(m, other), either + max(m, other)
    assert float(symmetry(mask)) == pytest.approx(both / either)


def test_symmetry_is_between_left_and_right():
    got = seen(triangle(), triangle().mT, ellipse(x=30.25), ellipse(a=20, b=6, turn=45)).symmetry
    assert got[0] > 0.95 and got[2] > 0.95
    assert got[1] < 0.7 and got[3] < 0.5


def test_pieces_and_holes_are_counted():
    two = torch.maximum(ring(18, 32, 9, 4), ellipse(46, 32, 9, 9))
    eight = torch.maximum(ring(32, 22, 9, 4.5), ring(32, 38, 9, 4.5))
    got = seen(ellipse(), ring(), two, eight)
    assert got.count.tolist() == [1, 1, 2, 1]
    assert got.holes.tolist() == [0, 1, 1, 2]


def test_counts_hold_when_blurred():
    pictures = torch.cat([painted(c) for c in (ring(), torch.maximum(bar(8, 8, 20, 20), bar(40, 40, 52, 52)))])  # fmt: skip # noqa: E501
    got = outline(foreground(blurred(pictures)))
    assert (got.count.tolist(), got.holes.tolist()) == ([1, 2], [1, 0])


def test_specks_count_as_nothing_and_corners_touch():
    solid = torch.zeros(2, 20, 20, dtype=torch.bool)
    solid[0, 2:10, 2:10] = True
    solid[0, 15, 15] = True  # a speck
    solid[0, 5, 5] = False  # a pinprick
    solid[1, 2:8, 2:8] = solid[1, 8:14, 8:14] = True  # one piece: they meet at a corner
    count, holes = pieces(solid)
    assert (count.tolist(), holes.tolist()) == ([1, 1], [0, 0])


def test_a_picture_that_the_object_fills_still_counts():
    count, holes = pieces(torch.ones(1, 8, 8, dtype=torch.bool))
    assert (float(count), float(holes)) == (1, 0)
