import torch

from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.explain.grad_cam import GradCAM
from tests.explain.toys import IDS, Looks, mixed, pictures, sentence_units


def test_it_is_equations_1_and_2():
    units, x = Units(Looks(), Identity(6)), pictures()
    expected = torch.zeros(3, 17)
    for i in range(3):
        acts = units.model.acts(x[i : i + 1]).detach().requires_grad_()
        (g,) = torch.autograd.grad(units.model.rest(acts)[0][0, 0], [acts])
        for n in range(17):
            w = [sum(g[0, m, d] for m in range(1, 17)) / 16 for d in range(6)]
            expected[i, n] = max(0, sum(w[d] * acts[0, n, d].detach() for d in range(6)))
    torch.testing.assert_close(GradCAM()(units, x, Logit(0)).scores, expected)


def test_rectified_it_is_the_signed_map_without_what_speaks_against():
    units, x = mixed(), pictures()
    signed = GradCAM(rectify=False)(units, x, Logit(0)).scores
    assert (signed < 0).any()
    torch.testing.assert_close(GradCAM()(units, x, Logit(0)).scores, signed.clamp(min=0))


def test_padding_has_no_part_in_the_weights():
    units = sentence_units()
    together = GradCAM(rectify=False)(units, IDS, Logit(0)).scores[1]
    alone = GradCAM(rectify=False)(units, IDS[1:, :4], Logit(0)).scores[0]
    torch.testing.assert_close(together[:4], alone)


def test_a_channel_that_is_on_in_one_patch_only_is_found_there():
    units, x = mixed(), pictures()

    class Channel(Logit):
        def __call__(self, run):
            return run.acts[..., 3].sum(1).sin()

    kept = units.model.acts(x).detach()
    scores = GradCAM(rectify=False)(units, x, Channel(0)).scores
    assert torch.equal(scores.abs().argmax(1), kept[..., 3].abs().argmax(1))
