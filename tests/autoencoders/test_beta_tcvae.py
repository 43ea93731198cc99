"""β-TCVAE against double loops, all batches of a small set, and a Gaussian that is known."""

from itertools import permutations
from math import exp, log

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from legenda.autoencoders.beta_tcvae import BetaTCVAE, density, even, parts, stratified
from legenda.autoencoders.objective import drawn, nats
from legenda.autoencoders.vae import VAE
from legenda.errors import BadInput
from tests.autoencoders.toys import MOMENT, pictures, tiny


def literal_weight(i, j, m, n, estimator):
    """W_ij, as the paper's appendix has it; m pictures in the batch, of n."""
    if estimator == "weighted":
        return 1 / (n * m)
    if i == j:
        return 1 / n
    if estimator == "even":
        return (1 - 1 / n) / (m - 1)
    return (n - m + 1) / (n * (m - 1)) if j == (i + 1) % m else 1 / (m - 1)


@torch.no_grad()
def slow_parts(z, mean, log_variance, n, estimator):
    """Equation (1), a density at a time."""
    m, d = z.shape
    found = []
    for i in range(m):
        joint, apart = 0.0, [0.0] * d
        for j in range(m):
            w = literal_weight(i, j, m, n, estimator)
            q = Normal(mean[j], (log_variance[j] / 2).exp())
            each = [exp(float(v)) for v in q.log_prob(z[i])]
            joint += w * float(torch.tensor(each, dtype=torch.float64).prod())
            apart = [a + w * e for a, e in zip(apart, each, strict=True)]
        own = float(Normal(mean[i], (log_variance[i] / 2).exp()).log_prob(z[i]).sum())
        prior = float(Normal(0.0, 1.0).log_prob(z[i]).sum())
        product = sum(log(a) for a in apart)
        found.append((own - log(joint), log(joint) - product, product - prior))
    return found


@pytest.mark.parametrize("estimator", ["stratified", "even", "weighted"])
@pytest.mark.parametrize("count", [8, 40])
def test_the_loss_is_its_equation(estimator, count):
    network, x, moment = tiny(), pictures(), MOMENT._replace(pictures=count)
    objective = BetaTCVAE(5.0, 0.5, 2.0, estimator)
    loss, figures, _ = objective.loss(network, x, moment)
    with torch.no_grad():
        mean, log_variance = network.encode(x)
        z = drawn(mean, log_variance, moment)
        lost = objective.likelihood.nats(network.logits(z), x).mean()
    slow = torch.tensor(slow_parts(z, mean, log_variance, count, estimator)).mean(0).tolist()
    wanted = float(lost) + 0.5 * slow[0] + 5.0 * slow[1] + 2.0 * slow[2]
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-6)
    told = [figures[n] for n in ("information", "total_correlation", "dimension_wise")]
    assert told == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("weights", [stratified, even])
def test_weights_are_unbiased_over_every_batch_and_each_row_sums_to_one(weights):
    """Five pictures, batches of three: the mean over all batches is q(z), to the last digits."""
    n, m, lot = 5, 3, torch.Generator().manual_seed(0)
    mean = torch.randn(n, 2, generator=lot, dtype=torch.float64)
    z, flat = torch.randn(2, generator=lot, dtype=torch.float64), torch.zeros(n, 2).double()
    each = density(z.expand(n, 2), mean, flat).sum(1).exp()
    weight = weights(m, n).double()
    assert weight.sum(1).tolist() == pytest.approx([1.0] * m)
    for own in range(n):
        others = [i for i in range(n) if i != own]
        batches = [(own, *more) for more in permutations(others, m - 1)]
        found = sum(float(weight[0] @ each[list(batch)]) for batch in batches) / len(batches)
        assert found == pytest.approx(float(each.mean()), rel=1e-6)


def test_even_weights_vary_less_and_of_all_pictures_give_q_itself():
    lot = torch.Generator().manual_seed(0)
    each = torch.rand(6, generator=lot)
    batches = torch.tensor([(0, *more) for more in permutations(range(1, 6), 3)])
    calm, wild = (each[batches] @ made(4, 6)[0] for made in (even, stratified))
    assert calm.var() < 0.9 * wild.var()
    assert even(6, 6).flatten().tolist() == pytest.approx([1 / 6] * 36)


