"""The VAE against its equation, and on pictures whose nats are known."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.likelihood import Gaussian
from legenda.autoencoders.objective import NOISE, Moment, drawn, nats
from legenda.autoencoders.vae import VAE
from tests.autoencoders.toys import MOMENT, Bars, Tiny, pictures, tiny


@torch.no_grad()
def slow(network, x, moment, likelihood):
    mean, log_variance = network.encode(x)
    noise = torch.randn(mean.shape, generator=moment.lot(NOISE)).double()
    total = 0.0
    for i in range(len(x)):
        q = Normal(mean[i], (log_variance[i] / 2).exp())
        z = q.loc + q.scale * noise[i]
        total += float(likelihood.nats(network.logits(z[None]), x[i : i + 1]))
        total += float(kl_divergence(q, Normal(0.0, 1.0)).sum())
    return total / len(x)


@pytest.mark.parametrize("likelihood", [VAE().likelihood, Gaussian(0.2)])
def test_the_loss_is_its_equation(likelihood):
    network, x = tiny(), pictures()
    loss, figures, rival = VAE(likelihood).loss(network, x, MOMENT)
    assert float(loss.detach()) == pytest.approx(slow(network, x, MOMENT, likelihood), rel=1e-9)
    assert figures["reconstruction"] + figures["kl"] == pytest.approx(float(loss.detach()))
    assert rival is None and VAE().begin(network, 0) is None


def test_noise_is_that_of_the_step_the_seed_and_the_purpose():
    mean = torch.zeros(4, 3)
    first = drawn(mean, mean, MOMENT)
    assert drawn(mean, mean, MOMENT).equal(first)
    others = [MOMENT._replace(step=4), MOMENT._replace(seed=2), Moment(1, 10, 3)]
    for other in others:
        assert not drawn(mean, mean, other).equal(first)
    assert not drawn(mean, mean, MOMENT, NOISE + 1).equal(first)
    far = [drawn(mean, mean, Moment(seed=s))[0, 0].item() for s in (0, 1 << 32, 1 << 40)]
    assert len(set(far)) == 3, "seeds that agree in their low bits differ all the same"


def test_a_standard_gaussian_costs_nothing_and_any_other_something():
    mean = torch.zeros(1, 4)
    assert nats(mean, mean).abs().max() == 0
    assert (nats(mean + 0.5, mean) > 0).all() and (nats(mean, mean - 1) > 0).all()


def test_no_picture_without_end_is_told_in_more_nats_than_it_takes():
    """A bar among six, of some brightness: about log 6 nats, and spare latents say nothing."""
    network = fit(Tiny(4), VAE(), Bars(), plan_of(800, 1e-2), 0, batch=32)
    with torch.no_grad():
        x = Bars().batch(9999, 500, 0)
        each = nats(*network.encode(x)).mean(0).sort(descending=True).values
        seen = network.decode(network.encode(x)[0])
    assert ((seen - x).abs().mean() < 0.05) and each.sum() > 1.5, each
    assert each[-1] < 0.1 * each[0], each
