"""FactorVAE against its equations, and a rival on codes whose dependence is known."""

from math import log

import pytest
import torch

from legenda.autoencoders.factor_vae import FactorVAE, shuffled
from legenda.autoencoders.objective import SECOND, SHUFFLE, drawn
from legenda.autoencoders.vae import VAE
from legenda.errors import BadInput
from legenda.train.loop import Pupil
from tests.autoencoders.toys import MOMENT, pictures, tiny

SMALL = FactorVAE(gamma=4.0, width=8, layers=3)


@torch.no_grad()
def slow_logit(rival, z):
    """The rival, a layer at a time."""
    layers = [m for m in rival if isinstance(m, torch.nn.Linear)]
    for i, layer in enumerate(layers):
        z = layer.weight @ z + layer.bias
        if i < len(layers) - 1:
            z = torch.where(z > 0, z, 0.2 * z)
    return float(z)


def sigmoid(a):
    return 1 / (1 + float(torch.tensor(-a, dtype=torch.float64).exp()))


def test_both_losses_are_their_equations():
    network, x = tiny(), pictures(8)
    rival = SMALL.begin(network, 0).double()
    found, figures, against = SMALL.loss(network, x, MOMENT, None, rival)
    first, second = x[:4], x[4:]
    plain = float(VAE().loss(network, first, MOMENT).loss.detach())
    with torch.no_grad():
        z = drawn(*network.encode(first), MOMENT)
        other = drawn(*network.encode(second), MOMENT, SECOND)
        order = torch.rand(other.shape, generator=MOMENT.lot(SHUFFLE)).argsort(0)
        mixed = torch.stack(
            [torch.stack([other[order[i, k], k] for k in range(3)]) for i in range(4)]
        )
    a, b = [slow_logit(rival, one) for one in z], [slow_logit(rival, one) for one in mixed]
    assert figures["total_correlation"] == pytest.approx(sum(a) / 4)
    assert float(found.detach()) == pytest.approx(plain + 4.0 * sum(a) / 4)
    slow = -(sum(log(sigmoid(v)) for v in a) + sum(log(sigmoid(-v)) for v in b)) / 8
    assert float(against.detach()) == pytest.approx(slow)
    right = sum(v > 0 for v in a) + sum(v <= 0 for v in b)
    assert figures["rival_accuracy"] == right / 8


def test_neither_side_moves_the_other():
    network, x = tiny(), pictures(8)
    rival = SMALL.begin(network, 0).double()
    found = SMALL.loss(network, x, MOMENT, None, rival)
    ways = torch.autograd.grad(found.rival, list(network.parameters()), allow_unused=True)
    assert all(way is None for way in ways)


def test_shuffling_keeps_each_latent_and_no_pair():
    code = torch.arange(200.0)[:, None].expand(200, 3).contiguous()
    found = shuffled(code, MOMENT)
    assert found.sort(0).values.equal(code)
    assert torch.corrcoef(found.mT).fill_diagonal_(0).abs().max() < 0.25
    assert not found.equal(shuffled(code, MOMENT._replace(step=4)))


@pytest.mark.parametrize(("rho", "low", "high"), [(0.9, 0.55, 0.95), (0.0, -0.1, 0.1)])
def test_a_rival_learns_the_total_correlation_of_a_gaussian(rho, low, high):
    """-½ log(1 - 0.9²) = 0.83 nats."""
    objective = FactorVAE(1.0, 32, 3, 3e-3)
    network = tiny(latents=2)
    rival = objective.begin(network, 0)
    pupil, lot = Pupil(rival, objective.rival_plan(400)), torch.Generator().manual_seed(0)

    def codes(count):
        z = torch.randn(count, 2, generator=lot)
        return torch.stack([z[:, 0], rho * z[:, 0] + (1 - rho**2) ** 0.5 * z[:, 1]], 1)

    for step in range(400):
        real, false = rival(codes(256)), rival(shuffled(codes(256), MOMENT._replace(step=step)))
        soft = torch.nn.functional.softplus
        pupil.descend(0.5 * (soft(-real).mean() + soft(false).mean()))
    with torch.no_grad():
        assert low < float(rival(codes(5000)).mean()) < high


def test_the_rival_begins_by_its_seed():
    network = tiny()
    one, two, other = (SMALL.begin(network, s).state_dict() for s in (0, 0, 1))
    assert all(one[k].equal(two[k]) for k in one)
    assert not one["0.weight"].equal(other["0.weight"])
    shapes = [tuple(v.shape) for k, v in one.items() if k.endswith("weight")]
    assert shapes == [(8, 3), (8, 8), (1, 8)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: FactorVAE(width=0),
            "FactorVAE needs gamma of 0 or more, a width and layers of 1 or more and a rate above "
            "0; it got gamma=10.0, width=0, layers=6, rate=0.0001. Change these.",
        ),
        (
            lambda: SMALL.loss(tiny(), pictures(3), MOMENT, None, SMALL.begin(tiny(), 0)),
            "FactorVAE needs its rival, and 4 pictures or more in a batch; it got 3 and a rival. "
            "`begin` makes one.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
