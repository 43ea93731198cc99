import re

import numpy as np
import pytest
import torch

from legenda.core.codes import Codes
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.errors import BadInput, ShapeError

SPARSE, CROWDED = 60, 12  # of 3 slots: more than, and less than, 8 units for each


def drawn(units, images=5, positions=7, slots=3, seed=0, low=-0.2):
    """Codes with some padded slots, some below the floor, some negative."""
    lot = torch.Generator().manual_seed(seed)
    index = torch.rand(images, positions, units, generator=lot).topk(slots, -1).indices
    weight = torch.rand(index.shape, generator=lot) * (1 - low) + low
    weight[torch.rand(index.shape, generator=lot) < 0.2] = 0
    return Codes(index, weight, units)


def twin(codes, floor):
    """Equation (1), as a dense matmul."""
    z = codes.dense().flatten(0, 1).double()
    on = (z > floor).double()
    return (on.T @ on).long().numpy(), (z.T @ on).numpy()


@pytest.mark.parametrize("units", [SPARSE, CROWDED])
@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_pairs_are_those_of_the_dense_twin(units, floor):
    codes = drawn(units)
    found, (together, weighted) = SparsePairs.of(codes, floor), twin(codes, floor)
    assert found.together.dtype == np.int64 and found.weighted.dtype == np.float64
    assert np.array_equal(found.together.toarray(), together)
    assert np.allclose(found.weighted.toarray(), weighted, rtol=1e-12, atol=1e-12)
    assert (together > 1).any() and (weighted < 0).any()


@pytest.mark.parametrize("units", [SPARSE, CROWDED])
def test_rows_and_columns_come_in_order(units):
    found = SparsePairs.of(drawn(units))
    for pairs in (found.together, found.weighted):
        assert all((np.diff(pairs.indices[a:b]) > 0).all() for a, b in zip(pairs.indptr, pairs.indptr[1:], strict=False))  # fmt: skip # noqa: E501


def test_two_parts_merge_to_the_whole():
    codes = drawn(SPARSE, images=8)
    parts = [Codes(codes.index[a], codes.weight[a], SPARSE) for a in (slice(0, 3), slice(3, 8))]
    one, other = (SparsePairs.of(part) for part in parts)
    whole, merged = SparsePairs.of(codes), one.merge(other)
    assert (merged.together != whole.together).nnz == 0
    assert np.allclose(merged.weighted.toarray(), whole.weighted.toarray(), rtol=1e-12)
    nothing = SparsePairs.none(SPARSE).merge(one)
    assert (nothing.together != one.together).nnz == 0 and len(nothing) == SPARSE


def test_masked_positions_do_not_count():
    codes = drawn(SPARSE)
    mask = torch.rand(codes.index.shape[:2], generator=torch.Generator().manual_seed(3)) < 0.5
    silent = Codes(codes.index, codes.weight * mask[..., None], SPARSE)
    found, expected = SparsePairs.of(codes, mask=mask), SparsePairs.of(silent)
    assert (found.together != expected.together).nnz == 0
    assert (found.together != SparsePairs.of(codes).together).nnz > 0


def test_the_order_of_positions_is_no_matter_and_counts_are_symmetric():
    codes = drawn(SPARSE)
    back = SparsePairs.of(Codes(codes.index.flip(0, 1), codes.weight.flip(0, 1), SPARSE)).together
    found = SparsePairs.of(codes).together
    assert (found != back).nnz == 0 and (found != found.T).nnz == 0


def test_where_all_weigh_one_both_matrices_agree():
    codes = drawn(SPARSE)
    flat = Codes(codes.index, (codes.weight > 0).float(), SPARSE)
    found = SparsePairs.of(flat)
    assert np.array_equal(found.together.toarray(), found.weighted.toarray())


def test_the_diagonal_counts_where_a_unit_is_on():
    codes = drawn(SPARSE)
    on = (codes.dense() > 1e-3).sum((0, 1)).numpy()
    assert np.array_equal(SparsePairs.of(codes).together.diagonal(), on)


def test_a_planted_parent_is_always_on_with_its_child():
    lot = torch.Generator().manual_seed(1)
    child = (torch.rand(4, 50, generator=lot) < 0.3).float()
    parent = torch.maximum(child, (torch.rand(4, 50, generator=lot) < 0.2).float())
    index = torch.tensor([7, 31]).expand(4, 50, 2)
    c = SparsePairs.of(Codes(index, torch.stack([child, parent], -1), SPARSE)).together
    assert c[7, 31] == c[7, 7] == int(child.sum()) < c[31, 31]


def test_a_hundred_thousand_units_need_no_square():
    codes = drawn(100_000, slots=4)
    assert SparsePairs.of(codes).together.nnz <= 5 * 7 * 16


def test_a_padded_slot_may_name_a_unit_that_is_on():
    index, weight = torch.tensor([[[4, 4, 0]]]), torch.tensor([[[0.5, 0.0, 0.0]]])
    for units in (SPARSE, CROWDED):
        found = SparsePairs.of(Codes(index, weight, units))
        assert found.together.nnz == 1 and found.together[4, 4] == 1
        assert found.weighted[4, 4] == 0.5


def test_what_cannot_be_counted():
    codes = drawn(SPARSE)
    with pytest.raises(BadInput, match=re.escape(
        "A unit is on above a floor of 0 or more; it got floor=-0.1. The published floor is 0.001."
    )):  # fmt: skip
        SparsePairs.of(codes, -0.1)
    codes.weight[0, 0, 0] = torch.nan
    codes.weight[2, 1] = torch.inf
    with pytest.raises(BadInput, match=re.escape(
        "Codes are counted where they are finite; 2 of 35 positions hold NaN or infinity. Check "
        "the model and its input."
    )):  # fmt: skip
        SparsePairs.of(codes)
    with pytest.raises(ShapeError, match=re.escape(
        "SparsePairs of 60 units cannot be merged with pairs of 12 units. Merge what one "
        "dictionary has counted."
    )):  # fmt: skip
        SparsePairs.none(60).merge(SparsePairs.none(12))
