"""Opening by reference: round trips through folders, and every refusal by its full text."""

import json
from inspect import unwrap

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from legenda.catalog import names
from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Missing, Refused
from legenda.explain.bottleneck import InformationBottleneck
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.module import ModuleModel
from legenda.models.opening import blocks, open_model
from legenda.models.words import Words
from tests.contracts import check_model, near
from tests.toys import (
    DUALS,
    ENCODERS,
    SENTENCES,
    dual_network,
    encoder_network,
    pixels,
    tiny_dual,
    tiny_encoder,
    words,
)


def saved_dual(folder, kind="clip"):

    dual_network(kind).save_pretrained(folder)
    words().save_pretrained(folder)
    square = {"height": 16, "width": 16}
    if kind == "clip":
        processor = transformers.CLIPImageProcessorPil(
            size=square, crop_size=square, do_center_crop=False
        )
    elif kind == "siglip":
        processor = transformers.SiglipImageProcessorPil(size=square)
    else:
        processor = transformers.Siglip2ImageProcessorPil(patch_size=4, max_num_patches=16)
    processor.save_pretrained(folder)
    return folder


def saved_encoder(folder, kind):

    encoder_network(kind).save_pretrained(folder)
    square = {"height": 16, "width": 16}
    transformers.ViTImageProcessorPil(size=square).save_pretrained(folder)
    return folder


def refusal(error, ref, *args, **options):
    with pytest.raises(error) as caught:
        open_model(str(ref), *args, **options)
    assert type(caught.value) is error
    return str(caught.value)


# -------------------------------------------------------------------------- what opens


@pytest.mark.parametrize("kind", DUALS)
def test_a_dual_encoder_comes_back_from_its_folder(tmp_path, kind):
    opened = open_model(str(saved_dual(tmp_path / kind, kind)), "image=1,text=0")
    assert isinstance(opened, Dual)
    assert (opened.image.block, opened.text.block) == (1, 0)
    assert opened.preprocess.size == (16, 16)
    x, ids = pixels(2, 16), opened.ids(SENTENCES)
    assert torch.equal(opened.image.run(x).output, tiny_dual(kind).image.run(x).output)
    assert torch.equal(opened.text.run(ids).output, tiny_dual(kind).text.run(ids).output)


def test_a_picture_of_any_size_reaches_siglip2_as_its_processor_sends_it(tmp_path):
    opened = open_model(str(saved_dual(tmp_path / "siglip2", "siglip2")))
    array = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    processor = transformers.Siglip2ImageProcessorPil(patch_size=4, max_num_patches=16)
    fed = processor([picture], return_tensors="pt")
    with torch.no_grad():
        theirs = dual_network("siglip2").get_image_features(**fed).pooler_output
    assert near(opened.image.run(opened.pixels([picture])).output, theirs)


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_comes_back_from_its_folder(tmp_path, kind):
    opened = open_model(str(saved_encoder(tmp_path / kind, kind)), "image=1")
    assert isinstance(opened, Encoder)
    x = pixels(2, 16)
    assert torch.equal(opened.image.run(x).output, tiny_encoder(kind).image.run(x).output)
    assert (opened.labels is not None) == (kind == "vit-classifier")


def test_a_factory_is_opened_at_a_dotted_site():
    model = open_model("tests.toys:plain_net", "stem.conv", example=pixels(2))
    assert isinstance(model, ModuleModel)
    assert (model.name, model.ref, model.grid) == (
        "plain_net", "tests.toys:plain_net@stem.conv", (2, 2)
    )  # fmt: skip
    check_model(model, pixels())
    found = InformationBottleneck(steps=2)(Units(model, Identity(6)), pixels(), Logit(1))
    assert found.map().shape == (3, 2, 2)


def test_a_factory_may_return_a_model_of_ours():
    assert isinstance(open_model("tests.toys:tiny_dual"), Dual)


# ------------------------------------------------------------------------- what does not


