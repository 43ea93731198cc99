import numpy as np
import pytest
import torch
from PIL import Image

from legenda.core.dictionary import Identity
from legenda.core.model import prefix_of
from legenda.core.units import Units
from legenda.corpus.picture_rows import positions_of
from legenda.errors import BadInput, Unsupported
from legenda.models import seeing
from legenda.models.dense import Dense
from legenda.models.seeing import Seeing, open_seeing, parted
from legenda.models.vq import VQ
from tests import toys
from tests.contracts import check_model
from tests.models.test_opening import saved_dual, saved_encoder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(saved_dual(tmp_path_factory.mktemp("at@home") / "clip"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return str(saved_encoder(tmp_path_factory.mktemp("models") / "vit", "vit"))


@pytest.mark.parametrize(
    ("ref", "base", "site"),
    [
        ("zoo:photos", "zoo:photos", ""),
        ("zoo:photos@patches", "zoo:photos", "patches"),
        ("zoo:photos@patches(0.5)", "zoo:photos", "patches(0.5)"),
        ("zoo:photos@features.13", "zoo:photos", "features.13"),
        ("hf:a/b", "hf:a/b", ""),
        ("hf:a/b@9", "hf:a/b", "9"),
        ("hf:a/b@patches(0.2)", "hf:a/b", "patches(0.2)"),
        ("hf:a/b@embeddings", "hf:a/b", "embeddings"),
        ("hf:a/b@image=3", "hf:a/b", "image=3"),
        ("hf:a/b@main", "hf:a/b@main", ""),
        ("hf:a/b@1234567", "hf:a/b@1234567", ""),
        ("hf:a/b@main@9", "hf:a/b@main", "9"),
        ("hf:a/b@v1@patches", "hf:a/b@v1", "patches"),
        ("a.module:factory@read", "a.module:factory", "read"),
        ("", "", ""),
        ("@patches", "", "patches"),
    ],
)
def test_a_reference_is_a_model_and_a_site(ref, base, site):
    assert parted(ref) == (base, site)


def test_a_folder_may_have_an_at_in_its_name(clip):
    assert "@" in clip
    assert parted(clip) == (clip, "") and parted(f"{clip}@1") == (clip, "1")


def remembered(opened):
    """The same model, opened by what it remembers, gives the same activations."""
    again = open_seeing(opened.ref)
    assert again.ref == opened.ref and type(again) is type(opened)
    picture = Image.effect_noise((40, 30), 90).convert("RGB")
    x = opened.pixels([picture])
    assert torch.equal(again.pixels([picture]), x)
    assert torch.equal(again.acts(x), opened.acts(x))


@pytest.mark.parametrize("site", ["", "@patches", "@patches(0.35)"])
def test_a_dual_encoder_is_opened_at_its_patches(clip, site):
    opened = open_seeing(clip + site)
    assert isinstance(opened, Dense)
    assert opened.gamma == (0.35 if "(" in site else 0.2)
    assert opened.ref == f"{clip}@patches({opened.gamma:g})"
    remembered(opened)


def test_a_site_of_a_dual_encoder_is_its_neurons(clip):
    opened = open_seeing(f"{clip}@1")
    assert isinstance(opened, Seeing) and opened.grid == (4, 4)
    assert opened.ref == f"{clip}@1" and not hasattr(opened, "embed_text")
    remembered(opened)
    check_model(opened, toys.pixels(2, 16))
    assert positions_of(opened, "a test") == (16, 16)  # the class token is no position


def test_an_encoder_without_a_site_remembers_its_usual_one(vit):
    opened = open_seeing(vit)
    assert isinstance(opened, Seeing) and opened.ref.startswith(f"{vit}@")
    remembered(opened)
    neurons = Identity(positions_of(opened, "a test")[1])
    assert Units(opened, neurons).address == f"{opened.name}/neurons"


def test_a_prefix_knows_the_class_token(vit):
    opened = open_seeing(f"{vit}@0")
    prefix = prefix_of(opened, toys.pixels(1, 16))
    assert prefix.special[0].tolist() == [True] + [False] * 16


def test_what_the_zoo_has_opens():
    assert isinstance(open_seeing("zoo:vq"), VQ)
    dense = open_seeing("zoo:scenes")
    assert isinstance(dense, Dense) and dense.grid == (12, 12) and dense.width == 128
    neurons = open_seeing("zoo:scenes@2")
    assert isinstance(neurons, Seeing) and neurons.ref == "zoo:scenes@2"
    white = Image.fromarray(np.full((96, 96, 3), 255, np.uint8))
    assert neurons.pixels([white]).shape == (1, 3, 96, 96)


REFUSED = [
    (
        BadInput, "zoo:scenes@patches(x)",
        "zoo:scenes@patches(x) names no least likeness: write @patches(0.5), or @patches for the "
        "usual one.",
    ),
    (BadInput, "zoo:scenes@patches(2)", "Dense needs gamma between -1 and 1; it got 2.0."),
    (
        Unsupported, "zoo:vq@patches",
        "@patches needs a dual encoder, whose patches meet sentences; zoo:vq@patches has none. "
        "Name a site of it instead, or leave @patches out.",
    ),
    (BadInput, "@patches", "the reference of a model is empty. Give one, such as zoo:scenes."),
    (
        Unsupported, "tests.models.test_seeing:plain@0",
        "a survey needs a model that says how it takes pictures (a dual encoder, an encoder or a "
        "VQ); tests.models.test_seeing:plain@0 has none. Wrap it in a "
        "`legenda.models.seeing.Seeing` with its preprocessing.",
    ),
]  # fmt: skip


def plain():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1))


@pytest.mark.parametrize(("kind", "ref", "message"), REFUSED)
def test_what_cannot_be_opened_is_refused(kind, ref, message):
    with pytest.raises(kind) as caught:
        open_seeing(ref)
    assert str(caught.value) == message


def test_an_encoder_has_no_patches_that_meet_sentences(vit):
    with pytest.raises(Unsupported) as caught:
        open_seeing(f"{vit}@patches")
    assert str(caught.value) == (
        f"@patches needs a dual encoder, whose patches meet sentences; {vit}@patches has none. "
        "Name a site of it instead, or leave @patches out."
    )


def test_a_wrapped_model_is_surveyed_as_any_other():
    tower = toys.tiny_encoder("vit").image
    mine = seeing.Seeing(tower, toys.VIEW, "mine@1", torch.device("cpu"))
    assert mine.name == tower.name and positions_of(mine, "a test") == (16, 16)
    assert torch.equal(mine.run(toys.pixels(1, 16)).acts, tower.acts(toys.pixels(1, 16)))
