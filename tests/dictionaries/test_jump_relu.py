"""JumpReLU against its equations, one number at a time."""

import pytest
import torch

from legenda.dictionaries.jump_relu import JumpReLU, jumped, thresholds
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
BROAD = {"bandwidth": 0.1, "threshold": 0.1}


def test_it_keeps_the_contract():
    check_learner(JumpReLU(24, **BROAD))


def tiny(learner=None):
    module = (learner or JumpReLU(7, l0=0.05, bandwidth=0.4, threshold=0.2)).begin(ROWS(100, 1), 0)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return module.double()


@torch.no_grad()
def slow_loss(module, rows, price):
    s, theta = float(module.scale), module.log_threshold.exp()
    total = 0.0
    for x in rows:
        a = slow_readings(module, x)
        z = [a_i if a_i > t else 0.0 for a_i, t in zip(a, theta, strict=True)]
        total += slow_error(module, x, z) / s**2 + price * sum(z_i > 0 for z_i in z)
    return total / len(rows)


def test_the_loss_is_its_equation():
    module, rows = tiny(), ROWS(9, 2).double()
    loss, figures = module.learner.loss(module, rows, 99, 100)
    assert float(loss.detach()) == pytest.approx(slow_loss(module, rows, 0.05), rel=1e-9)
    readings = module.readings(rows)
    assert figures["l0"] == float((readings > thresholds(module)).sum()) / 9


def test_the_price_rises_with_the_warmup():
    module, rows = tiny(), ROWS(9, 2).double()
    loss, _ = module.learner.loss(module, rows, 1, 100)
    assert float(loss.detach()) == pytest.approx(slow_loss(module, rows, 0.05 * 2 / 10), rel=1e-9)


def test_a_wish_is_a_price_on_being_wrong():
    learner = JumpReLU(7, l0=0.5, wished=2.0, bandwidth=0.4, threshold=0.2)
    module, rows = tiny(learner), ROWS(9, 2).double()
    count = (module.readings(rows) > thresholds(module)).sum(1)
    wanted = slow_loss(module, rows, 0.0) + 0.5 * float((count / 2 - 1).square().mean())
    assert float(learner.loss(module, rows, 99, 100)[0].detach()) == pytest.approx(wanted, rel=1e-6)


def slow_gradients(readings, threshold, width, of_codes, of_gates):
    """Equations (4) and (5), entry by entry."""
    by_reading, by_threshold = torch.zeros_like(readings), torch.zeros_like(threshold)
    for r in range(readings.shape[0]):
        for i in range(readings.shape[1]):
            a, t = float(readings[r, i]), float(threshold[i])
            kernel = 1.0 if abs((a - t) / width) < 0.5 else 0.0
            by_threshold[i] += -(t / width) * kernel * of_codes[r, i]
            by_threshold[i] += -(1 / width) * kernel * of_gates[r, i]
            by_reading[r, i] = of_codes[r, i] if a > t else 0.0
    return by_reading, by_threshold


def test_gradients_are_those_of_the_kernel():
    lot = torch.Generator().manual_seed(0)
    readings = torch.randn(60, 5, generator=lot, dtype=torch.float64).requires_grad_()
    threshold = torch.rand(5, generator=lot, dtype=torch.float64).requires_grad_()
    of = torch.randn(2, 60, 5, generator=lot, dtype=torch.float64)
    codes, gates = jumped(readings, threshold, torch.tensor(0.5, dtype=torch.float64))
    found = torch.autograd.grad((of[0] * codes + of[1] * gates).sum(), [readings, threshold])
    wanted = slow_gradients(readings.detach(), threshold.detach(), 0.5, *of)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert (found[1] != 0).all(), "every threshold hears of some reading"


def test_a_broad_kernel_finds_the_slope_of_the_expected_loss():
    """Readings of a known density: the share above θ falls at the rate of the density."""
    lot = torch.Generator().manual_seed(1)
    readings = torch.randn(200_000, 1, generator=lot)
    threshold = torch.tensor([0.7], requires_grad=True)
    codes, gates = jumped(readings, threshold, torch.tensor(0.2))
    density = float(torch.exp(torch.tensor(-(0.7**2) / 2)) / (2 * torch.pi) ** 0.5)
    (share,) = torch.autograd.grad(gates.mean(), threshold, retain_graph=True)
    (mean,) = torch.autograd.grad(codes.mean(), threshold)
    assert float(share) == pytest.approx(-density, rel=0.03)
    assert float(mean) == pytest.approx(-0.7 * density, rel=0.03)


def test_a_dearer_unit_leaves_fewer_on_and_a_wish_is_met():
    rows, count = ROWS(1000, 5), []
    for price in (0.003, 0.03):
        module = taught(JumpReLU(24, l0=price, **BROAD), ROWS, 100)
        count.append(float((dense(module, rows) > 0).float().sum(1).mean()))
    assert count[0] > count[1] + 0.5
    wishful = taught(JumpReLU(24, l0=0.3, wished=2.0, **BROAD), ROWS, lr=3e-2)
    assert float((dense(wishful, rows) > 0).float().sum(1).mean()) == pytest.approx(2.0, abs=0.5)


def test_it_finds_planted_atoms_and_its_thresholds_move():
    module = taught(JumpReLU(48, l0=0.02, **BROAD), ROWS, lr=3e-2)
    assert recovered(module.atoms, ROWS.atoms) > 0.95
    assert fvu(module, ROWS(1000, 5)) < 0.03
    theta = thresholds(module).detach() / module.scale
    assert float((theta / 0.1).log().abs().max()) > 0.3
    torch.testing.assert_close(module.atoms.norm(dim=1), torch.ones(48))


def test_the_unit_of_the_activations_changes_nothing():
    large = Planted(size=64.0)
    one, other = (JumpReLU(24, **BROAD).begin(rows(500, 3), 0) for rows in (ROWS, large))
    torch.testing.assert_close(other.scale, 64 * one.scale)
    torch.testing.assert_close(thresholds(other), 64 * thresholds(one))
    torch.testing.assert_close(dense(other, large(50, 1)), 64 * dense(one, ROWS(50, 1)))
    losses = [m.learner.loss(m, r(50, 1), 5, 10)[0] for m, r in ((one, ROWS), (other, large))]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize(
    "settings, text",
    [
        (
            {"units": 0},
            "JumpReLU needs a unit or more, l0 of 0 or more and a warmup from 0 to 1; it got "
            "units=0, l0=0.001, warmup=0.1. Change these.",
        ),
        (
            {"units": 4, "bandwidth": 0.0},
            "JumpReLU needs a bandwidth and a threshold above 0; it got 0.0 and 0.001. As "
            "published both are 0.001.",
        ),
        (
            {"units": 4, "wished": 5.0},
            "JumpReLU can have more than 0 and at most 4 units on, all that it has; wished=5.0 "
            "is outside. Wish for another number, or None.",
        ),
    ],
)
def test_it_refuses(settings, text):
    with pytest.raises(BadInput) as raised:
        JumpReLU(**settings)
    assert str(raised.value) == text
