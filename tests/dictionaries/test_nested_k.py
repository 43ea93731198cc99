"""Nested top-k against its equations."""

import pytest
import torch

from legenda.dictionaries.nested_k import NestedK
from legenda.errors import BadInput
from tests.dictionaries.planted import (
    Planted,
    check_learner,
    dense,
    fvu,
    recovered,
    slow_error,
    slow_readings,
    taught,
)

ROWS = Planted()


def test_it_keeps_the_contract():
    check_learner(NestedK(24, (1, 2, 4)))
    check_learner(NestedK(24, (24,)))


@torch.no_grad()
def slow_loss(module, rows, ks, alpha):
    """A decode of its own for every length."""
    s2, total = float(module.scale) ** 2, 0.0
    for x in rows:
        a = [max(0.0, reading) for reading in slow_readings(module, x)]
        order = sorted(range(len(a)), key=lambda i: -a[i])
        for k, weight in zip(ks, alpha, strict=True):
            z = [a[i] if i in order[:k] else 0.0 for i in range(len(a))]
            total += weight * slow_error(module, x, z) / s2
    return total / sum(alpha) / len(rows)


@pytest.mark.parametrize("weights, alpha", [("uniform", (1, 1, 1)), ("reverse", (3, 2, 1))])
def test_the_loss_is_its_equation(weights, alpha):
    module = NestedK(9, (1, 3, 4), weights).begin(ROWS(100, 1), 0).double()
    rows = ROWS(7, 2).double()
    loss, _ = module.learner.loss(module, rows, 0, 10)
    wanted = slow_loss(module, rows, (1, 3, 4), alpha)
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-6)


def test_gradients_are_those_of_a_decode_for_every_length():
    module, ks = NestedK(9, (1, 3, 4)).begin(ROWS(100, 1), 0).double(), (1, 3, 4)
    rows = ROWS(7, 2).double()
    loss, total = module.learner.loss(module, rows, 0, 10)[0], 0.0
    readings = module.readings(rows)
    for k in ks:
        edge = readings.sort(dim=1, descending=True).values[:, k - 1 : k]
        codes = readings.relu().where(readings >= edge, 0.0)
        total = total + (rows - codes @ module.decoder - module.bias).square().sum() / 3
    of = [module.encoder, module.offset, module.decoder, module.bias]
    wanted = torch.autograd.grad(total / 7 / module.scale.double() ** 2, of)
    for one, other in zip(torch.autograd.grad(loss, of), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_shorter_codes_are_prefixes_and_longer_ones_explain_more():
    module = taught(NestedK(24, (1, 2, 4)), ROWS, 60)
    codes = module.encode(ROWS(500, 5)[None])
    assert codes.index.shape[2] == 4 and (codes.weight.diff(dim=2) <= 0).all()
    short = NestedK(24, (2,)).slots(module, ROWS(500, 5))
    torch.testing.assert_close(codes.weight[0, :, :2], short[1])
    assert torch.equal(codes.index[0, :, :2], short[0])
    _, figures = module.learner.loss(module, ROWS(500, 5), 0, 1)
    assert figures["fvu@1"] > figures["fvu@2"] > figures["fvu@4"] == figures["fvu"]


def test_many_lengths_keep_a_short_code_better_than_one_long_one():
    """It is learned for its prefix, where a plain long code is not."""
    rows = ROWS(2000, 5)
    nested = taught(NestedK(24, (1, 2, 8), "reverse"), ROWS, 200)
    plain = taught(NestedK(24, (8,)), ROWS, 200)
    for module in (nested, plain):
        module.learner = NestedK(24, (2,))
    assert fvu(nested, rows) < fvu(plain, rows) - 0.05


def test_it_finds_planted_atoms():
    module = taught(NestedK(48, (1, 2, 4)), ROWS)
    assert recovered(module.atoms, ROWS.atoms) > 0.97
    assert fvu(module, ROWS(1000, 5)) < 0.12
    assert int((dense(module, ROWS(1000, 5)) > 0).sum(1).max()) <= 4


@pytest.mark.parametrize("ks", [(), (0, 2), (4, 2), (2, 2), (2, 9)])
def test_it_refuses_lengths_that_do_not_rise(ks):
    with pytest.raises(BadInput) as raised:
        NestedK(8, ks)
    assert str(raised.value) == (
        "NestedK needs lengths that rise from 1 to 8 at most, which is how many units it has; "
        f"it got ks={ks}. Change ks, or units."
    )


def test_it_refuses_other_weights():
    learner = NestedK(8, (2,))
    object.__setattr__(learner, "weights", "steep")  # past the checks that only tests have
    with pytest.raises(BadInput) as raised:
        learner.__post_init__()
    assert str(raised.value) == (
        "NestedK weighs its lengths uniform or reverse; it got 'steep'. Choose one of these."
    )
