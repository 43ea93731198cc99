import torch

from legenda.core.target import Logit
from legenda.explain.gradient_times_input import GradientTimesInput
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


def test_it_is_equation_1():
    units, x = mixed(), pictures()
    expected = torch.zeros(3, 16)
    for i in range(3):
        acts = units.model.acts(x[i : i + 1]).detach().requires_grad_()
        out = units.model.run(x[i : i + 1], edit=lambda _, a=acts: a).output[0, 1]
        (g,) = torch.autograd.grad(out, [acts])
        for n in range(16):
            expected[i, n] = sum(acts[0, n, d] * g[0, n, d] for d in range(6)).detach()
    found = GradientTimesInput(batch=2)(units, x, Logit(1)).scores
    torch.testing.assert_close(found, expected)


def test_a_linear_target_is_accounted_for_in_full():
    units, x = mixed(), pictures()

    class Linear(Logit):
        def __call__(self, run):
            return run.acts.sum((1, 2)) * 0.5

    scores = GradientTimesInput()(units, x, Linear(0)).scores
    torch.testing.assert_close(scores.sum(1), units.model.acts(x).sum((1, 2)).detach() * 0.5)


def test_a_black_picture_has_no_share_at_the_pixels():
    scores = GradientTimesInput(at="input")(mixed(), torch.zeros(1, 3, 16, 16), Logit(0)).scores
    assert not scores.any()


def test_only_the_planted_position_has_a_share():
    scores = GradientTimesInput()(planted(), pictures(), Logit(0)).scores
    assert set(scores.nonzero()[:, 1].tolist()) == {PLANTED}
    words = GradientTimesInput()(sentence_units(), IDS, Logit(0)).scores
    assert words.nonzero().tolist() == [[0, 2], [1, 2]]
