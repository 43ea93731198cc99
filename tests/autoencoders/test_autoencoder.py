"""The plain autoencoder against its equation."""

import pytest
import torch

from legenda.autoencoders.autoencoder import Autoencoder
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.vae import VAE
from tests.autoencoders.toys import MOMENT, Bars, Tiny, pictures, tiny


def test_the_loss_is_its_equation():
    network, x = tiny(), pictures()
    loss, figures, _ = Autoencoder().loss(network, x, MOMENT)
    with torch.no_grad():
        m = network.decode(network.encode(x)[0])
    slow = -(x * m.log() + (1 - x) * (1 - m).log()).sum() / len(x)
    assert float(loss.detach()) == pytest.approx(float(slow))
    assert figures == {"reconstruction": pytest.approx(float(slow))}


def test_no_noise_is_drawn():
    network, x = tiny(), pictures()
    other = MOMENT._replace(step=7, seed=9)
    a, b = (Autoencoder().loss(network, x, m).loss for m in (MOMENT, other))
    assert a.equal(b)


def test_it_reconstructs_better_than_a_vae_and_says_more():
    def taught(objective):
        return fit(Tiny(2), objective, Bars(), plan_of(300, 1e-2), 0, batch=32)

    x = Bars().batch(9999, 300, 0)
    plain, variational = taught(Autoencoder()), taught(VAE())
    with torch.no_grad():
        lost = [Autoencoder().loss(n, x, MOMENT).loss for n in (plain, variational)]
        spread = [n.encode(x)[0].std(0).mean() for n in (plain, variational)]
    assert lost[0] < lost[1] and spread[0] > 1.5 * spread[1], (lost, spread)
