import torch

from legenda.core.target import Logit
from legenda.explain.path_integral import PathIntegral
from tests.explain.toys import IDS, PLANTED, Looks, mixed, pictures, planted, sentence_units


def test_it_is_equation_1():
    units, x = mixed(), pictures(2)
    expected = torch.zeros(2, 16)
    for i in range(2):
        acts = units.model.acts(x[i : i + 1]).detach()
        for k in (1, 2, 3):
            at = ((k - 0.5) / 3 * acts).requires_grad_()
            out = units.model.run(x[i : i + 1], edit=lambda _, a=at: a).output[0, 1]
            (g,) = torch.autograd.grad(out, [at])
            expected[i] += (acts * g).sum(-1)[0] / 3
    torch.testing.assert_close(PathIntegral(steps=3)(units, x, Logit(1)).scores, expected)


def test_the_shares_add_up_to_the_rise_special_tokens_included():
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units

    units = Units(Looks(), Identity(6))
    found = PathIntegral(steps=64)(units, pictures(), Logit(0))
    rise = found.figures["clean"] - found.figures["blank"]
    torch.testing.assert_close(found.scores.sum(1), rise, rtol=1e-3, atol=1e-4)
    assert found.scores[:, 0].abs().min() > 0


def test_turning_the_target_over_turns_the_map_over():
    units, x = mixed(), pictures()

    class Against(Logit):
        def __call__(self, run):
            return -super().__call__(run)

    for_it = PathIntegral()(units, x, Logit(0)).scores
    torch.testing.assert_close(PathIntegral()(units, x, Against(0)).scores, -for_it)


def test_only_the_planted_position_has_a_share():
    scores = PathIntegral()(planted(), pictures(), Logit(0)).scores
    assert set(scores.nonzero()[:, 1].tolist()) == {PLANTED}
    words = PathIntegral()(sentence_units(), IDS, Logit(0)).scores
    assert words.nonzero().tolist() == [[0, 2], [1, 2]]