def test_an_unknown_zoo_name():
    assert refusal(Missing, "zoo:scens") == (
        f"there is no zoo named 'scens'. Did you mean 'scenes'? Known: {', '.join(names('zoo'))}."
    )


def test_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "clip-tiny").mkdir()
    missing = tmp_path / "clip-tinny"
    assert refusal(Missing, missing) == (
        f"there is no model {str(missing)!r}: it is no folder here, and no zoo:, hf: or "
        "package.module:factory reference. Did you mean 'clip-tiny'? "
        "List what can be opened with `legenda models`."
    )


def test_a_folder_without_a_config(tmp_path):
    assert refusal(Refused, tmp_path) == (
        f"{tmp_path} is no model folder: it has no config.json. "
        "Give a folder in Hugging Face layout."
    )


def test_a_model_that_legenda_does_not_know(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert refusal(Refused, tmp_path) == (
        f"{tmp_path} is a 'bert' model; legenda opens clip, siglip, siglip2, vit, dinov2, "
        "dinov2_with_registers. Open any other module by `package.module:factory` and a "
        "dotted site."
    )


def test_a_config_that_cannot_be_read(tmp_path):
    (tmp_path / "config.json").write_text("{")
    said = refusal(Refused, tmp_path)
    assert said.startswith(f"{tmp_path} cannot be opened as a Hugging Face model: ")
    assert said.endswith(" Check its config.json and its weights.")


def test_a_checkpoint_of_another_architecture(tmp_path):
    folder = saved_dual(tmp_path / "clip")
    weights = load_file(folder / "model.safetensors")
    some = {k: v for k, v in weights.items() if "vision_model.encoder.layers.2" not in k}
    save_file(some, folder / "model.safetensors", {"format": "pt"})
    gone = len(weights) - len(some)
    assert refusal(Refused, folder) == (
        f"{folder} holds the weights of another architecture: {gone} weights of CLIPModel are "
        "missing and 0 have another shape (for instance "
        "vision_model.encoder.layers.2.layer_norm1.bias). Check config.json against the "
        "checkpoint."
    )


def test_a_checkpoint_with_other_shapes(tmp_path):
    folder = saved_dual(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["projection_dim"] = 20
    (folder / "config.json").write_text(json.dumps(config))
    said = refusal(Refused, folder)
    assert said.startswith(f"{folder} ")
    assert "another" in said or "cannot be opened" in said


def test_weights_that_are_cut_short(tmp_path):
    folder = saved_dual(tmp_path / "clip")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:1000])
    said = refusal(Refused, folder)
    assert said.startswith(f"{folder} cannot be opened as a Hugging Face model: ")


def test_a_block_that_is_not_there(tmp_path):
    folder = saved_dual(tmp_path / "clip")
    assert refusal(Missing, folder, "image=9") == (
        "clip/image opens at embeddings or at blocks 0 to 2; it got 9. Choose one of them."
    )
    assert refusal(Missing, folder, "image=x") == (
        "clip/image opens at embeddings or at blocks 0 to 2; it got x. Choose one of them."
    )


def test_factories_that_cannot_be_used():
    assert refusal(Missing, "tests.toys:nothing", "stem") == (
        "tests.toys:nothing names no factory that can be imported: module 'tests.toys' has no "
        "attribute 'nothing'. Check the name."
    )
    assert refusal(Missing, "no_such_package:net", "stem") == (
        "no_such_package:net names no factory that can be imported: No module named "
        "'no_such_package'. Check the name."
    )
    assert refusal(Refused, "tests.toys:not_a_net", "stem") == (
        "tests.toys:not_a_net returned int; legenda needs an nn.Module, or a model of its own."
    )
    assert refusal(BadInput, "tests.toys:plain_net") == (
        "tests.toys:plain_net is a plain module and needs a site, a dotted name such as 'stem'."
    )
    assert refusal(Missing, "tests.toys:plain_net", "stem.conf") == (
        "Branching has no site 'stem.conf'. Did you mean 'stem.conv' or 'stem'? "
        "List its sites with `legenda models MODEL --sites`."
    )


