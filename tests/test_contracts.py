"""Every model, dictionary and explainer inherits the contracts: one line in a list each."""

from dataclasses import fields, replace

import pytest
import torch

from legenda.catalog import lookup, names
from legenda.core.dictionary import Dictionary, Identity
from legenda.core.model import prefix_of
from legenda.core.target import Contrast, Logit, Similarity
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.dictionaries.directions import Directions
from legenda.errors import Unsupported
from legenda.explain.bottleneck import InformationBottleneck
from legenda.tasks.learners import KINDS, STEPWISE, learner_of
from tests import toys
from tests.contracts import (
    check_dictionary,
    check_explainer,
    check_lift,
    check_model,
    check_no_leak,
    near,
)
from tests.toys import SENTENCES, pixels

# name -> model and inputs
MODELS = {
    "toy-encoder": lambda: (toys.ToyEncoder(), pixels()),
    "toy-reader": lambda: (toys.ToyReader(), torch.arange(12).reshape(3, 4) % 11),
    "toy-vae": lambda: (toys.ToyVAE(), pixels()),
    **{
        f"module-{packing}{'-sequence' if split else ''}": (
            lambda packing=packing, split=split: (toys.conv_model(packing, split), pixels())
        )
        for packing in toys.PACKINGS
        for split in (True, False)
    },
}
TOWERS = {
    **{
        f"{kind}-image": lambda kind=kind: (toys.tiny_dual(kind).image, pixels(2, 16))
        for kind in toys.DUALS
    },
    **{
        f"{kind}-text": (
            lambda kind=kind: (toys.tiny_dual(kind).text, toys.tiny_dual(kind).ids(SENTENCES))
        )
        for kind in toys.DUALS
    },
    **{
        kind: lambda kind=kind: (toys.tiny_encoder(kind).image, pixels(2, 16))
        for kind in toys.ENCODERS
    },
}
ROWS = torch.randn(2048, 6, generator=torch.Generator().manual_seed(0))
LEARNED = {
    kind: lambda kind=kind: (
        learner_of(kind, 8 if kind != "pca" else 6, 3).begin(ROWS, 0)
        if kind in STEPWISE
        else learner_of(kind, 8 if kind != "pca" else 6, 3).fit(ROWS.abs(), 0)
    )
    for kind in KINDS
}
"""A dictionary of every kind that `legenda fit` knows, before its first step or as it is found."""
DICTIONARIES = [
    Identity(6),
    Identity(6, "latents"),
    Directions(ROWS[:4], list("abcd"), ROWS[5], torch.ones(4) * 2),
]


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    check_model(*MODELS[name]())


@pytest.mark.parametrize("block", [0, 1, 2])
@pytest.mark.parametrize("name", TOWERS)
def test_tower_at_every_block(name, block):
    tower, x = TOWERS[name]()
    check_model(tower.at(block), x)


@pytest.mark.parametrize("dictionary", DICTIONARIES, ids=lambda d: d.name)
def test_dictionary(dictionary):
    check_dictionary(dictionary, torch.randn(2, 4, 6))
    check_lift(Units(toys.ToyEncoder(), dictionary), pixels())


@pytest.mark.parametrize("kind", LEARNED)
def test_dictionary_of_every_kind(kind):
    dictionary = LEARNED[kind]()
    assert isinstance(dictionary, Dictionary)
    check_dictionary(dictionary, ROWS[:8].view(2, 4, 6))
    acts = ROWS[:8].view(2, 4, 6)
    units = Units(toys.ToyEncoder(), dictionary)
    assert units.lift(lambda c: c)(acts) is acts, "no change returns the acts themselves"
    codes = dictionary.encode(acts)
    assert torch.equal(dictionary.encode(acts[1:]).dense(), codes.dense()[1:]), "batches are equal"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy-encoder", "module-tensor"])
def test_a_thousand_calls_leak_nothing(name):
    model, x = MODELS[name]()

    def act():
        with torch.no_grad():
            _ = model.run(x, edit=lambda a: a * 2).output

    check_no_leak(act)


@pytest.mark.slow
def test_a_thousand_resumptions_of_a_tower_leak_nothing():
    tower, x = TOWERS["clip-image"]()
    prefix, rows = tower.prefix(x), torch.arange(len(x))

    def act():
        acts = prefix.acts.clone().requires_grad_()
        torch.autograd.grad(prefix.resume(acts, rows).sum(), [acts])

    check_no_leak(act)


# ------------------------------------------------------------------------------- explainers


def on_toy(target=None):
    """An encoder with five classes."""
    return Units(toys.ToyEncoder(), Identity(6)), pixels(), target or Logit(2)


def on_patches():
    """The image tower of a tiny CLIP, and a sentence per picture."""
    dual = toys.tiny_dual("clip")
    x = pixels(2, 16)
    return Units(dual.image, Identity(16)), x, dual.similar_to_text(SENTENCES[:2])


def on_words():
    """The text tower of a tiny CLIP, and a picture per sentence."""
    dual = toys.tiny_dual("clip")
    target = dual.similar_to_images(pixels(3, 16))
    return Units(dual.text, Identity(16)), dual.ids(SENTENCES), target


# settings that make any method quick enough for a test
QUICK = {"masks": 40, "samples": 8, "steps": 3, "coalitions": 64}
BOTTLENECKS = [
    InformationBottleneck(steps=3),
    InformationBottleneck(
        steps=3, draws=3, antithetic=False, per="entry", special="channel", stale=True
    ),
    InformationBottleneck(steps=3, special="keep", adaptive=True, tolerance=1e-3, batch=1),
]


@pytest.mark.parametrize("place", [on_toy, on_patches, on_words])
@pytest.mark.parametrize("explain", BOTTLENECKS, ids=["default", "published", "adaptive"])
def test_bottleneck(explain, place):
    check_explainer(explain, *place())


def test_bottleneck_of_a_contrast():
    target = Contrast(Logit(0), Logit(1))
    check_explainer(InformationBottleneck(steps=3), *on_toy(target))
    same = Similarity("x", torch.randn(5))
    check_explainer(InformationBottleneck(steps=3), *on_toy(same))


def made(name):
    """A catalogued explainer, with settings that make it quick."""
    found = lookup("explain", name)
    how = found() if isinstance(found, type) else found
    known = {f.name for f in fields(how)}
    return replace(how, **{k: v for k, v in QUICK.items() if k in known})


@pytest.mark.parametrize("place", [on_patches, on_words])
@pytest.mark.parametrize("name", names("explain"))
def test_every_catalogued_explainer(name, place):
    explain, (units, x, target) = made(name), place()
    try:
        explain(units, x, target)
    except Unsupported as refusal:  # a method for pictures says so, rather than guess at words
        assert place is on_words, refusal
        return
    check_explainer(explain, units, x, target)


@pytest.mark.parametrize("name", names("explain"))
def test_batching_changes_no_pair(name):
    explain, (units, x, target) = made(name), on_patches()
    if getattr(explain, "moments", "raw") is None:  # else they would be those of the batch
        explain = replace(explain, moments=Moments.of(prefix_of(units.model, x)))
    whole = explain(units, x, target).scores
    for i in range(len(x)):
        row = torch.tensor([i])
        assert near(explain(units, x[row], target.at(row)).scores[0], whole[i])
