from math import log

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import conv2d

from legenda.concepts.bottleneck import HEAT, Bottlenecked, kept, passed
from legenda.concepts.extractors import SMALL
from legenda.concepts.model import ConceptModel
from legenda.concepts.training import measured
from legenda.core.codebook import Codebook
from legenda.core.target import Logit
from legenda.errors import BadInput
from legenda.explain.token_importance import TokenImportance
from tests.concepts import toys
from tests.concepts.world import parts, recall, telling, trained, units
from tests.contracts import check_model

B, D, N = 3, 6, 16


def network(channel="noise", dtype=torch.float64, **how):
    """Untrained, with μ and σ that are not 0 and 1 and a gate that is neither open nor shut."""
    torch.manual_seed(1)
    net = Bottlenecked(SMALL["cnn"], channel=channel, gate=5, start=0.3, **how)
    net = net.build(D, toys.GRID, len(toys.CONCEPTS)).to(dtype).eval()
    net.refer(torch.linspace(-0.5, 0.5, D), torch.linspace(0.5, 2, D))
    for weight in (net.gate[0].weight, net.gate[2].weight):
        weight.data *= 3
    return net.requires_grad_(False)


def laid(dtype=torch.float64, count=B):
    atoms = toys.codebook().atoms.to(dtype)
    return atoms[toys.tokens(count)].mT.unflatten(2, toys.GRID)


def lot(seed=4):
    return torch.Generator().manual_seed(seed)


def gate(net, x):
    """Equation (1), by hand."""
    r = (x - net.mean) / net.spread
    inner = conv2d(r, net.gate[0].weight, net.gate[0].bias, padding=1).clamp(min=0)
    return conv2d(inner, net.gate[2].weight, net.gate[2].bias, padding=1)[:, 0].flatten(1)


# ------------------------------------------------------------------------------- literal twins


