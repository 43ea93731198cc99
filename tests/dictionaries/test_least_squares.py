import pytest
import torch
from scipy.optimize import nnls

from legenda.dictionaries import least_squares
from legenda.dictionaries.least_squares import last, non_negative
from tests.dictionaries.parts import lot_of


def twin(rows, atoms):
    """Scipy, row by row."""
    return torch.stack([torch.from_numpy(nnls(atoms.numpy().T, row.numpy())[0]) for row in rows])


def problem(kind, units, width, count=60, seed=0):
    lot = lot_of(seed)
    draw = torch.randn if kind == "signed" else torch.rand
    atoms = draw(units, width, generator=lot, dtype=torch.float64)
    if kind == "sparse":
        atoms = atoms * (torch.rand(units, width, generator=lot) < 0.3)
    return draw(count, width, generator=lot, dtype=torch.float64), atoms


@pytest.mark.parametrize("kind", ["signed", "positive", "sparse"])
@pytest.mark.parametrize(("units", "width"), [(1, 5), (8, 20), (20, 20), (40, 12)])
def test_it_is_the_optimum_that_scipy_finds(kind, units, width):
    rows, atoms = problem(kind, units, width)
    found, best = non_negative(rows, atoms), twin(rows, atoms)
    assert found.min() >= 0
    gap = (rows - found @ atoms).norm(dim=1) - (rows - best @ atoms).norm(dim=1)
    assert gap.abs().max() < 1e-9
    if units > width and kind != "positive":
        return  # several mixtures may be as good
    assert torch.allclose(found, best, atol=1e-8)


def test_rows_are_on_nobodys_account_but_their_own():
    rows, atoms = problem("positive", 24, 30, count=50)
    together = non_negative(rows, atoms)
    alone = torch.cat([non_negative(row[None], atoms) for row in rows])
    assert torch.allclose(together, alone, atol=1e-12)
    assert torch.equal(together > 0, alone > 0)


def test_a_few_systems_at_a_time_are_as_good_as_all(monkeypatch):
    rows, atoms = problem("positive", 24, 30, count=50)
    together = non_negative(rows, atoms)
    monkeypatch.setattr(least_squares, "HELD", 1000)
    assert torch.allclose(non_negative(rows, atoms), together, atol=1e-12)


def test_atoms_that_say_the_same_still_reach_the_least_error():
    rows, atoms = problem("sparse", 6, 12)
    doubled = torch.cat([atoms, atoms, torch.zeros(2, 12).double()])
    found = non_negative(rows, doubled)
    best = twin(rows, atoms)
    error = (rows - found @ doubled).square().sum(1) - (rows - best @ atoms).square().sum(1)
    assert error.abs().max() < 1e-6
    assert (found[:, -2:] == 0).all(), "what writes nothing is never on"


def test_without_exchanges_the_sweeps_come_near(monkeypatch):
    rows, atoms = problem("positive", 12, 20)
    monkeypatch.setattr(least_squares, "ROUNDS", 0)
    assert torch.allclose(non_negative(rows, atoms), twin(rows, atoms), atol=1e-5)


def test_without_patience_the_exchange_of_the_last_ends_too(monkeypatch):
    rows, atoms = problem("positive", 12, 20)
    monkeypatch.setattr(least_squares, "PATIENCE", 0)
    monkeypatch.setattr(least_squares, "FIRST", 0)
    monkeypatch.setattr(least_squares, "SWEEPS", 0)  # whoever is not settled stays wrong
    assert torch.allclose(non_negative(rows, atoms), twin(rows, atoms), atol=1e-8)


def test_the_last_of_a_row():
    wrong = torch.tensor([[True, False], [True, False], [False, False]])
    assert last(wrong).tolist() == [[False, False], [True, False], [False, False]]


def test_a_row_of_nothing_has_nobody_on():
    assert (non_negative(torch.zeros(3, 4).double(), torch.rand(5, 4).double()) == 0).all()
