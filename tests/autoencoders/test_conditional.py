"""The conditional VAE against its equation, and what telling saves."""

import pytest
import torch

from legenda.autoencoders.conditional import ConditionalVAE
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.objective import DROP, Moment, drawn, nats
from legenda.errors import BadInput
from tests.autoencoders.toys import MOMENT, Bars, Tiny, pictures, tiny, told


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_the_loss_is_its_equation(drop):
    network, x, y = tiny(told=2), pictures(), told()
    found, figures, _ = ConditionalVAE(3.0, drop).loss(network, x, MOMENT, y)
    with torch.no_grad():
        chance = torch.rand(8, 1, generator=MOMENT.lot(DROP))
        kept = torch.stack([y[i] if chance[i] >= drop else 0 * y[i] for i in range(8)])
        mean, log_variance = network.encode(x, kept)
        m = network.decode(drawn(mean, log_variance, MOMENT), kept)
        lost = -(x * m.log() + (1 - x) * (1 - m).log()).sum((1, 2, 3))
        said = nats(mean, log_variance).sum(1)
    assert float(found.detach()) == pytest.approx(float((lost + 3.0 * said).mean()))
    assert figures["kl"] == pytest.approx(float(said.mean()))


def test_the_share_that_is_told_nothing():
    y = torch.ones(4000, 2)
    for drop in (0.0, 0.3):
        kept = ConditionalVAE(1.0, drop).told(y, MOMENT)
        assert (kept[:, 0] == kept[:, 1]).all()
        assert float((kept == 0).float().mean()) == pytest.approx(drop, abs=0.03)


def test_what_is_told_need_not_be_said():
    """Whether a bar is left of the middle: its code says less where that is told."""
    source = Bars(told=True)
    told_it = fit(Tiny(3, 2), ConditionalVAE(drop=0.2), source, plan_of(300, 1e-2), 0, batch=32)
    with torch.no_grad():
        x, y = source.batch(9999, 500, 0)
        knows = nats(*told_it.encode(x, y)).sum(1).mean()
        blind = nats(*told_it.encode(x, torch.zeros_like(y))).sum(1).mean()
        z = torch.zeros(1, 3)
        sides = [told_it.decode(z, torch.tensor([s])).mean((0, 1, 2)) for s in ([1.0, 0.0], [0.0, 1.0])]  # fmt: skip # noqa: E501
    assert blind > knows + 0.2, (blind, knows)
    assert sides[0][:3].sum() > sides[0][3:].sum() and sides[1][:3].sum() < sides[1][3:].sum()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: ConditionalVAE(drop=1.0),
            "ConditionalVAE needs beta of 0 or more, and drop from 0 to below 1; it got beta=1.0, "
            "drop=1.0. Change these.",
        ),
        (
            lambda: ConditionalVAE().loss(tiny(told=2), pictures(), Moment()),
            "ConditionalVAE needs numbers told of each picture; its source gives pictures alone. "
            "Give a source with both, or take BetaVAE.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == says
