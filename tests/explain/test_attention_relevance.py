import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.target import Logit, Similarity
from legenda.core.units import Units
from legenda.errors import Unsupported
from legenda.explain.attention_relevance import AttentionRelevance
from tests.explain.toys import PLANTED, Looks, pictures, tiny_clip


def relevances(tower, x, target):
    """Equation (1) for every block of one input."""
    output, attentions = tower.attentions(x)
    from legenda.core.model import Run

    gradients = torch.autograd.grad(target(Run(output[:, None], output))[0], attentions)
    return [
        sum((g[0, h] * a[0, h]).clamp(min=0) for h in range(2)) / 2
        for g, a in zip(gradients, attentions, strict=True)
    ]


@pytest.mark.parametrize("tower", ["image", "text"])
def test_it_is_equations_2_and_3(tower):
    dual = tiny_clip()
    target = Similarity("it", torch.randn(16, generator=torch.manual_seed(0)))
    model = getattr(dual, tower)
    x = pictures(2, 32) if tower == "image" else dual.ids(["a red boat", "a blue tree and a boat"])
    last = AttentionRelevance()(Units(model, Identity(32)), x, target).scores
    all_of = AttentionRelevance(blocks="all")(Units(model, Identity(32)), x, target).scores
    for i in range(2):
        found = relevances(model, x[i : i + 1], target)
        pooled = int(model.pooled(x)[i])
        carried = torch.eye(x.shape[1] if tower == "text" else 17)
        for share in found:
            carried = carried + share @ carried
        torch.testing.assert_close(last[i], found[-1][pooled].detach(), rtol=1e-3, atol=1e-8)
        torch.testing.assert_close(all_of[i], carried[pooled].detach(), rtol=1e-3, atol=1e-7)


def test_in_the_last_block_only_the_pooled_row_is_asked_for():
    dual, x = tiny_clip(), pictures(1, 32)
    target = Similarity("it", torch.randn(16, generator=torch.manual_seed(0)))
    share = relevances(dual.image, x, target)[-1]
    assert share[0].any()
    assert not share[1:].any()


@pytest.mark.parametrize("tower", ["image", "text"])
def test_attentions_are_those_of_the_model_and_leave_it_alone(tower):
    dual = tiny_clip()
    model = getattr(dual, tower)
    x = pictures(2, 32) if tower == "image" else dual.ids(["a red boat", "a blue tree and a boat"])
    kinds = [m.config._attn_implementation for m in model.root.modules() if hasattr(m, "config")]
    output, attentions = model.attentions(x)
    torch.testing.assert_close(output, model.run(x).output, rtol=1e-4, atol=1e-5)
    n = attentions[0].shape[-1]
    assert [tuple(a.shape) for a in attentions] == [(2, 2, n, n)] * 3
    for attention in attentions:
        torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, n))
        assert attention.requires_grad
    if tower == "text":
        assert not attentions[0][0].triu(1).any(), "the causal mask is the library's"
    after = [m.config._attn_implementation for m in model.root.modules() if hasattr(m, "config")]
    assert after == kinds
    assert not any(m._forward_hooks for m in model.root.modules())


def test_relevance_is_never_negative():
    units = Units(Looks(), Identity(6))
    assert (AttentionRelevance()(units, pictures(), Logit(0)).scores >= 0).all()


def test_the_patch_that_is_looked_at_is_found():
    units = Units(Looks(), Identity(6))
    x = pictures()
    for blocks in ("last", "all"):
        up = AttentionRelevance(blocks=blocks)(units, x, Logit(0)).map().flatten(1)

        class Against(Logit):
            def __call__(self, run):
                return -super().__call__(run)

        down = AttentionRelevance(blocks=blocks)(units, x, Against(0)).map().flatten(1)
        assert ((up + down).argmax(1) == PLANTED).all()


def test_a_unit_of_the_same_site_is_refused():
    units = Units(Looks(), Identity(6))
    with pytest.raises(Unsupported, match="AttentionRelevance needs a target on the output"):
        AttentionRelevance()(units, pictures(), units[0])
