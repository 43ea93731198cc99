import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput
from legenda.explain.rise import RandomizedInputSampling
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


def test_it_is_equation_1():
    units, x = mixed(), pictures(2)
    method = RandomizedInputSampling(masks=9, cells=3, batch=4)
    lot = torch.Generator().manual_seed(0)
    grids = method._grids(lot)
    masks = method._enlarged(grids, x, torch.rand(9, 2, generator=lot))
    expected = torch.zeros(2, 16)
    for i in range(2):
        f = [units.model.run(m * x[i : i + 1]).output[0, 0].detach() for m in masks]
        for n in range(16):
            r, c = 4 * (n // 4), 4 * (n % 4)
            seen = [m[0, r : r + 4, c : c + 4].mean() for m in masks]
            weighed = sum(score * share for score, share in zip(f, seen, strict=True))
            expected[i, n] = weighed / sum(seen) - sum(f) / 9
    torch.testing.assert_close(method(units, x, Logit(0)).scores, expected, rtol=1e-4, atol=1e-6)


def test_masks_lie_between_nothing_and_everything_and_keep_their_share():
    method = RandomizedInputSampling(masks=400, cells=5, keep=0.3)
    lot = torch.Generator().manual_seed(0)
    x = torch.zeros(1, 3, 17, 23)
    masks = method._enlarged(method._grids(lot), x, torch.rand(400, 2, generator=lot))
    assert masks.shape == (400, 1, 17, 23)
    assert 0 <= masks.min() < masks.max() <= 1
    assert abs(masks.mean() - 0.3) < 0.02


def test_a_target_that_sees_nothing_gives_an_empty_map():
    class Constant(Logit):
        def __call__(self, run):
            return run.output[:, 0] * 0 + 3

    scores = RandomizedInputSampling(masks=50)(mixed(), pictures(), Constant(0)).scores
    assert scores.abs().max() < 1e-6


def test_more_masks_agree_better_between_seeds():
    units, x = mixed(), pictures()

    def gap(masks):
        a, b = (RandomizedInputSampling(masks=masks, cells=4, seed=s) for s in (0, 1))
        return (a(units, x, Logit(0)).scores - b(units, x, Logit(0)).scores).norm()

    assert gap(800) < gap(20) / 2


def test_the_planted_patch_and_word_stand_out():
    method = RandomizedInputSampling(masks=600, cells=4)
    units, x = planted(), torch.zeros(1, 3, 16, 16, requires_grad=True)
    (uphill,) = torch.autograd.grad(units.model.run(x).output[0, 0], [x])
    seen = pictures() + 4 * uphill / uphill.abs().max()
    assert (method(units, seen, Logit(0)).scores.argmax(1) == PLANTED).all()
    words = RandomizedInputSampling(masks=600)(sentence_units(), IDS, Logit(0)).scores
    assert (words.abs().argmax(1) == 2).all()


def test_impossible_settings_are_refused():
    with pytest.raises(BadInput) as refused:
        RandomizedInputSampling(keep=1.0)
    assert str(refused.value) == (
        "RandomizedInputSampling needs at least one mask and one cell, and 0 < keep < 1; "
        "it got masks=2000, cells=8, keep=1.0."
    )
