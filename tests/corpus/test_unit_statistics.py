import re

import numpy as np
import pytest
import torch

from legenda.core.codes import Codes
from legenda.core.dictionary import Identity
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_statistics import EDGES, UnitStatistics, compact
from legenda.errors import BadInput, ShapeError
from tests.corpus.test_sparse_pairs import SPARSE, drawn

FLOOR, TOP = 1e-3, 4


def twin(codes, floor, top, per_image=None, first_image=0):
    """All of it, one unit and one position at a time."""
    found = []
    for unit in range(codes.size):
        at, images, total, squares, bins = [], set(), 0.0, 0.0, np.zeros(len(EDGES) - 1, int)
        for b, image in enumerate(codes.dense()[..., unit]):
            own = []
            for n, z in enumerate(image.tolist()):
                total, squares = total + z, squares + z * z
                if z > floor:
                    own.append((-z, b + first_image, n))
                    images.add(b)
                    bins[[e <= z < f for e, f in zip(EDGES, EDGES[1:], strict=False)].index(True)] += 1  # fmt: skip # noqa: E501
            at += sorted(own)[:per_image]
        largest = float(codes.dense()[..., unit].max())
        active = int(bins.sum())
        found.append((active, len(images), total, squares, largest, bins, sorted(at)[:top]))
    return found


def same_as_twin(found, expected, codes, first_image=0):
    survey = found.result(SparsePairs.of(codes), "toy", None, ())
    for unit, (active, images, total, squares, largest, bins, at) in enumerate(expected):
        assert (found.active[unit], found.active_images[unit]) == (active, images)
        assert found.total[unit] == pytest.approx(total, rel=1e-12, abs=1e-12)
        assert found.squares[unit] == pytest.approx(squares, rel=1e-12, abs=1e-12)
        assert found.largest[unit] == largest
        assert np.array_equal(found.histogram[unit], bins)
        e = survey.exemplars
        shown = e.image[unit] >= 0
        places = zip(-e.value[unit], e.image[unit], e.position[unit], strict=True)
        assert [p for p, s in zip(places, shown, strict=True) if s] == at
        assert not shown[len(at) :].any()
        for slot, (_, b, n) in enumerate(at):
            code = np.zeros(codes.size, np.float32)
            np.add.at(code, e.index[unit, slot], e.weight[unit, slot])
            assert np.array_equal(code, codes.dense()[b - first_image, n].numpy())


@pytest.mark.parametrize("per_image", [None, 1, 2])
def test_everything_is_that_of_the_slow_twin(per_image):
    codes = drawn(20, images=6, positions=9)
    found = UnitStatistics.of(codes, 3, FLOOR, TOP, per_image)
    assert found.images == 6 and found.positions == 54
    same_as_twin(found, twin(codes, FLOOR, TOP, per_image, 3), codes, 3)


def test_neurons_that_are_never_above_nothing():
    acts = -torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    acts[..., 0] *= -1
    codes = Identity(4).encode(acts)
    found = UnitStatistics.of(codes, 0, FLOOR, TOP)
    same_as_twin(found, twin(codes, FLOOR, TOP), codes)
    assert (found.largest[1:] < 0).all() and (found.active[1:] == 0).all()


@pytest.mark.parametrize("per_image", [None, 1])
@pytest.mark.parametrize("cut", [0, 1, 4, 8])
def test_two_parts_merge_to_the_whole(cut, per_image):
    codes = drawn(20, images=8, positions=9)
    codes.weight[...] = (codes.weight * 8).round() / 8  # so that many are equal
    parts = [
        UnitStatistics.of(Codes(codes.index[a], codes.weight[a], 20), start, FLOOR, TOP, per_image)
        for start, a in ((0, slice(0, cut)), (cut, slice(cut, 8)))
    ]
    whole, merged = UnitStatistics.of(codes, 0, FLOOR, TOP, per_image), parts[0].merge(parts[1])
    for name in ("images", "positions", "active", "active_images", "largest", "histogram"):
        assert np.array_equal(getattr(whole, name), getattr(merged, name))
    assert np.allclose(whole.total, merged.total, rtol=1e-12)
    assert np.allclose(whole.squares, merged.squares, rtol=1e-12)
    for name, value in vars(whole.strongest).items():
        assert np.array_equal(value, vars(merged.strongest)[name]), name


