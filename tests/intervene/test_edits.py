import pytest
import torch

from legenda.core.codes import Codes
from legenda.core.dictionary import Identity
from legenda.intervene.edits import ablate, put, steer, swap
from tests.core.test_units import Sparse

acts = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
DICTIONARIES = [Identity(6), Sparse()]


@pytest.mark.parametrize("dictionary", DICTIONARIES, ids=lambda d: d.name)
def test_the_four_edits_mean_the_same_in_every_dictionary(dictionary):
    codes = dictionary.encode(acts)
    unit = int(codes.index[0, 0, 0])
    assert (ablate(unit)(codes).of(unit) == 0).all()
    assert torch.allclose(steer(unit, 2.0)(codes).of(unit), codes.of(unit) + 2.0)
    assert (put(unit, 0.5)(codes).of(unit) == 0.5).all()
    other = (unit + 1) % codes.size
    swapped = swap(unit, other)(codes)
    assert torch.allclose(swapped.of(other), codes.of(unit) + codes.of(other))
    assert not swapped.of(unit).any()


@pytest.mark.parametrize("edit", [ablate(1), steer(1, 2.0), put(1, 3.0), swap(1, 2)])
@pytest.mark.parametrize("dictionary", DICTIONARIES, ids=lambda d: d.name)
def test_edits_stay_where_they_are_told(dictionary, edit):
    codes = dictionary.encode(acts)
    before = codes.dense().clone()
    nowhere = torch.zeros(2, 4, dtype=torch.bool)
    for make in (
        lambda where: ablate(1, where=where),
        lambda where: steer(1, 2.0, where=where),
        lambda where: put(1, 3.0, where=where),
        lambda where: swap(1, 2, where=where),
    ):
        assert torch.equal(make(nowhere)(codes).dense(), before)
    edit(codes)
    assert torch.equal(codes.dense(), before), "codes are values: an edit makes new ones"


def test_a_unit_without_a_slot_is_given_one():
    codes = Codes(torch.tensor([[[0], [2]]]), torch.tensor([[[1.0], [1.0]]]), 4)
    assert steer(2, 5.0)(codes).of(2).tolist() == [[5.0, 6.0]]