def test_nats_are_the_divergence_from_noise_that_looks_like_the_codebook():
    """Written by torch.distributions, in the units of the embeddings instead of spreads."""
    net, x = network(), laid()
    alpha, mean, spread = gate(net, x), net.mean.flatten(), net.spread.flatten()
    slow = torch.zeros(B, N, dtype=torch.float64)
    for i in range(B):
        for n in range(N):
            share, e = torch.sigmoid(alpha[i, n]), x[i, :, n // 4, n % 4]
            sent = Normal(share * e + (1 - share) * mean, (1 - share) * spread)
            slow[i, n] = kl_divergence(sent, Normal(mean, spread)).sum()
    torch.testing.assert_close(net.nats(x), slow)
    torch.testing.assert_close(net.noisy(x, lot())[1], slow)
    assert alpha.std() > 0.3, "the gate tells positions apart"


def test_nats_of_dropping_are_the_divergence_of_two_coins():
    net, x = network("drop", prior=0.2), laid()
    coin, prior = Bernoulli(logits=gate(net, x)), Bernoulli(torch.tensor(0.2, dtype=torch.float64))
    torch.testing.assert_close(net.nats(x), kl_divergence(coin, prior))
    torch.testing.assert_close(net.noisy(x, lot())[1], kl_divergence(coin, prior))


def test_the_channel_is_equation_two():
    net, x, draw = network(still=0.0), laid(), lot()
    torch.rand(B, 1, 1, 1, generator=draw)
    noise = net.mean + net.spread * torch.randn(x.shape, generator=draw, dtype=x.dtype)
    share = torch.sigmoid(gate(net, x)).view(B, 1, 4, 4)
    slow = net.inner(share * x + (1 - share) * noise)
    torch.testing.assert_close(net.noisy(x, lot())[0], slow)


def test_dropping_is_equations_five_and_six():
    net, x, draw = network("drop", still=0.0), laid(), lot()
    torch.rand(B, 1, 1, 1, generator=draw)
    u = torch.rand(B, 1, 4, 4, generator=draw, dtype=x.dtype)
    choice = torch.sigmoid((gate(net, x).view(B, 1, 4, 4) + u.log() - (1 - u).log()) / HEAT)
    slow = net.inner(choice * x + (1 - choice) * net.mean)
    torch.testing.assert_close(net.noisy(x, lot())[0], slow)


@pytest.mark.parametrize("channel", ["noise", "drop"])
def test_the_noise_free_pass_has_the_mean_in_place_of_noise(channel):
    net, x = network(channel), laid()
    share = torch.sigmoid(gate(net, x)).view(B, 1, 4, 4)
    torch.testing.assert_close(net(x), net.inner(share * x + (1 - share) * net.mean))


@pytest.mark.parametrize("channel", ["noise", "drop"])
def test_so_many_images_pass_without_noise(channel):
    net, x = network(channel, still=0.75), laid(count=400)
    quiet = ((net.noisy(x, lot())[0] - net(x)).abs().amax(1) < 1e-9).double().mean()
    assert abs(quiet - 0.75) < 3 * (0.75 * 0.25 / 400) ** 0.5
    loud = network(channel, still=0.0)
    assert ((loud.noisy(x, lot())[0] - loud(x)).abs().amax(1) > 1e-9).all()


# ---------------------------------------------------------------------------------------- laws


def test_nats_grow_from_nothing_with_what_goes_through():
    alpha = torch.linspace(-40, 40, 801)[None]
    for square in (0.0, 3.0, 60.0):
        nats = passed(alpha, torch.full_like(alpha, square), D)
        exact = passed(alpha.double(), torch.full_like(alpha.double(), square), D)
        torch.testing.assert_close(nats.double(), exact, rtol=1e-4, atol=1e-5)
        assert (nats >= 0).all() and (exact.diff() >= -1e-12).all()
        assert nats[0, 0] < 1e-12 < 100 < nats[0, -1]


def test_nats_of_dropping_vanish_at_the_prior_and_end_at_its_surprise():
    prior = torch.tensor([[log(0.2 / 0.8)]])
    assert kept(prior, 0.2).abs().max() < 1e-6
    assert kept(torch.tensor([[60.0]]), 0.2).item() == pytest.approx(-log(0.2))
    assert kept(torch.tensor([[-60.0]]), 0.2).item() == pytest.approx(-log(0.8))


def test_nats_bound_what_the_noisy_tokens_tell():
    """In a world of two equal tokens, log 2 nats are there to be told, by a gate left open."""
    net, x = network(), laid(count=1)
    e = torch.stack([x[0, :, 0, 0], x[0, :, 2, 2]])
    for alpha in (-3.0, -1.0, 0.5, 3.0):
        share, mean, spread = torch.sigmoid(torch.tensor(alpha)), *map(torch.flatten, (net.mean, net.spread))  # fmt: skip # noqa: E501
        sent = Normal(share * e + (1 - share) * mean, ((1 - share) * spread).expand(2, D))
        t = sent.sample((4000,))  # s token d
        own = sent.log_prob(t).sum(-1)
        other = Normal(sent.loc.flip(0), sent.scale).log_prob(t).sum(-1)
        told = (own - torch.stack([own, other]).logsumexp(0) + log(2)).mean()
        square = ((e - mean) / spread).square().sum(1)[:, None]
        nats = passed(torch.full((2, 1), alpha, dtype=e.dtype), square, D).mean()
        assert told <= nats + 0.02 and told <= log(2) + 1e-6


def test_half_precision_leaves_the_nats_exact():
    net, x = network(dtype=torch.float32), laid(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net.noisy(x, lot())[1]
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, net.nats(x), rtol=0.1, atol=0.1)


# ------------------------------------------------------------------------------- planted truth


def nats(model, tokens):
    with torch.no_grad():
        return model.root.nats(model.acts(tokens).mT.unflatten(2, model.grid))


def test_what_is_paid_for_are_the_planted_tokens():
    model, (tokens, labels, planted) = trained(0.1), telling()
    found = nats(model, tokens)
    assert recall(found, planted) >= 0.95
    assert found[planted].mean() > 10 * found[~planted].mean()
    assert measured(model, parts()[2])[0].value > 0.9, "the noise-free pass knows its concepts"
    how = TokenImportance(draws=8, reduce="grad_times_input")
    scores = how(units(model), tokens, Logit(tuple(labels.tolist()))).scores
    assert recall(scores, planted) > 0.8


def test_a_dearer_nat_leaves_fewer():
    tokens = telling()[0]
    cheap, dear = (nats(trained(beta), tokens).sum(1).mean() for beta in (0.03, 0.1))
    assert dear < 0.5 * cheap


def test_what_is_kept_are_the_planted_tokens():
    model, (tokens, _, planted) = trained(1.0, "drop"), telling()
    found = nats(model, tokens)
    assert recall(found, planted) >= 0.85
    assert found[planted].mean() > 5 * found[~planted].mean()
    assert measured(model, parts()[2])[0].value > 0.95


# ------------------------------------------------------------------------------------ contracts


@pytest.mark.parametrize("channel", ["noise", "drop"])
def test_it_keeps_the_contract_of_a_model(channel):
    net = network(channel, torch.float32)
    check_model(ConceptModel(net, toys.codebook(), toys.CONCEPTS, toys.GRID), toys.tokens())


def test_it_is_its_settings():
    how = Bottlenecked(SMALL["resnet"], 0.3, "drop", still=0.2)
    names = {"Bottlenecked": Bottlenecked, type(how.inner).__name__: type(how.inner)}
    assert eval(repr(how), names) == how


def test_noise_follows_its_generator():
    net, x = network(), laid()
    one, same, other = (net.noisy(x, lot(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_refusals():
    for wrong in ({"beta": 0.0}, {"beta": float("inf")}, {"gate": 0}):
        with pytest.raises(BadInput) as caught:
            Bottlenecked(SMALL["cnn"], **wrong)
        beta, size = wrong.get("beta", 0.1), wrong.get("gate", 32)
        assert str(caught.value) == (
            "Bottlenecked needs a finite price beta above 0 and a gate of one channel or more; it "
            f"got beta={beta}, gate={size}. Try 0.1 and 32."
        )
    for wrong in ({"prior": 1.0}, {"still": 1.0}):
        with pytest.raises(BadInput) as caught:
            Bottlenecked(SMALL["cnn"], **wrong)
        prior, still = wrong.get("prior", 0.1), wrong.get("still", 0.5)
        assert str(caught.value) == (
            "Bottlenecked needs the channel 'noise' or 'drop', a prior between 0 and 1, and still "
            f"from 0 to below 1; it got 'noise', prior={prior}, still={still}."
        )


def test_a_codebook_of_constant_width_is_no_trouble():
    flat = Codebook(torch.cat([toys.codebook().atoms, torch.ones(12, 1)], 1))
    net = Bottlenecked(SMALL["cnn"]).build(7, toys.GRID, 3).eval()
    x = flat.atoms[toys.tokens()].mT.unflatten(2, toys.GRID)
    assert net.nats(x).isfinite().all()
