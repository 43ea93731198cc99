"""What every sparse autoencoder shares: two linear maps, and rows it can begin from."""

import pytest
import torch

from legenda.core.codes import Codes
from legenda.dictionaries.autoencoder import (
    begun,
    checked_rows,
    geometric_median,
    on,
    padded,
)
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput, ShapeError
from tests.dictionaries import toys


def test_readings_and_decoding_are_the_equations():
    rows = toys.drawn(30)
    module = toys.stirred(ReLUL1(20), rows)
    a = toys.readings(module, rows)
    torch.testing.assert_close(module.readings(rows), a, rtol=1e-5, atol=1e-6)
    codes = module.encode(rows[None])
    torch.testing.assert_close(codes.dense()[0], a.relu().detach(), rtol=1e-5, atol=1e-6)
    slow = sum(z[:, None] * d for z, d in zip(a.relu().T, module.decoder, strict=True))
    torch.testing.assert_close(
        module.decode(codes)[0], (slow + module.bias).detach(), rtol=1e-5, atol=1e-5
    )


def test_nothing_on_decodes_to_the_bias():
    module = toys.stirred(TopK(20, 3), toys.drawn(30))
    nothing = Codes(torch.zeros(1, 2, 1).long(), torch.zeros(1, 2, 1), 20)
    assert torch.equal(module.decode(nothing)[0, 1], module.bias.detach())


def test_it_begins_with_unit_atoms_a_copied_encoder_and_the_median():
    rows = toys.drawn(300)
    module = begun(rows, 20, 3, ReLUL1(20))
    assert torch.equal(module.encoder, module.decoder) and not module.offset.any()
    torch.testing.assert_close(module.atoms.norm(dim=1), torch.ones(20))
    assert torch.equal(module.bias, geometric_median(rows))
    assert not begun(rows, 20, 3, ReLUL1(20), centred=False).bias.any()
    assert torch.equal(begun(rows, 20, 3, ReLUL1(20)).atoms, module.atoms)
    assert not torch.equal(begun(rows, 20, 4, ReLUL1(20)).atoms, module.atoms)


def test_atoms_are_not_rows_that_someone_drew_from_the_same_seed():
    module = begun(toys.drawn(300), 20, 5, ReLUL1(20))
    drawn = torch.randn(20, 12, generator=torch.Generator().manual_seed(5))
    cosines = module.atoms @ torch.nn.functional.normalize(drawn, dim=1).T
    assert cosines.abs().max() < 0.99


def test_the_geometric_median_lies_where_the_summed_distance_is_least():
    rows = toys.drawn(101) ** 3
    point = geometric_median(rows, steps=500, tolerance=0.0)
    least = (rows - point).norm(dim=1).sum()
    lot = torch.Generator().manual_seed(1)
    for _ in range(20):
        other = point + 0.05 * torch.randn(12, generator=lot)
        assert (rows - other).norm(dim=1).sum() > least
    assert (rows - rows.mean(0)).norm(dim=1).sum() > least + 0.1


def test_rows_that_nothing_is_learned_from_are_refused():
    rows = toys.drawn(30)
    rows[4, 2] = torch.nan
    with pytest.raises(BadInput) as caught:
        checked_rows(rows, 4)
    assert str(caught.value) == (
        "a dictionary is learned from finite activations (r d); it got the shape (30, 12) with 1 "
        "rows that hold NaN or infinity. Check the model."
    )
    with pytest.raises(BadInput) as caught:
        begun(toys.drawn(30), 31, 0, ReLUL1(31))
    assert str(caught.value) == (
        "31 units need 31 activations or more to begin from; there are 30. Give more images, or "
        "ask for fewer units."
    )
    flat = toys.drawn(30)
    flat[:, [3, 7]] = 1.5
    with pytest.raises(BadInput) as caught:
        checked_rows(flat, 4)
    assert str(caught.value) == (
        "2 of 12 columns of the activations are constant (the first is 3). Open the model at a "
        "site that varies."
    )


def test_acts_of_another_width_are_refused():
    module = toys.stirred(TopK(20, 3), toys.drawn(30))
    with pytest.raises(ShapeError) as caught:
        module.encode(torch.zeros(1, 2, 13))
    assert str(caught.value) == (
        "sae holds atoms of width 12; the acts have width 13. "
        "Use a dictionary that was fitted at this site."
    )


def test_units_above_a_threshold_are_the_strongest_first():
    index, weight = on(torch.tensor([[0.5, -1.0, 2.0], [0.1, 0.2, -3.0]]), 0.15)
    assert weight.tolist() == [[2.0, 0.5], [pytest.approx(0.2), 0.0]]
    assert index[0].tolist() == [2, 0] and index[1, 0] == 1


def test_padding_takes_units_that_are_in_no_slot_of_the_row():
    assert padded(torch.tensor([[1, 0], [3, 2]]), 4, 4).tolist() == [[1, 0, 2, 3], [3, 2, 0, 1]]
    assert padded(torch.tensor([[5], [1]]), 3, 9).tolist() == [[5, 0, 1], [1, 0, 2]]
    assert padded(torch.tensor([[5, 1]]), 2, 9).tolist() == [[5, 1]]
    with pytest.raises(ShapeError) as caught:
        padded(torch.tensor([[1]]), 5, 4)
    assert str(caught.value) == "4 units fill 4 slots at most; 5 were asked for."


def test_batches_of_any_size_and_shape_give_the_same_codes():
    acts = toys.drawn(24).view(2, 12, 12)
    module = toys.stirred(ReLUL1(20), toys.drawn(30))
    whole = module.encode(acts)
    assert whole.index.shape[:2] == (2, 12)
    for b in range(2):
        one = module.encode(acts[b : b + 1])
        torch.testing.assert_close(one.dense(), whole.dense()[b : b + 1], rtol=1e-5, atol=1e-6)
