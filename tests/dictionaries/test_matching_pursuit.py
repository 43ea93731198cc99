"""Matching pursuit against a literal one, and what unit length guarantees."""

from dataclasses import replace

import pytest
import torch

from legenda.dictionaries.matching_pursuit import KEPT, MatchingPursuit, merged, products
from legenda.errors import BadInput
from tests.dictionaries.planted import (
    Family,
    Planted,
    check_learner,
    dense,
    fvu,
    matched,
    rebuilt,
    recovered,
    taught,
)

ROWS = Planted()


def test_it_keeps_the_contract():
    check_learner(MatchingPursuit(24, 4))
    check_learner(MatchingPursuit(3, 3, tolerance=0.2))


def tiny(learner):
    """A dictionary whose vectors have any length."""
    module = learner.begin(ROWS(200, 1), 0).double()
    module.decoder.data *= 0.5 + torch.rand(len(module), 1, dtype=torch.float64)
    return module


@torch.no_grad()
def slow_pursuit(module, x, k, least=0.0, repeat=False):
    """Equations (1) to (3), with every product made anew; and the residual after each step."""
    atoms = [v / v.norm() for v in module.decoder]
    r, codes = x - module.bias, [0.0] * len(atoms)
    lengths, along = [float(r.norm())], []
    for _ in range(k):
        products = [float(r @ d) for d in atoms]
        j = max(range(len(atoms)), key=lambda i: products[i])
        if products[j] <= 0 or float(r.norm()) < least:
            break
        new = codes[j] == 0
        codes[j] += products[j]
        r = r - products[j] * atoms[j]
        lengths.append(float(r.norm()))
        along.append(abs(float(r @ atoms[j])))
        if not new and not repeat:
            break
    return codes, lengths, along


@pytest.mark.parametrize("k", [1, 3, 9, 12])
@pytest.mark.parametrize("tolerance, repeat", [(0.0, True), (0.0, False), (0.4, True)])
def test_it_is_the_literal_pursuit(k, tolerance, repeat):
    module, rows = tiny(MatchingPursuit(12, k, tolerance, repeat)), ROWS(20, 2).double()
    least = tolerance * float(module.scale)
    slow = [slow_pursuit(module, x, k, least, repeat) for x in rows]
    wanted = torch.tensor([codes for codes, _, _ in slow], dtype=torch.float64)
    torch.testing.assert_close(dense(module, rows), wanted)
    if k > 3 and (tolerance or not repeat):
        steps = [len(lengths) - 1 for _, lengths, _ in slow]
        assert min(steps) < max(steps), "rows end on their own"


def test_the_loss_is_what_is_left_and_gradients_pass_through_all_steps():
    module, rows = tiny(MatchingPursuit(12, 4, repeat=True)), ROWS(20, 2).double()
    loss, figures = module.learner.loss(module, rows, 0, 10)
    left = sum(slow_pursuit(module, x, 4, repeat=True)[1][-1] ** 2 for x in rows)
    assert float(loss.detach()) == pytest.approx(left / 20 / float(module.scale) ** 2, rel=1e-6)

    total = 0.0
    for x in rows:  # the same picks, all else by autograd through v / ‖v‖
        r = x - module.bias
        for _ in range(4):
            atoms = module.decoder / module.decoder.norm(dim=1, keepdim=True)
            w, j = (atoms @ r).max(0)
            r = r - w.relu() * atoms[j]
        total = total + r.square().sum()
    of = [module.decoder, module.bias]
    wanted = torch.autograd.grad(total / 20 / module.scale**2, of)
    for one, other in zip(torch.autograd.grad(loss, of), wanted, strict=True):
        torch.testing.assert_close(one, other)
    along = (wanted[0] * module.decoder.detach()).sum(1)
    assert float(along.abs().max()) < 1e-12, "the length of v hears of nothing"
    assert figures["l0"] == float((dense(module, rows) > 0).sum()) / 20


def test_no_step_makes_a_row_worse_and_each_is_orthogonal_to_its_atom():
    module = taught(MatchingPursuit(24, 3), ROWS, 30)
    for x in ROWS(20, 5):
        _, lengths, along = slow_pursuit(module, x, 8, repeat=True)
        assert all(a >= b for a, b in zip(lengths, lengths[1:], strict=False))
        assert max(along) < 1e-5


