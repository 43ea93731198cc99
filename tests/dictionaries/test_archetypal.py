"""Archetypal atoms lie in the hull of their points, and two runs agree on them."""

from itertools import combinations

import pytest
import torch
from scipy.optimize import nnls

from legenda.dictionaries.archetypal import Archetypal, weights_of
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput
from tests.dictionaries.planted import (
    Planted,
    check_learner,
    fvu,
    matched,
    recovered,
    slow_error,
    slow_readings,
    taught,
)

ROWS = Planted()
FEW = {"candidates": 60}


def test_it_keeps_the_contract():
    check_learner(Archetypal(24, 3, **FEW))
    check_learner(Archetypal(70, 3, relax=0.2, points="sample", **FEW))


def outside(atom, points):
    """How far an atom lies from the hull, by non-negative least squares with a dear sum to one."""
    dear = 1e3
    matrix = torch.cat([points.T, torch.full((1, len(points)), dear)]).double().numpy()
    target = torch.cat([atom, torch.tensor([dear])]).double().numpy()
    return nnls(matrix, target, maxiter=10_000)[1]


def test_atoms_lie_in_the_hull_of_the_points():
    module = taught(Archetypal(24, 3, **FEW), ROWS, 60)
    mixture = weights_of(module).detach()
    assert (mixture >= 0).all()
    torch.testing.assert_close(mixture.sum(1), torch.ones(24))
    torch.testing.assert_close(module.atoms, mixture @ module.points)
    size = float(module.scale)
    assert max(outside(atom, module.points) for atom in module.atoms) < 1e-3 * size
    assert outside(3 * module.atoms[0], module.points) > 0.1 * size, "the check can fail"


def test_a_relaxed_atom_leaves_the_hull_by_no_more_than_it_may():
    module = taught(Archetypal(24, 3, relax=0.15, **FEW), ROWS, 60)
    most, far = 0.15 * float(module.scale), module.detour.detach().norm(dim=1)
    assert float(far.max()) <= most * (1 + 1e-5)
    assert float(far.max()) > 0.9 * most, "some go as far as they may"
    distances = [outside(atom, module.points) for atom in module.atoms]
    assert 0.01 * most < max(distances) < most * 1.001


def test_the_loss_is_its_equation():
    learner = Archetypal(9, 3, relax=0.2, candidates=12)
    module = learner.begin(ROWS(100, 1), 0)
    module.detour.data += 0.05 * torch.randn(9, 32)
    module.mixture.data += 0.1 * torch.randn(9, 12)
    module, rows, total = module.double(), ROWS(6, 2).double(), 0.0
    assert not torch.equal(module.atoms, module.decoder.detach()), "atoms, not what settled last"
    for x in rows:
        a = [max(0.0, reading) for reading in slow_readings(module, x)]
        first = sorted(range(9), key=lambda i: -a[i])[:3]
        total += slow_error(module, x, [a[i] if i in first else 0.0 for i in range(9)])
    loss, _ = learner.loss(module, rows, 0, 10)
    assert float(loss.detach()) == pytest.approx(total / 6 / float(module.scale) ** 2, rel=1e-6)


def test_points_do_not_depend_on_the_seed_of_the_run():
    for points in ("means", "sample"):
        learner = Archetypal(9, 3, points=points, **FEW)
        one, other = (learner.begin(ROWS(600, 1), seed) for seed in (0, 1))
        assert torch.equal(one.points, other.points)
        assert not torch.equal(one.atoms, other.atoms)
        moved = Archetypal(9, 3, points=points, seed=1, **FEW).begin(ROWS(600, 1), 0)
        assert not torch.equal(one.points, moved.points)


def test_a_sample_is_of_activations_themselves():
    rows = ROWS(600, 1)
    module = Archetypal(9, 3, points="sample", **FEW).begin(rows, 0)
    assert float(torch.cdist(module.points + module.bias.detach(), rows).amin(1).max()) < 1e-2


def test_its_decoder_and_its_atoms_are_one():
    module = taught(Archetypal(24, 3, relax=0.1, **FEW), ROWS, 5)
    assert torch.equal(module.decoder.detach(), module.atoms)


def test_two_runs_agree_better_than_those_of_top_k():
    found = {}
    for learner in (TopK(32, 3, revive=None), Archetypal(32, 3, candidates=200)):
        runs = [taught(learner, ROWS, 120, size=200, seed=seed) for seed in range(3)]
        agree = [float(matched(a.atoms, b.atoms).mean()) for a, b in combinations(runs, 2)]
        found[type(learner)] = sum(agree) / 3
        if isinstance(learner, Archetypal):
            assert recovered(runs[0].atoms, ROWS.atoms) > 0.9
            assert fvu(runs[0], ROWS(1000, 5)) < 0.25
    assert found[Archetypal] > found[TopK] + 0.03


def test_it_refuses_fewer_rows_than_candidates():
    with pytest.raises(BadInput) as raised:
        Archetypal(8, 2, candidates=200).begin(ROWS(100, 1), 0)
    assert str(raised.value) == (
        "Archetypal needs 200 activations or more to choose as many candidates from; it begins "
        "with 100. Raise the batch, or lower candidates."
    )


def test_it_refuses_more_units_than_it_has():
    with pytest.raises(BadInput) as raised:
        Archetypal(8, 9)
    assert str(raised.value) == (
        "Archetypal keeps from 1 to 8 units on, as many as it has; it got k=9. Lower k, or "
        "raise units."
    )


@pytest.mark.parametrize("settings", [{"relax": -0.1}, {"candidates": 1}])
def test_it_refuses_other_settings(settings):
    full = {"relax": 0.0, "candidates": 1024} | settings
    with pytest.raises(BadInput) as raised:
        Archetypal(8, 2, **settings)
    assert str(raised.value) == (
        "Archetypal needs relax of 0 or more and two candidates or more, means or a sample; it "
        f"got relax={full['relax']}, candidates={full['candidates']} and points='means'. "
        "Change these."
    )
