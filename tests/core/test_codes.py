import torch

from legenda.core.codes import Codes

# two positions, two slots each, four units; the second slot of the second position is padding
codes = Codes(torch.tensor([[[0, 2], [2, 1]]]), torch.tensor([[[1.0, -2.0], [3.0, 0.0]]]), size=4)


def test_dense_is_the_same_codes_written_out():
    assert codes.dense().tolist() == [[[1.0, 0.0, -2.0, 0.0], [0.0, 0.0, 3.0, 0.0]]]


def test_one_unit_at_each_position():
    assert codes.of(2).tolist() == [[-2.0, 3.0]]
    assert codes.of(3).tolist() == [[0.0, 0.0]]


def test_pooled_sums_over_positions():
    assert codes.pooled().tolist() == [[1.0, 0.0, 1.0, 0.0]]
    weighted = codes.pooled(torch.tensor([[2.0, 10.0]]))
    assert weighted.tolist() == [[2.0, 0.0, 26.0, 0.0]]


def test_strongest_is_zero_where_a_unit_is_never_on():
    assert codes.strongest().tolist() == [[1.0, 0.0, 3.0, 0.0]]


def test_a_thousand_slots_take_no_dense_array():
    many = Codes(torch.zeros(2, 5, 1, dtype=torch.long), torch.ones(2, 5, 1), 10**9)
    assert many.of(0).sum() == 10