def test_of_equal_weights_the_earlier_goes_first():
    index = torch.zeros(3, 4, 1, dtype=torch.int64)
    found = UnitStatistics.of(Codes(index, torch.ones(3, 4, 1), 2), 0, FLOOR, 6).strongest
    assert found.image.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.position.tolist() == [0, 1, 2, 3, 0, 1]
    once = UnitStatistics.of(Codes(index, torch.ones(3, 4, 1), 2), 0, FLOOR, 6, 1).strongest
    assert once.image.tolist() == [0, 1, 2] and once.position.tolist() == [0, 0, 0]


def test_positions_are_counted_among_those_of_the_mask():
    codes = drawn(20, images=4, positions=6)
    mask = torch.ones(4, 6, dtype=torch.bool)
    mask[:, 0] = False
    kept = Codes(codes.index[:, 1:], codes.weight[:, 1:], 20)
    found, expected = UnitStatistics.of(codes, mask=mask), UnitStatistics.of(kept)
    for name, value in vars(expected.strongest).items():
        assert np.array_equal(vars(found.strongest)[name], value)
    assert np.array_equal(found.total, expected.total) and found.positions == 20


def test_a_higher_floor_counts_less_and_leaves_the_sums():
    codes = drawn(20)
    low, high = UnitStatistics.of(codes, floor=0.1), UnitStatistics.of(codes, floor=0.5)
    assert (high.active <= low.active).all() and high.active.sum() < low.active.sum()
    assert np.array_equal(high.total, low.total)


def test_a_planted_exemplar_comes_first_whatever_surrounds_it():
    codes = drawn(SPARSE, images=9)
    codes.index[7, 3, 0], codes.weight[7, 3] = 11, torch.tensor([5.0, 0.25, 0.0])
    e = UnitStatistics.of(codes).result(SparsePairs.of(codes), "toy", None, ()).exemplars
    assert (e.image[11, 0], e.position[11, 0], e.value[11, 0]) == (7, 3, 5.0)
    assert np.array_equal(e.weight[11, 0], [5.0, 0.25, 0.0])


@pytest.mark.parametrize("q", [0.0, 0.01, 0.3, 0.5, 0.9, 1.0])
def test_a_quantile_is_off_by_a_bin_at_most(q):
    z = torch.randn(3000, generator=torch.Generator().manual_seed(2)).exp()
    codes = Codes(torch.zeros(30, 100, 1, dtype=torch.int64), z.view(30, 100, 1), 2)
    survey = UnitStatistics.of(codes).result(SparsePairs.of(codes), "toy", None, ())
    exact = float(np.quantile(z.numpy(), q, method="inverted_cdf"))
    low, high = survey.quantile_bounds(0, q)
    assert low <= exact <= high <= low * 2 ** (1 / 8) * (1 + 1e-9)
    assert survey.quantile(0, q) == pytest.approx(exact, rel=2 ** (1 / 16) - 1 + 1e-6)


def test_weights_beyond_all_edges_are_counted_too():
    codes = Codes(
        torch.zeros(1, 3, 1, dtype=torch.int64), torch.tensor([[[1e-9], [1e9], [2.0]]]), 2
    )
    found = UnitStatistics.of(codes, floor=0.0)
    assert found.histogram[0].sum() == 3 and found.histogram[0][[0, -1]].tolist() == [1, 1]


def test_compact_codes_are_the_same_codes():
    index, weight = np.array([[3, 1, 2], [5, 6, 7]]), np.array([[0.0, 2.0, 0.0], [0.0, 1.0, 4.0]])
    shorter = compact(index, weight)
    assert shorter[0].tolist() == [[1, 3], [6, 7]] and shorter[1].tolist() == [[2, 0], [1, 4]]
    assert compact(index[:0], weight[:0])[0].shape == (0, 3)


def test_what_is_refused():
    codes = drawn(20)
    with pytest.raises(BadInput, match=re.escape(
        "Exemplars number 1 or more; it got top=0 and per_image=None."
    )):  # fmt: skip
        UnitStatistics.of(codes, top=0)
    with pytest.raises(BadInput, match="top=30 and per_image=0"):
        UnitStatistics.of(codes, per_image=0)
    with pytest.raises(ShapeError, match=re.escape(
        "UnitStatistics of 20 units with 30 exemplars cannot be merged with those of 20 units "
        "with 3. Merge what one survey found."
    )):  # fmt: skip
        UnitStatistics.of(codes).merge(UnitStatistics.of(codes, top=3))
