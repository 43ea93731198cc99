"""β-VAE, H and B, against their equations."""

import pytest
import torch

from legenda.autoencoders.beta_vae import BetaVAE, CapacityVAE
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.objective import Moment
from legenda.autoencoders.vae import VAE
from legenda.errors import BadInput
from tests.autoencoders.test_vae import slow
from tests.autoencoders.toys import MOMENT, Bars, Tiny, pictures, tiny


def test_with_a_price_of_one_it_is_a_vae_and_of_nothing_only_what_is_lost():
    network, x = tiny(), pictures()
    whole, figures, _ = VAE().loss(network, x, MOMENT)
    assert BetaVAE(1.0).loss(network, x, MOMENT).loss.equal(whole)
    lost = float(BetaVAE(0.0).loss(network, x, MOMENT).loss.detach())
    assert lost == pytest.approx(figures["reconstruction"])


def test_h_is_its_equation():
    network, x = tiny(), pictures()
    found, figures, _ = BetaVAE(5.0).loss(network, x, MOMENT)
    wanted = slow(network, x, MOMENT, VAE().likelihood) + 4 * figures["kl"]
    assert float(found.detach()) == pytest.approx(wanted)


@pytest.mark.parametrize(("step", "wanted"), [(0, 0.0), (2, 2.0), (5, 5.0), (9, 5.0)])
def test_b_is_its_equation_while_its_capacity_rises(step, wanted):
    network, x = tiny(), pictures()
    objective, moment = CapacityVAE(30.0, 5.0, 0.5), MOMENT._replace(step=step)
    found, figures, _ = objective.loss(network, x, moment)
    assert figures["capacity"] == pytest.approx(wanted)
    gap = abs(figures["kl"] - wanted)
    assert float(found.detach()) == pytest.approx(figures["reconstruction"] + 30.0 * gap)
    plain = slow(network, x, moment, VAE().likelihood)
    assert figures["reconstruction"] + figures["kl"] == pytest.approx(plain)


def said(objective):
    network = fit(Tiny(3), objective, Bars(), plan_of(300, 1e-2), 0, batch=32)
    with torch.no_grad():
        return objective.loss(network, Bars().batch(9999, 300, 0), Moment(300, 300)).figures["kl"]


def test_a_dearer_nat_says_less():
    low, middle, high = (said(BetaVAE(b)) for b in (1.0, 4.0, 100.0))
    assert low > middle > high and high < 0.1, (low, middle, high)


def test_the_code_is_held_to_its_capacity():
    for most in (0.5, 1.5):
        assert said(CapacityVAE(50.0, most, 0.5)) == pytest.approx(most, abs=0.2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: BetaVAE(-1.0),
            "BetaVAE needs a price of 0 or more; it got beta=-1.0. With 1 it is a VAE.",
        ),
        (
            lambda: CapacityVAE(rise=0.0),
            "CapacityVAE needs gamma and most of 0 or more, and rise above 0 up to 1; it got "
            "gamma=100.0, most=25.0, rise=0.0. Change these.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
