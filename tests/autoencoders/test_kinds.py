"""Every kind by its name."""

import pytest

from legenda.autoencoders.beta_tcvae import BetaTCVAE
from legenda.autoencoders.dip_vae import DIPVAE
from legenda.autoencoders.kinds import KINDS, kind_of, objective_of
from legenda.autoencoders.objective import Objective
from legenda.errors import BadInput


@pytest.mark.parametrize("name", KINDS)
def test_every_name_makes_an_objective_at_its_price(name):
    made = objective_of(name)
    assert isinstance(made, Objective)
    kind = kind_of(name)
    if kind.price:
        assert getattr(objective_of(name.upper().replace("-", "_"), 3.0), kind.price) == 3.0


def test_names_fix_what_they_say():
    assert objective_of("dip-i", 5.0) == DIPVAE(5.0, noise=False)
    assert objective_of("dip-ii", 5.0, on=2.0) == DIPVAE(5.0, 2.0, True)
    assert objective_of("beta-tc", 2.0, estimator="even") == BetaTCVAE(2.0, estimator="even")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: kind_of("beta-tcv"),
            "there is no autoencoder of the kind 'beta-tcv'. Did you mean 'beta-tc' or 'beta-h' "
            "or 'beta-b'? Known: ae, vae, beta-h, beta-b, beta-tc, factor, dip-i, dip-ii, "
            "conditional, csvae.",
        ),
        (
            lambda: objective_of("vae", 2.0),
            "vae has no price. Leave --beta out, or take beta-h.",
        ),
        (
            lambda: objective_of("dip-i", noise=True),
            "dip-i has no setting 'noise'. It has: off, on.",
        ),
    ],
)
def test_what_is_not_there_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