def test_a_factory_that_fails_says_how():
    assert refusal(Refused, "tests.toys:failing") == (
        "tests.toys:failing raised KeyError: 'weights'. Call it yourself to see where."
    )
    assert refusal(Missing, ":net").startswith(":net names no factory that can be imported: ")


def test_a_factory_of_a_dual_encoder_is_opened_where_one_asks():
    opened = open_model("tests.toys:dual_factory", "image=0,text=embeddings")
    assert (opened.image.block, opened.text.block) == (0, "embeddings")


def test_half_precision_is_opened_in_float32():
    opened = open_model("tests.toys:half_net", "stem.conv", example=pixels(2))
    assert {p.dtype for p in opened.parameters()} == {torch.float32}


def test_a_device_that_is_not_there():
    said = refusal(Missing, "tests.toys:plain_net", "stem", device="cuda:7")
    assert said.startswith("there is no device 'cuda:7' here. Choose one of: cpu")
    assert refusal(Missing, "tests.toys:plain_net", "stem", device="gpu").startswith(
        "there is no device 'gpu' here. Choose one of: cpu"
    )


def test_the_hub_is_not_asked_when_offline(monkeypatch):
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    assert refusal(Missing, "hf:legenda/no-such-model@main") == (
        "hf:legenda/no-such-model@main is not in the local Hugging Face cache, and "
        "LEGENDA_OFFLINE forbids the network. Unset it, or download the model beforehand."
    )


# --------------------------------------------------------------------------------- sites


def test_sites_are_written_in_two_ways():
    assert blocks(None) == {}
    assert blocks("9") == {"image": 9, "text": 9}
    assert blocks("image=9, text=7") == {"image": 9, "text": 7}
    assert blocks("image=features.17") == {"image": "features.17"}


@pytest.mark.parametrize("site", ["sound=3", "image=-1", "image=", "image=+1", ""])
def test_sites_that_cannot_be_read(site):
    with pytest.raises(BadInput) as caught:
        blocks(site)
    assert str(caught.value) == (
        f"a site is written image=9,text=9, or 9 for both towers; it got {site!r}. "
        "Blocks count from 0; before them are the embeddings, text=embeddings."
    )


# -------------------------------------------------------------------------------- words


def said_of(texts):
    with pytest.raises(BadInput) as caught:
        tiny_dual("clip").ids(texts)
    return str(caught.value)


def test_text_that_cannot_be_read():
    assert said_of([""]) == "tiny-clip reads sentences; it got an empty one. Give some words."
    assert (
        said_of(["a", " \n"]) == "tiny-clip reads sentences; it got an empty one. Give some words."
    )
    assert said_of([]) == "tiny-clip reads sentences; it got none. Give at least one."
    with pytest.raises(BadInput) as caught:  # past the checks that only tests have
        unwrap(Words.__call__)(tiny_dual("clip").words, [3])
    assert str(caught.value) == "tiny-clip reads sentences; it got 3, a int. Give a string."
    long = "red " * 23
    assert said_of(["a house", long]) == (
        "tiny-clip reads at most 24 tokens; "
        "'red red red red red red red red red r...' has 25. Shorten it."
    )


def test_the_longest_text_that_fits():
    ids = tiny_dual("clip").ids(["red " * 22])
    assert ids.shape == (1, 24)


def test_words_know_their_tokens():
    dual = tiny_dual("clip")
    found = dual.words.words("a red house, on xyz")
    assert [w.text for w in found] == ["a", "red", "house,", "on", "xyz"]
    assert found[0].positions == (1,) and found[1].positions == (2,)
    spread = [p for w in found for p in w.positions]
    ids = dual.ids(["a red house, on xyz"])
    drawn = (dual.words.valid(ids) & ~dual.words.special(ids))[0]
    assert spread == drawn.nonzero().flatten().tolist(), "every drawn token is in one word"
