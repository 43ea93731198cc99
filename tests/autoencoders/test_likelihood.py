"""What a picture costs, against torch.distributions."""

import pytest
import torch
from torch import distributions as D

from legenda.autoencoders.likelihood import Bernoulli, Gaussian
from legenda.errors import BadInput
from tests.autoencoders.toys import pictures

LOGITS = 4 * pictures(5, seed=1, channels=3) - 2
X = pictures(5, seed=2, channels=3)


def test_bernoulli_is_its_equation_on_pictures_of_black_and_white():
    x = X.round()
    slow = [
        -sum(
            D.Bernoulli(logits=a).log_prob(v)
            for a, v in zip(one.flatten(), row.flatten(), strict=True)
        )  # fmt: skip # noqa: E501
        for one, row in zip(LOGITS, x, strict=True)
    ]
    torch.testing.assert_close(Bernoulli().nats(LOGITS, x), torch.stack(slow))


@pytest.mark.parametrize("deviation", [0.1, 2.0])
def test_gaussian_is_its_equation(deviation):
    slow = -D.Normal(LOGITS.sigmoid(), deviation).log_prob(X).sum((1, 2, 3))
    torch.testing.assert_close(Gaussian(deviation).nats(LOGITS, X), slow)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.3)])
def test_the_picture_itself_is_the_cheapest_reconstruction(likelihood):
    best = likelihood.nats(X.logit(), X)
    for seed in range(5):
        other = X.logit() + 0.3 * torch.randn(
            X.shape, generator=torch.Generator().manual_seed(seed)
        )
        assert (likelihood.nats(other, X) > best).all()


def test_a_larger_deviation_forgives_more():
    gaps = [Gaussian(s).nats(LOGITS, X) - Gaussian(s).nats(X.logit(), X) for s in (0.1, 0.3, 1.0)]
    assert (gaps[0] > gaps[1]).all() and (gaps[1] > gaps[2]).all()


def test_a_deviation_of_nothing_is_refused():
    with pytest.raises(BadInput) as caught:
        Gaussian(0.0)
    assert str(caught.value) == (
        "Gaussian needs a deviation above 0; it got 0.0. A tenth of the range of colours is 0.1."
    )
