import pytest
import torch

from legenda.core.target import Logit
from legenda.explain.integrated_gradients import IntegratedGradients
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


def test_it_is_equation_1():
    units, x = mixed(), pictures(2)
    expected = torch.zeros(2, 16)
    for i in range(2):
        mean = torch.zeros(1, 3, 16, 16)
        for k in (1, 2, 3):
            at = ((k - 0.5) / 3 * x[i : i + 1]).requires_grad_()
            mean += torch.autograd.grad(units.model.run(at).output[0, 0], [at])[0] / 3
        share = (x[i] * mean[0]).sum(0)
        for n in range(16):
            r, c = 4 * (n // 4), 4 * (n % 4)
            expected[i, n] = share[r : r + 4, c : c + 4].sum()
    found = IntegratedGradients(steps=3)(units, x, Logit(0)).scores
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("at", ["input", "site"])
@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_the_shares_add_up_to_the_rise(at, fill):
    found = IntegratedGradients(at=at, steps=64, fill=fill)(mixed(), pictures(), Logit(0))
    rise = found.figures["clean"] - found.figures["blank"]
    torch.testing.assert_close(found.scores.sum(1), rise, rtol=1e-3, atol=1e-4)
    assert found.figures["gap"].abs().max() < 1e-3


def test_more_steps_leave_a_smaller_gap():
    few, many = (
        IntegratedGradients(steps=s)(mixed(), pictures(), Logit(0)).figures["gap"].abs().sum()
        for s in (1, 32)
    )
    assert many < few / 10


def test_only_the_planted_position_has_a_share():
    scores = IntegratedGradients(steps=4)(planted(), pictures(), Logit(0)).scores
    assert set(scores.nonzero()[:, 1].tolist()) == {PLANTED}
    words = IntegratedGradients(steps=4)(sentence_units(), IDS, Logit(0)).scores
    assert words.nonzero().tolist() == [[0, 2], [1, 2]]
