from dataclasses import replace

import torch

from legenda.core.codes import Codes
from legenda.core.dictionary import Identity, weighted_atoms
from legenda.core.units import Units, difference
from legenda.intervene.edits import ablate, put, steer
from tests.contracts import check_dictionary, check_lift, near
from tests.toys import ToyEncoder, pixels

units = Units(ToyEncoder(), Identity(6))
acts = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))


class Sparse:
    """The two nearest of nine atoms, with an offset: lossy, so that Δ matters."""

    name = "sparse"

    def __init__(self):
        lot = torch.Generator().manual_seed(5)
        self.atoms = torch.randn(9, 6, generator=lot)
        self.offset = torch.randn(6, generator=lot)

    def encode(self, acts):
        weight, index = ((acts - self.offset) @ self.atoms.T).topk(2, -1)
        return Codes(index, weight, 9)

    def decode(self, codes):
        return weighted_atoms(codes, self.atoms) + self.offset


def test_a_lossy_dictionary_keeps_the_contracts():
    check_dictionary(Sparse(), acts)
    check_lift(Units(ToyEncoder(), Sparse()), pixels())


def test_strength_zero_is_the_clean_run_bit_for_bit():
    for dictionary in (Identity(6), Sparse()):
        here = Units(ToyEncoder(), dictionary)
        lifted = here.lift(steer(3, by=0.0))
        assert lifted(acts) is acts
        clean, zero = here.model.run(pixels()), here.model.run(pixels(), edit=lifted)
        assert torch.equal(clean.output, zero.output)


def test_an_edit_changes_its_own_atom_and_nothing_else():
    here = Units(ToyEncoder(), Sparse())
    changed = here.lift(steer(3, by=2.0))(acts)
    assert near(changed - acts, (2.0 * here.dictionary.atoms[3]).expand_as(acts))


def test_positions_outside_where_stay_as_they_are():
    where = torch.zeros(2, 4, dtype=torch.bool)
    where[0, 1] = True
    changed = units.lift(put(2, 7.0, where=where))(acts)
    assert changed[0, 1, 2] == 7.0
    again = changed.clone()
    again[0, 1, 2] = acts[0, 1, 2]
    assert near(again, acts)


def test_a_lifted_ablation_silences_the_neuron():
    run = units.model.run(pixels(), edit=units.lift(ablate(1, 4)))
    assert run.acts[..., [1, 4]].abs().max() < 1e-6
    assert run.acts[..., 0].abs().max() > 0


def test_difference_holds_the_changed_slots_only():
    codes = Identity(6).encode(acts)
    assert difference(codes, codes) is None
    assert difference(codes, replace(codes, weight=codes.weight.clone())) is None
    change = difference(codes, ablate(2)(codes))
    assert change is not None
    assert torch.equal(change.of(2), -codes.of(2))
    assert not change.of(1).any()
