import pytest
import torch
from torch.distributions import Normal, kl_divergence

from legenda.core.dictionary import Identity
from legenda.core.latent import Latent, Posterior, activity
from tests.tasks.latent_world import NOTHING, discs, pictures
from tests.toys import ToyEncoder


def drawn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_nats_are_the_divergence_from_the_prior():
    mean, log_variance = drawn(0, 3, 2, 5), drawn(1, 3, 2, 5)
    slow = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    assert torch.allclose(Posterior(mean, log_variance).nats(), slow, atol=1e-5)


def test_the_prior_costs_nothing_and_all_else_something():
    nothing = torch.zeros(2, 1, 3)
    assert Posterior(nothing, nothing).nats().abs().max() == 0
    assert (Posterior(drawn(2, 4, 1, 3), drawn(3, 4, 1, 3)).nats() > 0).all()


def test_a_point_costs_what_its_mean_does():
    mean = drawn(4, 2, 1, 3)
    assert torch.allclose(Posterior(mean).nats(), mean**2 / 2)
    assert Posterior(mean).sample(0).equal(mean)


def test_samples_have_the_mean_and_the_variance():
    mean, log_variance = torch.full((4000, 1, 2), 3.0), torch.full((4000, 1, 2), -2.0)
    found = Posterior(mean, log_variance).sample(1)
    assert float(found.mean()) == pytest.approx(3, abs=0.02)
    assert float(found.var().log()) == pytest.approx(-2, abs=0.1)
    again, other = (Posterior(mean, log_variance).sample(s) for s in (1, 2))
    assert again.equal(found) and not other.equal(found)


def test_samples_leave_the_global_lot_alone():
    before = torch.get_rng_state()
    Posterior(torch.zeros(2, 1, 2), torch.zeros(2, 1, 2)).sample()
    assert torch.get_rng_state().equal(before)


def test_activity_sums_over_positions_and_averages_over_pictures():
    nats = drawn(5, 3, 4, 2).abs()
    slow = [sum(float(nats[b, n, d]) for b in range(3) for n in range(4)) / 3 for d in range(2)]
    assert activity(nats).tolist() == pytest.approx(slow)
    assert activity(nats).dtype == torch.float64


def test_a_latent_that_says_nothing_is_found():
    found = activity(discs().model.posterior(pictures()).nats())
    assert float(found[NOTHING]) == 0 and (found.sort().values[1:] > 1).all()


def test_what_has_no_posterior_is_no_latent_model():
    assert isinstance(discs().model, Latent)
    assert not isinstance(ToyEncoder(), Latent) and not isinstance(Identity(3), Latent)