@pytest.mark.parametrize("estimator", ["stratified", "even", "weighted"])
def test_the_three_parts_sum_to_the_kl_of_the_draw(estimator):
    network, x = tiny(), pictures()
    objective = BetaTCVAE(1.0, estimator=estimator)
    with torch.no_grad():
        mean, log_variance = network.encode(x)
        z = drawn(mean, log_variance, MOMENT)
        found = sum(parts(z, mean, log_variance, objective.weights(len(x), MOMENT)))
        q = Normal(mean, (log_variance / 2).exp())
        wanted = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)
        torch.testing.assert_close(found, wanted)


def test_with_prices_of_one_it_is_a_vae_in_expectation():
    network, x = tiny(), pictures(64)
    ours = [
        float(BetaTCVAE(1.0).loss(network, x, MOMENT._replace(step=s, pictures=64)).loss.detach())
        for s in range(300)
    ]
    theirs = [
        float(VAE().loss(network, x, MOMENT._replace(step=s)).loss.detach()) for s in range(300)
    ]
    gap = torch.tensor(ours) - torch.tensor(theirs)
    assert gap.abs().max() > 1e-3, "one draw differs"
    assert abs(gap.mean()) < 4 * gap.std() / 300**0.5


def test_the_total_correlation_of_a_gaussian_is_known():
    """Means with a correlation of 0.8: TC = -½ log(1 - ρ²) of the whole, and nothing without."""
    lot = torch.Generator().manual_seed(0)
    small = torch.full((2000, 2), 0.2).double().log()  # σ² = 0.2 around each mean
    for rho in (0.8, 0.0):
        spread = torch.tensor([[0.8, rho * 0.8], [rho * 0.8, 0.8]]).double()
        mean = torch.randn(2000, 2, generator=lot).double() @ torch.linalg.cholesky(spread).mT
        z = mean + small.exp().sqrt() * torch.randn(2000, 2, generator=lot).double()
        whole = spread + 0.2 * torch.eye(2)
        wanted = 0.5 * float(whole.diagonal().log().sum() - whole.logdet())
        found = parts(z, mean, small, stratified(2000, 2000).log())
        assert float(found.total_correlation.mean()) == pytest.approx(wanted, abs=0.06)
        whole_kl = kl_divergence(MultivariateNormal(torch.zeros(2).double(), whole), MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double()))  # fmt: skip # noqa: E501
        rest = found.total_correlation.mean() + found.dimension_wise.mean()
        assert float(rest) == pytest.approx(float(whole_kl), abs=0.1)
        assert float(found.information.mean() + rest) == pytest.approx(
            float(nats(mean, small).sum(1).mean()), abs=0.1
        )


def test_a_larger_beta_weighs_the_same_total_correlation_more():
    network, x = tiny(), pictures()
    low, high = (BetaTCVAE(b).loss(network, x, MOMENT) for b in (1.0, 3.0))
    more = float((high.loss - low.loss).detach())
    assert more == pytest.approx(2 * low.figures["total_correlation"], rel=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: BetaTCVAE(-1.0),
            "BetaTCVAE needs prices of 0 or more; it got beta=-1.0, alpha=1.0, gamma=1.0. With "
            "all three 1 it is a VAE.",
        ),
        (
            lambda: BetaTCVAE(estimator="stratify"),
            "BetaTCVAE has the estimators stratified, even, weighted; it got 'stratify'. Choose "
            "one.",
        ),
        (
            lambda: BetaTCVAE().weights(4, MOMENT._replace(pictures=None)),
            "BetaTCVAE needs to know how many pictures there are; their source does not say. Give "
            "it as pictures=…: where they are drawn without end, how many differ.",
        ),
        (
            lambda: BetaTCVAE().weights(41, MOMENT),
            "stratified weights need a batch of 2 up to the number of pictures; it got 41 of 40. "
            "Change the batch, or take estimator='weighted'.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