def test_more_steps_than_it_learned_with_leave_less():
    module, rows = taught(MatchingPursuit(24, 2, repeat=True), ROWS, 60), ROWS(500, 5)
    errors = []
    for k in (1, 2, 4, 8, 16):
        module.learner = replace(module.learner, k=k)
        errors.append((rows - rebuilt(module, rows)).square().sum(1))
    for more, fewer in zip(errors[1:], errors, strict=False):
        assert (more <= fewer + 1e-5).all() and more.mean() < 0.98 * fewer.mean()


def test_an_atom_found_twice_fills_one_slot():
    picks = torch.tensor([[2, 0, 2, 1], [1, 1, 1, 1], [3, 2, 0, 0]])
    found = torch.tensor([[3.0, 2.0, 0.5, 0.25], [1.0, 0.5, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0]])
    index, weight = merged(picks, found)
    assert index[0, :2].tolist() == [2, 0] and index[0, 3] == 1
    assert weight.tolist() == [[3.5, 2.0, 0.0, 0.25], [1.75, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    assert (index.sort(dim=1).values == torch.arange(4)).all(), "spare slots name other units"


def test_repeated_picks_happen_and_add_up():
    """Of two atoms at an obtuse angle each brings back a part of what the other took."""
    module = MatchingPursuit(6, 6, repeat=True).begin(ROWS(100, 1), 0).double()
    module.decoder.data.copy_(torch.eye(6, 32))
    module.decoder.data[1, :2] = torch.tensor([-0.6, 0.8])
    module.bias.data.zero_()
    x = torch.zeros(32, dtype=torch.float64)
    x[:2] = torch.tensor([0.6, 1.0])
    codes, lengths, _ = slow_pursuit(module, x, 6, repeat=True)
    assert len(lengths) == 7 and sum(z > 0 for z in codes) == 2, "six steps, two atoms"
    found = module.encode(x[None, None])
    assert sorted(found.index[0, 0].tolist()) == list(range(6))
    assert found.dense()[0, 0].tolist() == pytest.approx(codes)

    module.learner = replace(module.learner, repeat=False)
    codes, lengths, _ = slow_pursuit(module, x, 6)
    assert len(lengths) == 4, "the third step finds the first atom again, and is the last"
    assert module.encode(x[None, None]).dense()[0, 0].tolist() == pytest.approx(codes)


def test_products_are_kept_until_an_atom_moves():
    module = tiny(MatchingPursuit(12, 4))
    first = products(module)
    assert products(module) is first and KEPT[module][1] is first
    module.decoder.data[3] += 1.0
    torch.testing.assert_close(products(module), module.atoms @ module.atoms.T)
    assert products(module) is not first


def test_its_encoder_follows_its_atoms():
    module = taught(MatchingPursuit(24, 3), ROWS, 5)
    torch.testing.assert_close(module.encoder, module.atoms)
    assert not torch.equal(module.decoder, module.atoms), "v itself has any length"
    strongest = module.readings(ROWS(50, 2)).argmax(1)
    assert torch.equal(module.encode(ROWS(50, 2)[None]).index[0, :, 0], strongest)


def test_it_finds_planted_atoms():
    module = taught(MatchingPursuit(48, 3), ROWS)
    assert recovered(module.atoms, ROWS.atoms) > 0.97
    assert fvu(module, ROWS(1000, 5)) < 0.16


def test_children_are_told_apart_from_what_their_parent_leaves():
    """A short form of `make truth ROW=hierarchy`, where BatchTopK stands beside it."""
    tree = Family(seed=4)
    module = taught(MatchingPursuit(9, 3, 0.03), tree, 500, size=128, lr=3e-2, seed=4)
    assert float(matched(module.atoms, tree.atoms)[3:].mean()) > 0.85
    assert fvu(module, tree(1000, 5)) < 0.005


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": 9}, {"k": 2, "tolerance": 1.0}])
def test_it_refuses(settings):
    with pytest.raises(BadInput) as raised:
        MatchingPursuit(8, **settings)
    assert str(raised.value) == (
        "MatchingPursuit takes from 1 to 8 steps, as many as it has units, and a tolerance from "
        f"0 to 1; it got k={settings['k']} and {settings.get('tolerance', 0.0)}. Change these."
    )
