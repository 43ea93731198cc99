"""What every attribution method must do, run over all of them on a tiny CLIP."""

import dataclasses

import pytest
import torch

from legenda import catalog
from legenda.core.dictionary import Identity
from legenda.core.target import Similarity
from legenda.core.units import Units
from legenda.errors import Unsupported
from legenda.explain.attention_relevance import AttentionRelevance
from legenda.explain.attention_rollout import AttentionRollout
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.centre_gaussian import CentreGaussian
from legenda.explain.edge_map import EdgeMap
from legenda.explain.grad_cam import GradCAM
from legenda.explain.gradient_times_input import GradientTimesInput
from legenda.explain.integrated_gradients import IntegratedGradients
from legenda.explain.kernel_shap import KernelShap
from legenda.explain.occlusion import Occlusion
from legenda.explain.path_integral import PathIntegral
from legenda.explain.random import Random
from legenda.explain.rise import RandomizedInputSampling
from legenda.explain.saliency import Saliency
from legenda.explain.smooth_grad import SmoothGrad
from legenda.explain.token_importance import TokenImportance
from tests.explain.toys import pictures, tiny_clip

METHODS = [
    Saliency(),
    Saliency(at="site"),
    Saliency(pool="max"),
    GradientTimesInput(),
    GradientTimesInput(at="input"),
    SmoothGrad(draws=3),
    TokenImportance(draws=3),
    IntegratedGradients(steps=3),
    IntegratedGradients(at="site", steps=3),
    IntegratedGradients(steps=2, fill="blur"),
    PathIntegral(steps=3),
    GradCAM(),
    GradCAM(rectify=False),
    AttentionRollout(),
    AttentionRelevance(),
    AttentionRelevance(blocks="all"),
    RandomizedInputSampling(masks=30),
    RandomizedInputSampling(at="site", masks=30),
    KernelShap(samples=40, pieces=3),
    Occlusion(),
    Occlusion(window=1, fill="blur"),
    Occlusion(at="site"),
    Random(),
    CentreGaussian(),
]
PICTURES = [*METHODS, EdgeMap()]
SENTENCES = ["a striped orange house, on sand", "a red boat", "a blue tree and a boat"]


def image_case():
    dual = tiny_clip()
    x = pictures(3, 32)
    target = Similarity(("a", "b", "c"), torch.randn(3, 16, generator=torch.manual_seed(3)))
    return Units(dual.image, Identity(32)), x, target


def text_case():
    dual = tiny_clip()
    target = Similarity(("a", "b", "c"), torch.randn(3, 16, generator=torch.manual_seed(4)))
    return Units(dual.text, Identity(32)), dual.ids(SENTENCES), target


CASES = [(m, image_case) for m in PICTURES] + [(m, text_case) for m in METHODS]
EVERY = pytest.mark.parametrize(
    ("method", "case"), CASES, ids=[f"{c.__name__[:5]}-{m}" for m, c in CASES]
)


@EVERY
def test_a_method_keeps_its_promises(method, case):
    units, x, target = case()
    root, before = units.model.root, [p.clone() for p in units.model.parameters()]
    modes = [m.training for m in root.modules()]
    given, state = x.clone(), torch.get_rng_state()
    first, second = method(units, x, target), method(units, x, target)
    for name, array in first.arrays().items():
        assert array.isfinite().all(), name
        assert not array.requires_grad, name
        assert torch.equal(array, second.arrays()[name]), f"{name}: same seed, same bits"
    assert torch.equal(x, given)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not ours"
    parameters = list(units.model.parameters())
    assert all(torch.equal(p, q) for p, q in zip(before, parameters, strict=True))
    assert all(p.grad is None and p.requires_grad for p in parameters)
    assert [m.training for m in root.modules()] == modes
    assert not any(m._forward_hooks for m in root.modules())
    assert first.panels()
    assert first.unit
    prefix = units.model.prefix(x)
    assert first.scores.shape == first.drawn.shape == prefix.valid.shape
    assert torch.equal(first.drawn, prefix.valid & ~prefix.special)
    assert first.grid == units.model.grid
    if first.grid:
        assert first.map().shape == (3, *first.grid)


@EVERY
def test_a_batch_changes_no_input(method, case):
    units, x, target = case()
    small = dataclasses.replace(method, batch=2) if hasattr(method, "batch") else method
    together = small(units, x, target)
    for row in (0, 1):
        rows = torch.tensor([row])
        alone_x = x[rows]
        if x.ndim != 4:
            alone_x = alone_x[:, : int(together.drawn[row].sum()) + 2]
        alone = method(units, alone_x, target.at(rows))
        torch.testing.assert_close(
            together.scores[row, together.drawn[row]],
            alone.scores[0, alone.drawn[0]],
            rtol=2e-3,
            atol=2e-5 * float(alone.scores.abs().max()),
        )


@pytest.mark.parametrize("method", PICTURES, ids=repr)
def test_the_settings_are_the_identity(method):
    names = {type(method).__name__: type(method)}
    assert eval(repr(method), names) == method
    assert len(dataclasses.fields(method)) <= 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.seed = 1


def test_every_catalogued_method_is_in_the_list():
    ours = {type(m) for m in PICTURES} | {InformationBottleneck}
    found = [catalog.lookup("explain", name) for name in catalog.names("explain")]
    assert {f for f in found if isinstance(f, type)} == ours  # the others are presets


def test_it_works_where_gradients_are_switched_off():
    units, x, target = image_case()
    with torch.no_grad():
        quiet = [m(units, x, target).scores for m in (Saliency(), PathIntegral(2), GradCAM())]
    loud = [m(units, x, target).scores for m in (Saliency(), PathIntegral(2), GradCAM())]
    assert all(torch.equal(q, s) for q, s in zip(quiet, loud, strict=True))


def test_edges_of_a_sentence_are_refused():
    with pytest.raises(Unsupported) as refused:
        EdgeMap()(*text_case())
    assert str(refused.value) == (
        "EdgeMap needs a picture; a sentence has none. For words, compare with Random."
    )
