import re
from math import ceil, sqrt

import pytest
import torch

from legenda.dictionaries import semi_nmf
from legenda.dictionaries.semi_nmf import SemiNMF, features, reweighted
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, groups, jaccard, lot_of, unexplained


def test_it_keeps_the_contract_of_a_dictionary():
    learner = SemiNMF(6, share=0.3, ranks=(2,), steps=30)
    check_dictionary(learner.fit(gaussian()), gaussian(40, seed=5).view(4, 10, 10))
    assert eval(repr(learner), {"SemiNMF": SemiNMF}) == learner


def literal(a, g, share):
    """One turn of (1) to (4), number by number, in the letters of the paper: A is (d n)."""
    (d, n), k = a.shape, g.shape[1]
    inner = torch.linalg.inv(g.T @ g + 1e-6 * torch.eye(k).double())
    f = a @ g @ inner
    if share is not None:
        for j in range(k):
            ranked = sorted(range(d), key=lambda i: -abs(float(f[i, j])))
            for i in ranked[ceil(share * d) :]:
                f[i, j] = 0.0
    for j in range(k):
        length = sqrt(sum(float(v) ** 2 for v in g[:, j]))
        g[:, j] /= length
        f[:, j] *= length
    new = torch.zeros_like(g)
    for i in range(n):
        for j in range(k):
            cross = float(a[:, i] @ f[:, j])
            up, down = max(0.0, cross), max(0.0, -cross) + 1e-6
            for m in range(k):
                both = float(f[:, m] @ f[:, j])
                up += float(g[i, m]) * max(0.0, -both)
                down += float(g[i, m]) * max(0.0, both)
            new[i, j] = float(g[i, j]) * sqrt(up / down)
    return f, new


@pytest.mark.parametrize("share", [None, 0.3])
def test_a_turn_is_the_literal_equations(share):
    lot = lot_of(0)
    data = torch.randn(9, 7, generator=lot).double()
    g = torch.rand(9, 3, generator=lot).double()
    f, normed = features(data, g.clone(), share)
    expected_f, expected_g = literal(data.T, g.clone(), share)
    assert torch.allclose(f.T, expected_f, atol=1e-8)
    assert torch.allclose(reweighted(data, f, normed), expected_g, atol=1e-8)


@pytest.mark.parametrize("start", ["random", "svd", "k-means"])
def test_the_error_never_rises_without_a_mask_and_weights_stay_above_zero(start):
    data = groups(200)[0].double()
    g = torch.nn.functional.normalize(semi_nmf.BEGINNINGS[start](data, 6, lot_of(0)), dim=0)
    errors = []
    for _ in range(60):
        f, g = features(data, g, None)
        g = reweighted(data, f, g)
        assert (g >= 0).all()
        errors.append(float((data - g @ f).square().sum()))
    assert all(b <= a * (1 + 1e-6) for a, b in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.5 * errors[0] or start != "random"


@pytest.mark.parametrize("share", [0.05, 0.11, 1.0])
def test_a_group_has_no_more_neurons_than_its_share(share):
    found = SemiNMF(6, share=share, steps=20).fit(groups(200)[0])
    assert (found.atoms != 0).sum(1).max() <= ceil(share * 120)


def recovered(found, held):
    return [max(jaccard(atom, group) for atom in found.atoms) for group in held]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_the_planted_groups(seed):
    rows, held = groups(seed=seed)
    found = SemiNMF(6, share=10 / 120, steps=200).fit(rows)
    assert min(recovered(found, held)) >= 0.8
    assert unexplained(found, rows) < 0.02
    chance = SemiNMF(6, share=10 / 120, steps=1).fit(rows.roll(7, 1))
    assert max(recovered(chance, held)) < 0.5


def test_parents_hold_what_their_children_hold():
    rows, held = groups()
    found = SemiNMF(6, 10 / 120, (2,), 0.5, steps=200).fit(rows)
    (weights,) = found.parents
    parents = found.coarser(1)
    assert weights.shape == (6, 2) and (weights >= 0).all() and len(parents) == 2
    likeness = [[jaccard(atom, group) for group in held] for atom in found.atoms]
    family = [row.index(max(row)) // 3 for row in likeness]
    for parent in range(2):
        children = weights[:, parent].nonzero()[:, 0].tolist()
        for child in children:
            inside = (found.atoms[child] != 0) <= (parents.atoms[parent] != 0)
            assert inside.all(), "the neurons of a child are neurons of its parent"
        assert len(children) == 3 and len({family[c] for c in children}) == 1, "siblings"
    assert sorted(family[int(p)] for p in weights.argmax(0)) == [0, 1]


def test_three_levels_have_three_sizes():
    found = SemiNMF(6, None, (3, 1), None, steps=20).fit(groups(200)[0])
    assert [p.shape for p in found.parents] == [(6, 3), (3, 1)]
    assert len(found.coarser(2)) == 1
    rows = groups(200)[0]
    assert unexplained(found, rows) < unexplained(found.coarser(1), rows)


def test_it_stops_when_nothing_falls_any_more(monkeypatch):
    turns = []
    kept = semi_nmf.reweighted
    monkeypatch.setattr(semi_nmf, "reweighted", lambda *a: turns.append(1) or kept(*a))
    monkeypatch.setattr(semi_nmf, "GAIN", 0.01)
    monkeypatch.setattr(semi_nmf, "PATIENCE", 2)
    SemiNMF(2, 0.5, steps=500, tighten=9, start="svd").fit(gaussian(100))
    assert 12 <= len(turns) < 100


def test_the_seed_and_only_the_seed_decides():
    rows = groups(100)[0]
    state = torch.get_rng_state()
    for start in ("random", "k-means"):
        learner = SemiNMF(4, steps=10, start=start)
        first, again, other = (learner.fit(rows, seed).atoms for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: SemiNMF(4, ranks=(4,)),
            "SemiNMF needs fewer units on each coarser level; it got 4 units and the ranks 4. Let "
            "them fall.",
        ),
        (
            lambda: SemiNMF(4, share=0.0),
            "SemiNMF needs a share above 0 and up to 1; it got 0.0. Change it.",
        ),
        (
            lambda: SemiNMF(4, children=1.5),
            "SemiNMF needs a children above 0 and up to 1; it got 1.5. Change it.",
        ),
        (
            lambda: SemiNMF(4, tighten=-1),
            "SemiNMF needs a step or more, tighten of 0 or more and a start among random, svd, "
            "k-means; it got 500, -1, 'random'. Change these.",
        ),
        (
            lambda: SemiNMF(12, start="svd").fit(gaussian()),
            "an SVD gives at most 10 beginnings here, and SemiNMF has 12 units. Use "
            "start='random' or 'k-means'.",
        ),
        (
            lambda: SemiNMF(301).fit(gaussian()),
            "301 units need 301 activations or more to begin from; there are 300. Give more "
            "images, or ask for fewer units.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
