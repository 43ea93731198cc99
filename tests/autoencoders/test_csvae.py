"""CSVAE against its equations, on bars of which it is told whether they lie left."""

from math import log

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.csvae import CSVAE, class_directions, divergence, uncertainty
from legenda.autoencoders.objective import drawn
from legenda.autoencoders.subspace import SubspaceNetwork, subspace_network
from legenda.errors import BadInput, Refused
from legenda.train.loop import Pupil
from tests.autoencoders.toys import MOMENT, Bars, Split, pictures, told, weighted


def test_both_losses_are_their_equations():
    network, x, y = weighted(Split()), pictures(), told()
    objective = CSVAE(2.0, 3.0, 5.0, width=6)
    rival = objective.begin(network, 0).double()
    found, figures, against = objective.loss(network, x, MOMENT, y, rival)
    total = guess = told_nats = 0.0
    with torch.no_grad():
        mean, log_variance = network.encode(x, y)
        deviation, code = (log_variance / 2).exp(), drawn(mean, log_variance, MOMENT)
        prior, spread = network.prior(y)
        for i in range(8):
            m = network.decode(code[i : i + 1])[0]
            total -= float((x[i] * m.log() + (1 - x[i]) * (1 - m).log()).sum())
            for k in range(2):
                total += 2.0 * float(kl_divergence(Normal(mean[i, k], deviation[i, k]), Normal(0.0, 1.0)))  # fmt: skip # noqa: E501
            own = kl_divergence(
                Normal(mean[i, 2], deviation[i, 2]), Normal(prior[i, 0], (spread[i, 0] / 2).exp())
            )
            total, told_nats = total + 3.0 * float(own), told_nats + float(own)
            for a, r in enumerate(rival(code[i : i + 1, :2])[0].sigmoid().tolist()):
                total += 5.0 * (r * log(r) + (1 - r) * log(1 - r))
                guess -= log(r) if y[i, a] else log(1 - r)
    assert float(found.detach()) == pytest.approx(total / 8)
    assert float(against.detach()) == pytest.approx(guess / 8)
    assert figures["kl_told"] == pytest.approx(told_nats / 8)


def test_the_divergence_is_that_of_dense_normals():
    lot = torch.Generator().manual_seed(0)
    q, p = ((torch.randn(5, 3, generator=lot), torch.randn(5, 3, generator=lot)) for _ in range(2))

    def dense(pair):
        return MultivariateNormal(pair[0], torch.diag_embed(pair[1].exp()))

    torch.testing.assert_close(divergence(q, p), kl_divergence(dense(q), dense(p)))
    assert divergence(q, q).abs().max() < 1e-6


def test_a_coin_leaves_log_two_open_and_a_sure_guess_nothing():
    assert uncertainty(torch.zeros(1, 3)).item() == pytest.approx(3 * log(2))
    assert uncertainty(torch.tensor([[80.0, -80.0]])).item() == pytest.approx(0, abs=1e-6)


def test_log_variances_have_heads_of_their_own():
    network = SubspaceNetwork(16, 1, 4, 2, 2)
    for branch in (network.rest, network.told, network.guess):
        assert branch.mean is not branch.log_variance
    x, y = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.eye(3)[:, :2]
    mean, log_variance = network.encode(x, y)
    assert mean.shape == log_variance.shape == (3, 4) and not mean.equal(log_variance)
    (way,) = torch.autograd.grad(log_variance.sum(), network.told.mean.weight, allow_unused=True)
    assert way is None


def test_z_hears_nothing_of_y_and_w_does():
    network = SubspaceNetwork(16, 1, 4, 2, 2)
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    one, other = (network.encode(x, torch.tensor([y]))[0] for y in ([1.0, 0.0], [0.0, 1.0]))
    assert one[:, :2].equal(other[:, :2]) and not one[:, 2:].equal(other[:, 2:])
    silent = network.encode(x)[0]
    assert silent.equal(network.encode(x, torch.zeros(1, 2))[0])


class Lit(Bars):
    """Bars at a lot's place, bright or dim; told: which."""

    def batch(self, step, size, seed):
        x, _ = super().batch(step, size, seed)
        y = torch.rand(size, generator=torch.Generator().manual_seed(step)) < 0.5
        x = (x > 0).float() * torch.where(y, 0.9, 0.3)[:, None, None, None]
        return x, torch.stack([y, ~y], 1).float()


