"""DIP-VAE, I and II, against loops."""

import pytest
import torch

from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.dip_vae import DIPVAE, covariance
from legenda.autoencoders.vae import VAE
from legenda.errors import BadInput
from tests.autoencoders.toys import MOMENT, Bars, Tiny, pictures, tiny


def slow_terms(mean, log_variance, noise):
    """Off and on the diagonal of (1) or (2), an entry at a time."""
    rows = mean.tolist()
    m, d = len(rows), len(rows[0])
    middle = [sum(r[k] for r in rows) / m for k in range(d)]
    off = on = 0.0
    for i in range(d):
        for j in range(d):
            c = sum((r[i] - middle[i]) * (r[j] - middle[j]) for r in rows) / m
            if i == j:
                c += float(log_variance[:, i].exp().mean()) if noise else 0.0
                on += (c - 1) ** 2
            else:
                off += c**2
    return off, on


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize(("price", "given"), [(3.0, None), (3.0, 7.0), (3.0, 0.0)])
def test_the_loss_is_its_equation(noise, price, given):
    network, x = tiny(), pictures()
    found, figures, _ = DIPVAE(price, given, noise).loss(network, x, MOMENT)
    plain = float(VAE().loss(network, x, MOMENT).loss.detach())
    with torch.no_grad():
        off, on = slow_terms(*network.encode(x), noise)
    weight = given if given is not None else price if noise else 10 * price
    assert float(found.detach()) == pytest.approx(plain + price * off + weight * on)
    assert (figures["off_diagonal"], figures["diagonal"]) == pytest.approx((off, on))


def test_with_no_price_it_is_a_vae():
    network, x = tiny(), pictures()
    ours = DIPVAE(0.0, 0.0).loss(network, x, MOMENT).loss
    assert ours.equal(VAE().loss(network, x, MOMENT).loss)


def test_the_covariance_of_a_batch_is_that_of_torch():
    code = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(covariance(code), torch.cov(code.mT, correction=0))


@pytest.mark.parametrize("noise", [False, True])
def test_a_high_price_brings_the_covariance_near_the_identity(noise):
    objective = DIPVAE(300.0, 300.0, noise)
    network = fit(Tiny(2), objective, Bars(), plan_of(300, 1e-2), 0, batch=64)
    with torch.no_grad():
        mean, log_variance = network.encode(Bars().batch(9999, 1000, 0))
    spread = covariance(mean) + (log_variance.exp().mean(0).diag() if noise else 0)
    assert (spread - torch.eye(2)).abs().max() < 0.2, spread


def test_a_negative_price_is_refused():
    with pytest.raises(BadInput) as caught:
        DIPVAE(-2.0)
    assert str(caught.value) == (
        "DIPVAE needs prices of 0 or more; it got off=-2.0, on=None. With both 0 it is a VAE."
    )
