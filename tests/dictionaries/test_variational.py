"""The variational autoencoder against its equations, and against TopK, which does better."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from legenda.dictionaries.top_k import TopK
from legenda.dictionaries.variational import PRIME, Variational
from legenda.errors import BadInput
from tests.dictionaries.planted import (
    Planted,
    check_learner,
    dead,
    dense,
    fvu,
    recovered,
    slow_error,
    slow_readings,
    taught,
)

ROWS = Planted()


def test_it_keeps_the_contract():
    check_learner(Variational(24, 3, sigma=0.5))
    check_learner(Variational(24, 3, sigma=None))


def tiny(learner):
    module = learner.begin(ROWS(100, 1), 0)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return module.double()


@torch.no_grad()
def slow_loss(module, rows, learner, step):
    """With the same noise, and the divergence of torch.distributions."""
    width = rows.shape[1]
    u = float(module.scale) / width**0.5
    lot = torch.Generator().manual_seed(learner.seed * PRIME + step)
    noise = torch.randn(len(rows), len(module), generator=lot).double()
    total = 0.0
    for x, drawn in zip(rows, noise, strict=True):
        mu = [max(0.0, a) / u for a in slow_readings(module, x)]
        if learner.sigma is None:
            logs = module.spread @ (x - module.bias) + module.spread_offset
            sigma = (logs / 2).exp().tolist()
        else:
            sigma = [learner.sigma] * len(mu)
        z = [m + s * float(e) for m, s, e in zip(mu, sigma, drawn, strict=True)]
        first = sorted(range(len(z)), key=lambda i: -z[i])[: learner.k]
        codes = [u * z[i] if i in first else 0.0 for i in range(len(z))]
        told = sum(
            float(kl_divergence(Normal(float(m), s), Normal(0.0, 1.0)))
            for m, s in zip(mu, sigma, strict=True)
        )
        total += (slow_error(module, x, codes) / u**2 + learner.beta * told) / width
    return total / len(rows)


@pytest.mark.parametrize("sigma", [1.0, 0.3, None])
def test_the_loss_is_its_equation(sigma):
    learner = Variational(9, 3, beta=0.4, sigma=sigma, seed=2)
    module, rows = tiny(learner), ROWS(6, 2).double()
    loss, _ = learner.loss(module, rows, 7, 10)
    assert float(loss.detach()) == pytest.approx(slow_loss(module, rows, learner, 7), rel=1e-5)
    other, _ = learner.loss(module, rows, 8, 10)
    assert float(other.detach()) != float(loss.detach()), "another step draws other noise"


def test_with_sigma_one_a_code_pays_half_its_square():
    module, rows = tiny(Variational(9, 3)), ROWS(6, 2).double()
    _, figures = module.learner.loss(module, rows, 0, 10)
    u2 = float(module.scale) ** 2 / 32
    half = module.readings(rows).relu().square().sum() / 2 / u2 / 6
    assert figures["kl"] == pytest.approx(float(half.detach()), rel=1e-6)


def test_nothing_is_drawn_once_it_is_learned():
    module, rows = tiny(Variational(9, 3)), ROWS(50, 2).double()
    readings = module.readings(rows).detach()
    edge = readings.topk(3, dim=1).values[:, -1:]
    torch.testing.assert_close(dense(module, rows), readings.relu().where(readings >= edge, 0.0))


def test_dearer_information_says_less():
    told = []
    for beta in (0.01, 10.0):
        module = taught(Variational(24, 3, beta=beta, sigma=0.3), ROWS, 80)
        told.append(module.learner.loss(module, ROWS(500, 5), 0, 1)[1]["kl"])
    assert told[1] < 0.75 * told[0]


def test_with_little_noise_it_finds_planted_atoms():
    module = taught(Variational(48, 3, beta=1e-3, sigma=0.1), ROWS)
    assert recovered(module.atoms, ROWS.atoms) > 0.97


def test_it_is_worse_than_top_k_with_as_many_units_and_the_same_k():
    """The negative result of the paper: more dead units, more left, fewer atoms found."""
    rows = ROWS(2000, 5)
    plain = taught(TopK(48, 3, revive=None), ROWS)
    noisy = taught(Variational(48, 3), ROWS)
    assert dead(noisy, rows) > dead(plain, rows) + 0.1
    assert fvu(noisy, rows) > 1.5 * fvu(plain, rows)
    assert recovered(noisy.atoms, ROWS.atoms) < recovered(plain.atoms, ROWS.atoms) - 0.05


@pytest.mark.parametrize("k", [0, 9])
def test_it_refuses_more_units_than_it_has(k):
    with pytest.raises(BadInput) as raised:
        Variational(8, k)
    assert str(raised.value) == (
        "Variational keeps from 1 to 8 units on, as many as it has; it got "
        f"k={k}. Lower k, or raise units."
    )


@pytest.mark.parametrize("beta, sigma", [(-1.0, 1.0), (float("nan"), 1.0), (0.1, 0.0)])
def test_it_refuses_other_settings(beta, sigma):
    with pytest.raises(BadInput) as raised:
        Variational(8, 2, beta, sigma)
    assert str(raised.value) == (
        "Variational needs beta of 0 or more, and sigma above 0 or None; it got "
        f"beta={beta} and sigma={sigma}. As published sigma is 1."
    )
