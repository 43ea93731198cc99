import torch

from legenda.core.target import Logit
from legenda.explain.saliency import Saliency
from tests.explain.toys import IDS, PLANTED, pictures, planted, sentence_units


def literal(units, x, index):
    """Equation (1), one image and one patch at a time."""
    scores = torch.zeros(len(x), 16)
    for i in range(len(x)):
        one = x[i : i + 1].clone().requires_grad_()
        (g,) = torch.autograd.grad(units.model.run(one).output[0, index], [one])
        for n in range(16):
            r, c = 4 * (n // 4), 4 * (n % 4)
            patch = g[0, :, r : r + 4, c : c + 4].flatten(1).abs()
            scores[i, n] = sum(patch[:, p].max() for p in range(16))
    return scores


def test_it_is_equation_1():
    units, x = planted(), pictures()
    found = Saliency(batch=2)(units, x, Logit(1)).scores
    torch.testing.assert_close(found, literal(units, x, 1))


def test_the_largest_pixel_is_never_more_than_the_sum():
    units, x = planted(), pictures()
    most = Saliency(pool="max")(units, x, Logit(0)).scores
    total = Saliency()(units, x, Logit(0)).scores
    assert (most <= total + 1e-9).all()
    assert (16 * most >= total - 1e-6).all()


def test_only_the_planted_patch_matters():
    scores = Saliency()(planted(), pictures(), Logit(0)).scores
    assert (scores.argmax(1) == PLANTED).all()
    assert (scores > 0).sum() == len(scores)


def test_only_the_planted_word_matters():
    scores = Saliency()(sentence_units(), IDS, Logit(0)).scores
    assert (scores > 0).nonzero().tolist() == [[0, 2], [1, 2]]
