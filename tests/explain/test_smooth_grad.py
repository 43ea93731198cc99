import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput
from legenda.explain.saliency import Saliency
from legenda.explain.smooth_grad import SmoothGrad
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


def test_it_is_equations_1_and_2():
    units, x, method = mixed(), pictures(), SmoothGrad(draws=4, sigma=0.3, seed=5)
    noise = method._noise(x)
    expected = torch.zeros(3, 16)
    for i in range(3):
        g = torch.zeros(3, 16, 16)
        for s in range(4):
            noisy = x[i] + 0.3 * (x[i].max() - x[i].min()) * noise[s]
            noisy = noisy[None].requires_grad_()
            g += torch.autograd.grad(units.model.run(noisy).output[0, 0], [noisy])[0][0] / 4
        for n in range(16):
            r, c = 4 * (n // 4), 4 * (n % 4)
            expected[i, n] = g[:, r : r + 4, c : c + 4].abs().amax(0).sum()
    torch.testing.assert_close(method(units, x, Logit(0)).scores, expected)


def test_the_noise_is_standard_normal():
    noise = SmoothGrad(draws=40)._noise(pictures())
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01


def test_without_noise_it_is_saliency():
    units, x = mixed(), pictures()
    still = SmoothGrad(draws=2, sigma=0.0)(units, x, Logit(0)).scores
    torch.testing.assert_close(still, Saliency()(units, x, Logit(0)).scores)


def test_more_draws_agree_better_between_seeds():
    units, x = mixed(), pictures()

    def gap(draws):
        a, b = (SmoothGrad(draws=draws, sigma=0.5, seed=s)(units, x, Logit(0)) for s in (0, 1))
        return (a.scores - b.scores).norm()

    assert gap(32) < gap(2) / 2


def test_only_the_planted_position_matters():
    scores = SmoothGrad(draws=3)(planted(), pictures(), Logit(0)).scores
    assert set(scores.nonzero()[:, 1].tolist()) == {PLANTED}
    words = SmoothGrad(draws=3)(sentence_units(), IDS, Logit(0)).scores
    assert words.nonzero().tolist() == [[0, 2], [1, 2]]


def test_no_draws_are_refused():
    with pytest.raises(BadInput) as refused:
        SmoothGrad(draws=0)
    assert str(refused.value) == (
        "SmoothGrad needs at least one draw and a sigma of 0 or more; it got draws=0, sigma=0.15."
    )
