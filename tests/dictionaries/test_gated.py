"""The gated autoencoder against its equations, one number at a time."""

import pytest
import torch

from legenda.dictionaries.gated import Gated, both
from legenda.errors import BadInput
from tests.dictionaries.planted import (
    Planted,
    check_learner,
    dense,
    fvu,
    matched,
    slow_error,
    taught,
)

ROWS = Planted()


def test_it_keeps_the_contract():
    check_learner(Gated(24))


def tiny():
    module = Gated(7, l1=0.3).begin(ROWS(100, 1), 0)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return module.double()


@torch.no_grad()
def slow_codes(module, x):
    """Equations (1) to (3)."""
    gates, codes = [], []
    for i in range(len(module)):
        along = float(module.encoder[i] @ (x - module.bias))
        gate = along + float(module.offset[i])
        magnitude = float(module.log_gain[i].exp()) * along + float(module.floor[i])
        gates.append(gate)
        codes.append(max(0.0, magnitude) if gate > 0 else 0.0)
    return gates, codes


@torch.no_grad()
def slow_loss(module, rows, price):
    s, total = float(module.scale), 0.0
    for x in rows:
        gates, codes = slow_codes(module, x)
        through = [max(0.0, gate) for gate in gates]
        for weights in (codes, through):
            total += slow_error(module, x, weights) / s**2
        total += price * sum(through) / s
    return total / len(rows)


def test_the_loss_is_its_equation():
    module, rows = tiny(), ROWS(9, 2).double()
    loss, figures = module.learner.loss(module, rows, 99, 100)
    assert float(loss.detach()) == pytest.approx(slow_loss(module, rows, 0.3), rel=1e-6)
    assert figures["l0"] == sum(c > 0 for x in rows for c in slow_codes(module, x)[1]) / 9
    early, _ = module.learner.loss(module, rows, 1, 100)
    assert float(early.detach()) == pytest.approx(slow_loss(module, rows, 0.06), rel=1e-6)


def test_codes_are_gated_magnitudes():
    module, rows = tiny(), ROWS(9, 2).double()
    wanted = torch.tensor([slow_codes(module, x)[1] for x in rows], dtype=torch.float64)
    torch.testing.assert_close(dense(module, rows), wanted)
    assert (wanted > 0).any() and (wanted == 0).any()


def test_the_gate_is_taught_by_the_frozen_decoder_alone():
    """Its offset hears of the price and of the third term, which teaches no atom."""
    module, rows = tiny(), ROWS(9, 2).double()
    gate, codes = both(module, rows)
    own = torch.autograd.grad(codes.sum(), [module.offset], allow_unused=True)
    assert own[0] is None, "nothing passes back through the step of the gate"

    s2 = float(module.scale) ** 2 * len(rows)
    rest = rows - gate.relu() @ module.decoder - module.bias
    slope = torch.autograd.grad(rest.square().sum() / s2, module.offset, retain_graph=True)[0]
    price = torch.autograd.grad(0.3 * gate.relu().sum() * s2**0.5 / 3 / s2, module.offset)[0]
    loss, _ = module.learner.loss(module, rows, 99, 100)
    found = torch.autograd.grad(loss, [module.offset, module.decoder])
    torch.testing.assert_close(found[0], slope + price, rtol=1e-6, atol=1e-9)

    rest = rows - both(module, rows)[1] @ module.decoder - module.bias
    (atoms,) = torch.autograd.grad(rest.square().sum() / s2, module.decoder)
    torch.testing.assert_close(found[1], atoms, rtol=1e-6, atol=1e-9)


def test_a_dearer_gate_leaves_fewer_on():
    rows, count = ROWS(1000, 5), []
    for price in (0.1, 1.0):
        module = taught(Gated(24, l1=price), ROWS, 100)
        count.append(float((dense(module, rows) > 0).float().sum(1).mean()))
    assert count[0] > count[1] + 0.5


def test_it_finds_planted_atoms_and_their_weights():
    module, rows = taught(Gated(48, l1=0.6), ROWS, lr=3e-2), ROWS(1000, 5)
    assert float(matched(module.atoms, ROWS.atoms).mean()) > 0.98
    assert fvu(module, rows) < 0.06
    assert float((dense(module, rows) > 0).float().sum(1).mean()) == pytest.approx(3.0, abs=0.5)
    torch.testing.assert_close(module.atoms.norm(dim=1), torch.ones(48))


def test_codes_are_not_made_too_small_by_their_price():
    """Weights are planted with mean 1; their price more than halves the gates, not the codes."""
    module, rows = taught(Gated(48, l1=0.6), ROWS, lr=3e-2), ROWS(2000, 5)
    found = dense(module, rows).sum() / (dense(module, rows) > 0).sum()
    gates = both(module, rows)[0].detach().relu()
    assert 0.8 < float(found) < 1.1
    assert float(gates.sum() / (gates > 0).sum()) < 0.6


@pytest.mark.parametrize("settings", [{"units": 0}, {"units": 4, "l1": -1.0}])
def test_it_refuses(settings):
    full = {"l1": 0.05, "warmup": 0.1} | settings
    with pytest.raises(BadInput) as raised:
        Gated(**settings)
    assert str(raised.value) == (
        "Gated needs a unit or more, l1 of 0 or more and a warmup from 0 to 1; it got "
        f"units={full['units']}, l1={full['l1']}, warmup={full['warmup']}. Change these."
    )