def test_the_direction_of_a_class_moves_pictures_into_it():
    source = Lit(told=True)
    network = fit(
        Split(3, 2, 1), CSVAE(width=16, rate=1e-2), source, plan_of(500, 1e-2), 0, batch=32
    )
    x, y = source.batch(9999, 400, 0)
    with torch.no_grad():
        code = network.encode(x, y)[0]
        way = torch.nn.functional.pad(class_directions(code[:, 2:], y)[0], (2, 0))
        dim, bright = code[y[:, 0] == 0], code[y[:, 0] == 1]
        before, after, wanted = (
            network.decode(z).sum((1, 2, 3)).mean() for z in (dim, dim + way, bright)
        )
    assert wanted - before > 1.5, (before, wanted)
    assert after - before > 0.6 * (wanted - before), (before, after, wanted)


def test_a_step_down_the_term_of_the_rival_makes_the_rival_less_sure():
    """A rival that knows y from z; then the network moves, by that term alone."""
    network, x, y = weighted(Split()), pictures(40), told(40)
    rival = CSVAE(width=16).begin(network, 0).double()
    pupil = Pupil(rival, plan_of(60, 3e-2))
    begun = CSVAE().loss(network, x, MOMENT, y, rival)
    for _ in range(60):
        pupil.descend(CSVAE().loss(network, x, MOMENT, y, rival).rival)
    free, held = (CSVAE(secrecy=eta).loss(network, x, MOMENT, y, rival) for eta in (0.0, 1.0))
    assert float(held.rival.detach()) < 0.7 * float(begun.rival.detach())
    parts = [p for p in network.parameters() if p.requires_grad]
    ways = torch.autograd.grad(held.loss - free.loss, parts, allow_unused=True)
    for part, way in zip(parts, ways, strict=True):
        if way is not None:
            part.data -= 1e-2 * way
    after = CSVAE().loss(network, x, MOMENT, y, rival).figures["rival_uncertainty"]
    assert after > held.figures["rival_uncertainty"] + 1e-4


def test_directions_are_differences_of_means():
    lot = torch.Generator().manual_seed(0)
    w, y = torch.randn(30, 3, generator=lot), torch.randint(2, (30, 2), generator=lot).float()
    found = class_directions(w, y)
    for a in range(2):
        rows = [w[y[:, a] == v].mean(0) for v in (1, 0)]
        torch.testing.assert_close(found[a], rows[0] - rows[1])


def test_a_checkpoint_opens_again(tmp_path):
    network = SubspaceNetwork(32, 3, 6, 2, 4)
    again = subspace_network(network.state_dict())
    assert (again.side, again.channels, again.latents) == (32, 3, 6)
    assert (again.subspace, again.conditions) == (2, 4)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert again.encode(x)[0].equal(network.encode(x)[0])
    weights = network.state_dict()
    del weights["told.mean.weight"]
    with pytest.raises(Refused) as caught:
        subspace_network(weights, "vae.safetensors")
    assert str(caught.value) == (
        "vae.safetensors holds no CSVAE of `legenda fit-vae`: 'told.mean.weight'. Train it again."
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: CSVAE(secrecy=-1.0),
            "CSVAE needs prices of 0 or more, and a rival of width 1 or more and a rate above 0; "
            "it got beta=1.0, beta_told=1.0, secrecy=-1.0, width=128, rate=0.001. Change these.",
        ),
        (
            lambda: CSVAE().loss(weighted(Split()), pictures(), MOMENT),
            "CSVAE needs numbers from 0 to 1 told of each picture, and its rival; one is missing. "
            "Give a source with both; `begin` makes the rival.",
        ),
        (
            lambda: class_directions(torch.zeros(3, 2), torch.tensor([[0.0, 1], [1, 1], [0, 1]])),
            "a direction needs pictures with and without its attribute; of number 1 there are 3 "
            "with and 0 without it. Give others, or leave it out.",
        ),
        (
            lambda: SubspaceNetwork(24, 3, 10, 10),
            "SubspaceNetwork needs a side that is a power of two from 16 on, latents beyond its "
            "subspace of 1 or more, and 1 condition or more; it got side=24, latents=10, "
            "subspace=10, conditions=2. Change these.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
