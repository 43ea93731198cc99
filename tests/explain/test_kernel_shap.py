import sys
from itertools import permutations

import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput, Missing
from legenda.explain.kernel_shap import KernelShap, squares
from legenda.explain.shapley import by_captum, coalitions, shapley
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


def game(z):
    """Six players, with company that matters."""
    z = z.double()
    alone = z @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, 0.2], dtype=torch.float64)
    return alone + 2 * z[:, 0] * z[:, 1] - z[:, 2] * z[:, 4] * z[:, 5] + 0.7


def by_enumeration(players=6):
    """What each adds on joining, averaged over every order of arrival."""
    total, count = torch.zeros(players, dtype=torch.float64), 0
    for order in permutations(range(players)):
        z, before = torch.zeros(1, players), game(torch.zeros(1, players))
        for player in order:
            z[0, player] = 1
            total[player] += (game(z) - before)[0]
            before = game(z)
        count += 1
    return total / count


def solved(samples, seed=0):
    z, weight = coalitions(6, samples, seed)
    ends = game(torch.tensor([[0.0] * 6, [1.0] * 6]))
    return shapley(z, weight, game(z), *ends)


def test_all_coalitions_give_the_shapley_values_exactly():
    torch.testing.assert_close(solved(62), by_enumeration(), rtol=1e-9, atol=1e-9)


def test_drawn_coalitions_come_near_and_always_share_out_everything():
    exact, ends = by_enumeration(), game(torch.tensor([[0.0] * 6, [1.0] * 6]))
    values = [solved(s, seed) for s in (20, 60) for seed in range(6)]
    for value in values:
        torch.testing.assert_close(value.sum(), ends[1] - ends[0])
    near = torch.stack(values[6:]).mean(0)
    assert (near - exact).abs().max() < 0.3
    assert (solved(61, 3) - exact).norm() < 1.0


def test_coalitions_are_drawn_from_the_kernel_each_with_its_opposite():
    z, weight = coalitions(10, 900, seed=1)
    assert z.shape == (900, 10)
    assert torch.equal(z[:450] + z[450:], torch.ones(450, 10))
    assert (weight == 1).all()
    sizes = torch.arange(1.0, 10)
    expected = 1 / (sizes * (10 - sizes))
    found = torch.bincount(z.sum(1).long(), minlength=10)[1:10] / 900
    assert (found - expected / expected.sum()).abs().max() < 0.04


def test_it_agrees_with_captum():
    ours = solved(62)
    theirs = by_captum(game, 6, samples=1000, batch=500, seed=0)
    assert (ours - theirs).abs().max() < 0.2

    def additive(z):
        return z.double() @ torch.arange(6.0).double() + 1

    torch.testing.assert_close(
        by_captum(additive, 6, 60, 20, 0).double(), torch.arange(6.0).double(), atol=1e-3, rtol=1e-3
    )


def test_captum_through_the_method():
    units = sentence_units()
    ours = KernelShap()(units, IDS, Logit(0)).scores
    state = torch.get_rng_state()
    theirs = KernelShap(by="captum", samples=200)(units, IDS, Logit(0)).scores
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=1e-3)


def test_without_captum_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(Missing) as missing:
        KernelShap(by="captum")(sentence_units(), IDS, Logit(0))
    assert str(missing.value) == (
        "KernelShap(by='captum') needs captum, which is not installed. Install it with "
        "`pip install legenda[bench]`, or use by='legenda', which needs nothing."
    )


def test_the_shares_add_up_to_the_rise():
    units, x = mixed(), pictures()
    scores = KernelShap(samples=60, pieces=3)(units, x, Logit(0)).scores
    out = units.model.run(torch.cat([x, torch.zeros(1, 3, 16, 16)])).output[:, 0].detach()
    torch.testing.assert_close(scores.sum(1), out[:3] - out[3])


def test_pieces_are_squares_of_equal_share():
    piece = squares(24, (4, 6), 2)
    assert piece.unflatten(0, (4, 6)).tolist() == [[0] * 3 + [1] * 3] * 2 + [[2] * 3 + [3] * 3] * 2
    assert squares(16, (4, 4), 9).tolist() == list(range(16))
    scores = KernelShap(samples=14, pieces=2)(mixed(), pictures(), Logit(0)).scores
    for i in range(4):
        inside = scores[:, squares(16, (4, 4), 2) == i]
        torch.testing.assert_close(inside, inside[:, :1].expand(3, 4))


def test_only_the_planted_patch_and_word_have_a_share():
    scores = KernelShap(samples=300, pieces=4)(planted(), pictures(), Logit(0)).scores
    others = torch.arange(16) != PLANTED
    assert (scores[:, others].abs().amax(1) < 1e-4 * scores[:, PLANTED].abs()).all()
    words = KernelShap()(sentence_units(), IDS, Logit(0)).scores
    assert (words.abs().argmax(1) == 2).all()
    assert words.abs().sum() - words[:, 2].abs().sum() < 1e-5


def test_one_word_takes_all_and_no_words_take_nothing():
    units = sentence_units()
    ids = torch.tensor([[1, 2, 5, 2], [1, 2, 2, 0]])
    scores = KernelShap()(units, ids, Logit(0)).scores
    assert not scores[1].any()
    with pytest.raises(BadInput):
        KernelShap(samples=1)
