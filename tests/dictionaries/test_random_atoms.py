import re

import pytest
import torch

from legenda.dictionaries.pca import PCA
from legenda.dictionaries.random_atoms import Axes, RandomAtoms
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, unexplained


@pytest.mark.parametrize("learner", [RandomAtoms(30, 4), RandomAtoms(5, 5), Axes(3), Axes(99)])
def test_it_keeps_the_contract_of_a_dictionary(learner):
    check_dictionary(learner.fit(gaussian()), gaussian(40, seed=5).view(4, 10, 10))
    assert eval(repr(learner), {type(learner).__name__: type(learner)}) == learner


def test_codes_are_the_largest_projections_above_zero():
    rows = gaussian()
    found = RandomAtoms(30, 4).fit(rows)
    assert torch.allclose(found.atoms.norm(dim=1), torch.ones(30), atol=1e-5)
    codes = found.encode(rows[None]).dense()[0]
    for row, code in zip(rows[:20], codes, strict=False):
        z = [max(0.0, float((row - rows.mean(0)) @ atom)) for atom in found.atoms]
        kept = sorted(range(30), key=lambda i: -z[i])[:4]
        expected = torch.tensor([z[i] if i in kept else 0.0 for i in range(30)])
        assert torch.allclose(code, expected, atol=1e-5)


def test_directions_are_drawn_evenly():
    atoms = RandomAtoms(300, 1).fit(gaussian()).atoms
    assert atoms.mean(0).norm() < 0.15
    assert torch.linalg.eigvalsh(atoms.T @ atoms / 300).max() < 0.2  # 0.1 is what an axis has


def test_axes_are_neurons_with_both_their_signs():
    rows = gaussian()
    found = Axes(20).fit(rows)
    codes = found.encode(rows[None]).dense()[0].view(-1, 10, 2)
    assert torch.allclose(codes[..., 0] - codes[..., 1], rows - rows.mean(0), atol=1e-5)
    assert torch.allclose(found.decode(found.encode(rows[None]))[0], rows, atol=1e-5)
    assert Axes(3).fit(rows).encode(rows[None]).index.shape == (1, 300, 3)


def test_they_explain_less_than_what_learned():
    rows = gaussian()
    for control in (RandomAtoms(10, 3), Axes(3)):
        left = unexplained(control.fit(rows), rows)
        assert 0 < unexplained(PCA(6).fit(rows), rows) < left


def test_the_seed_and_only_the_seed_decides():
    state = torch.get_rng_state()
    first, again, other = (RandomAtoms(6, 2).fit(gaussian(), s).atoms for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(RandomAtoms(6, 2).fit(gaussian(seed=4)).atoms, first), "it learns nothing"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: RandomAtoms(3, 4),
            "RandomAtoms has from 1 to 3 units on, all that it has; most=4 is outside. Ask for "
            "fewer.",
        ),
        (lambda: Axes(0), "Axes has a unit on or more; most=0. Ask for more."),
        (
            lambda: RandomAtoms(301).fit(gaussian()),
            "301 units need 301 activations or more to begin from; there are 300. Give more "
            "images, or ask for fewer units.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
