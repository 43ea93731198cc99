"""Presets against the published procedure, written out in `benchmarks/twin.py`."""

from dataclasses import asdict
from itertools import accumulate

import pytest
from PIL import Image

from benchmarks.twin import published
from legenda.agreement import units
from legenda.core.target import Similarity
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.codebook_search import CodebookSearch
from legenda.explain.token_importance import TokenImportance
from legenda.models.opening import open_model
from legenda.presets import CFM, CORTEX, CORTEX_TEXT, M2IB, M2IB_SITES
from legenda.zoo.scenes import draw, photograph


def test_the_quirks_of_m2ib_are_fields_that_differ_from_our_defaults():
    ours, theirs = asdict(InformationBottleneck()), asdict(M2IB)
    quirks = {name for name in theirs if theirs[name] != ours[name]}
    noise = {"draws", "quiet", "coast", "antithetic"}
    assert quirks == noise | {"beta", "per", "special", "smooth", "stale", "moments"}
    assert (M2IB.beta, M2IB.steps, M2IB.lr, M2IB.draws, M2IB.start) == (0.1, 10, 1.0, 10, 5.0)
    assert M2IB_SITES == {"image": 9, "text": 9}


@pytest.mark.parametrize("tower", ["image", "text"])
def test_m2ib_is_the_published_procedure_at_the_same_noise(tower):
    dual = open_model("zoo:scenes", "image=1,text=1")
    scene = draw(2_000_000)
    x, ids = dual.pixels([Image.fromarray(photograph(scene))]), dual.ids([scene.caption()])
    model, given = (dual.image, x) if tower == "image" else (dual.text, ids)
    partner = dual.embed_text([scene.caption()]) if tower == "image" else dual.embed_images(x)
    found = M2IB(units(model, given), given, Similarity("partner", partner)).scores[0]
    acts = model.acts(given)
    root = dual.image.root
    slow = published(root, x, ids, tower, model.block, lambda step: M2IB.noise(step, acts))
    root.zero_grad()
    assert (found - slow).abs().max() <= 1e-3 * slow.abs().max()
    assert all(p.grad is None for p in root.parameters())


def quirks_of(theirs, ours):
    theirs, ours = asdict(theirs), asdict(ours)
    return {name for name in theirs if theirs[name] != ours[name]}


def test_the_quirks_of_cortex_are_fields_that_differ_from_our_defaults():
    assert quirks_of(CORTEX.importance, TokenImportance()) == {"span", "reduce"}
    search = CORTEX.search
    assert quirks_of(search, CodebookSearch(search.positions)) == {
        "steps", "lr", "cold", "restarts", "every",
    }  # fmt: skip
    assert search.warm == search.cold == 1.0, "the temperature never falls"
    assert len(search.positions) == 16, "16 of 256 cells"
    assert [CORTEX.schedule.rate(step) for step in (0, 19, 20, 40, 79)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-5, 1e-6]
    )
    assert [CORTEX_TEXT.schedule.stairs, CORTEX_TEXT.epochs, CORTEX_TEXT.batch] == [2, 10, 256]


def test_the_quirks_of_cfm_are_fields_that_differ_from_our_defaults():
    ours = MatryoshkaBatchTopK(8192, 12, CFM.learner.groups)
    assert quirks_of(CFM.learner, ours) == {"published_double"}
    prefixes = list(accumulate(CFM.learner.groups))
    assert prefixes == [65, 310, 801, 1784, 3750, 8192]
    assert CFM.learner.shares == pytest.approx((1 / 36,) * 6)
    assert (CFM.batch, CFM.epochs, CFM.seed) == (16384, 3, 42)
    revive = CFM.learner.revive
    assert revive is not None
    assert (revive.weight, revive.after, revive.most) == (1 / 32, 10_000_000, 256)
    plan = CFM.plan(10 * 16384)
    assert plan.steps == 30
    assert {plan.rate(step) for step in range(30)} == {1e-4}, "no warm-up and no decay"
    assert (plan.weight_decay, plan.clip, plan.betas) == (0.0, 1.0, (0.9, 0.999))
