import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.attention_rollout import AttentionRollout
from tests.explain.toys import PLANTED, Looks, pictures, planted, tiny_clip


def test_it_is_equations_1_and_2():
    dual, x = tiny_clip(), pictures(2, 32)
    _, attentions = dual.image.attentions(x)
    expected = []
    for i in range(2):
        mixed = torch.eye(17)
        for layer in attentions:
            mean = sum(layer[i, h] for h in range(2)) / 2
            mixed = (0.5 * torch.eye(17) + 0.5 * mean) @ mixed
        expected.append(mixed[0].detach())
    found = AttentionRollout()(Units(dual.image, Identity(32)), x, Logit(0)).scores
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-6)


def test_shares_sum_to_one_and_stay_home_without_attention():
    units, x = Units(Looks(), Identity(6)), pictures()
    scores = AttentionRollout()(units, x, Logit(0)).scores
    torch.testing.assert_close(scores.sum(1), torch.ones(3))
    home = AttentionRollout(residual=0.999)(units, x, Logit(0)).scores
    assert (home[:, 0] > 0.998).all()


def test_a_word_after_the_pooled_one_has_no_share():
    dual = tiny_clip()
    ids = dual.ids(["a red boat", "a blue tree and a boat on sand"])
    scores = AttentionRollout()(Units(dual.text, Identity(32)), ids, Logit(0)).scores
    assert not scores[0, ids[0] == dual.words.pad].any()
    torch.testing.assert_close(scores.sum(1), torch.ones(2))


def test_the_patch_that_is_looked_at_is_found():
    found = AttentionRollout()(Units(Looks(), Identity(6)), pictures(), Logit(0))
    assert (found.map().flatten(1).argmax(1) == PLANTED).all()


def test_a_model_without_attention_is_refused():
    with pytest.raises(Unsupported) as refused:
        AttentionRollout()(planted(), pictures(), Logit(0))
    assert str(refused.value) == (
        "AttentionRollout needs a transformer whose attention can be looked at; toy has none. "
        "Open a model in Hugging Face layout, or use Occlusion, which needs no attention."
    )
    with pytest.raises(BadInput):
        AttentionRollout(residual=1.0)
