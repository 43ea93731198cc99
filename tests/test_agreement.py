"""`explain` from Python: what it takes, what it refuses, and what it leaves alone."""

from inspect import unwrap

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.agreement import explain
from legenda.errors import BadInput
from legenda.explain.settings import explainer
from legenda.models.opening import open_model
from legenda.zoo.scenes import draw
from legenda.zoo.scenes.render import photograph

FAST = {"score": False, "steps": 1}


@pytest.fixture(scope="module")
def dual():
    return open_model("zoo:scenes")


@pytest.fixture
def picture():
    return Image.fromarray(photograph(draw(5)))


def refusal(*given, **settings):
    with pytest.raises(BadInput) as caught:
        unwrap(explain)(*given, **FAST | settings)
    return str(caught.value)


@pytest.mark.parametrize("given", [np.zeros((4, 4, 3), np.uint8), torch.zeros(3, 4, 4), None, 5])
def test_a_picture_is_a_path_or_an_image(dual, given):
    assert refusal(dual, given, "a tree") == (
        f"explain reads a path or a PIL image; it got {type(given).__name__}. "
        "Give Image.fromarray(array) for an array."
    )


def test_no_pictures(dual):
    assert refusal(dual, [], "a") == "explain reads pictures; it got none. Give at least one."


def test_a_picture_that_can_no_longer_be_read(dual, tmp_path, picture):
    picture.save(tmp_path / "whole.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with Image.open(cut) as broken:
        said = refusal(dual, broken, "a tree")
    assert said.startswith("explain cannot read the pixels of a picture it was given: ")


def test_a_turned_photograph_is_the_same_by_path_and_in_memory(dual, tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.resize((96, 64)).save(tmp_path / "turned.png", exif=exif)
    (by_path,) = explain(dual, tmp_path / "turned.png", "a tree", **FAST)
    with Image.open(tmp_path / "turned.png") as turned:
        (in_memory,) = explain(dual, turned, "a tree", **FAST)
    assert by_path.picture.size == in_memory.picture.size == (64, 96)
    assert torch.equal(by_path.image.scores, in_memory.image.scores)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_takes_gradients_where_others_are_off(dual, picture, mode):
    (usual,) = explain(dual, picture, "a tree", **FAST)
    with mode():
        (found,) = explain(dual, picture, "a tree", **FAST)
    assert torch.equal(found.image.scores, usual.image.scores)


def test_several_sentences_share_one_picture(dual, picture):
    seen = []
    hook = dual.image.root.vision_model.embeddings.register_forward_hook(
        lambda _, args, out: seen.append(len(out))
    )
    texts = ["a tree", "a red house", "a blue circle"]
    together = explain(dual, picture, texts, **FAST)
    hook.remove()
    assert seen and set(seen) == {1}, "never in three copies"
    for text, found in zip(texts, together, strict=True):
        (alone,) = explain(dual, picture, text, **FAST)
        assert torch.allclose(found.image.scores, alone.image.scores, rtol=1e-3, atol=1e-4)


def test_a_control_that_needs_a_picture_leaves_the_words_to_another(dual, picture):
    (found,) = explain(dual, picture, "a tree", method="edge_map", score=False)
    assert found.settings["method"].startswith("EdgeMap(")
    assert found.settings["method for words"].startswith("InformationBottleneck(")
    assert len(found.words) == 2


def test_agreements_compare_by_identity(dual, picture):
    one, other = explain(dual, picture, ["a tree", "a tree"], **FAST)
    assert one == one and one != other and len({one, other}) == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lr": "abc"}, "m2ib needs a finite number for lr; it got 'abc'."),
        ({"lr": float("nan")}, "m2ib needs a finite number for lr; it got nan."),
        ({"draws": 1.5}, "m2ib needs a whole number for draws; it got 1.5."),
        ({"draws": True}, "m2ib needs a whole number for draws; it got True."),
        ({"seed": 10**30}, f"m2ib needs a whole number for seed; it got {10**30}."),
        ({"stale": "foo"}, "m2ib needs True or False for stale; it got 'foo'."),
        ({"per": "foo"}, "m2ib needs 'token' or 'entry' for per; it got 'foo'."),
        ({"moments": 3}, "m2ib needs Moments or 'raw' or None for moments; it got 3."),
    ],
)
def test_a_setting_is_of_its_kind(settings, sentence):
    with pytest.raises(BadInput) as caught:
        explainer("m2ib", None, **settings)
    assert str(caught.value) == sentence
    with pytest.raises(BadInput):
        explainer("m2ib_published", None, **settings)


def test_raw_moments_can_be_asked_for():
    assert explainer("m2ib", None, moments="raw").moments == "raw"


def test_a_setting_per_tower_names_a_tower(dual, picture):
    assert refusal(dual, picture, "a tree", beta={"img": 1.0}) == (
        "m2ib takes beta for image and text; it got one for 'img'. Name the tower."
    )


def test_a_method_is_found_however_it_is_spelt(dual, picture):
    (one,) = explain(dual, picture, "a tree", method="M2IB", **FAST)
    (other,) = explain(dual, picture, "a tree", **FAST)
    assert one.settings == other.settings
