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
from legenda.models.encoder import Encoder, encoder_of
from legenda.models.hub import dual_of
from legenda.models.loading import quietly, reason_of
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
    known = ", ".join(names("zoo"))
    assert refusal(Missing, "zoo:scens") == (
        f"there is no zoo model named 'scens'. Did you mean 'scenes'? Known: {known}."
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


@pytest.mark.parametrize("device", ["meta", "cpu:7", "mps", ""])
def test_a_device_is_the_processor_or_a_card(device):
    said = refusal(Missing, "tests.toys:plain_net", "stem", device=device)
    assert said.startswith(f"there is no device {device!r} here. Choose one of: cpu")


@pytest.mark.parametrize("ref", ["", "  "])
def test_an_empty_reference(ref):
    assert refusal(BadInput, ref) == (
        "the reference of a model is empty. Give one, such as zoo:scenes."
    )
    assert refusal(BadInput, "hf:@main") == (
        "hf:@main names no model. Write hf:ORG/NAME, or hf:ORG/NAME@REVISION."
    )


@pytest.mark.parametrize(("ref", "kind"), [(None, "NoneType"), (torch.nn.Linear(1, 1), "Linear")])
def test_a_model_in_memory_is_no_reference(ref, kind):
    with pytest.raises(BadInput) as caught:  # past the checks that only tests have
        unwrap(open_model)(ref)
    assert str(caught.value) == (
        f"a model is opened by a reference, such as zoo:scenes; it got {kind}. "
        "For a module in memory use legenda.models.module.ModuleModel."
    )


# ------------------------------------------------------------------------ a stranger's modules

STRANGERS = {
    "syntax": ("def f(:", "SyntaxError: invalid syntax (stranger_syntax.py, line 1)"),
    "lacks": ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
    "value": ("raise ValueError('no')", "ValueError: no"),
    "attribute": (
        "import os; os.no_such",
        "AttributeError: module 'os' has no attribute 'no_such'",
    ),
    "leaves": ("raise SystemExit('usage')", "SystemExit: usage"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_module_that_fails_while_it_is_imported(tmp_path, monkeypatch, name):
    code, sentence = STRANGERS[name]
    (tmp_path / f"stranger_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal(Refused, f"stranger_{name}:net") == (
        f"stranger_{name}:net raised {sentence}. Call it yourself to see where."
    )


@pytest.mark.parametrize("module", ["..fac", ".fac", ""])
def test_a_relative_module_is_no_name(module):
    assert refusal(Missing, f"{module}:net") == (
        f"{module}:net names no factory that can be imported: {module!r} is no absolute name of a "
        "module. Check the name."
    )


def needy(width, depth=2):
    """A factory that cannot be called without more."""


ready = torch.nn.Linear(1, 1)


def test_what_is_no_factory():
    here, said = __name__, "a factory is a function that needs no arguments and returns a model; "
    assert refusal(Refused, "os:path") == f"{said}os:path is a module. Name a function."
    assert refusal(Refused, f"{here}:ready") == f"{said}{here}:ready is a Linear. Name a function."
    assert refusal(Refused, f"{here}:needy") == (
        f"{said}{here}:needy needs (width, depth=2). Wrap it in a function that needs none."
    )


# ------------------------------------------------------------------------------------- loading


def test_a_long_reason_is_cut_between_words():
    said = reason_of(OSError("it cannot be\n\nread: " + 60 * "word " + "end"))
    assert said.startswith("it cannot be read: word word") and said.endswith(" word…")
    assert len(said) <= 240
    assert reason_of(OSError("short\nand sweet")) == "short and sweet."
    assert reason_of(KeyError()) == "KeyError()."


def test_a_hub_that_cannot_be_reached(monkeypatch):
    def nobody(*_, **__):
        raise OSError("We couldn't connect to 'https://huggingface.co' to load the files.")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", nobody)
    monkeypatch.delenv("LEGENDA_OFFLINE")
    assert refusal(Missing, "hf:legenda/no-such-model") == (
        "hf:legenda/no-such-model is not in the local Hugging Face cache, and the hub cannot be "
        "reached. Check the network, or download the model beforehand."
    )


def test_a_cause_says_that_the_hub_cannot_be_reached(monkeypatch):
    import httpx

    def nobody(*_, **__):
        raise OSError("no file") from httpx.ConnectError("refused")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", nobody)
    monkeypatch.delenv("LEGENDA_OFFLINE")
    assert "the hub cannot be reached" in refusal(Missing, "hf:legenda/no-such-model")


def test_quiet_is_for_a_while():
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    with quietly():
        assert logging.get_verbosity() == logging.ERROR
    assert logging.get_verbosity() == before


def test_a_folder_without_a_tokenizer(tmp_path):
    folder = saved_dual(tmp_path / "clip")
    for path in [*folder.glob("*token*"), *folder.glob("vocab*"), *folder.glob("merges*")]:
        path.unlink()
    assert refusal(Refused, folder) == (
        f"{folder} has no tokenizer: none of tokenizer.json, vocab.json, vocab.txt, "
        "spiece.model, tokenizer.model is in it. Copy these files from where the model came from."
    )


def test_a_tower_in_half_precision_is_refused():
    dual, encoder = tiny_dual("clip"), tiny_encoder("vit")
    with pytest.raises(Refused) as caught:
        dual_of(dual_network("clip").half(), words(), dual.preprocess, ref="m")
    assert str(caught.value) == (
        "legenda reads float32; m/image holds torch.float16. Call .float() on it before opening."
    )
    with pytest.raises(Refused) as caught:
        encoder_of(encoder_network("vit").bfloat16(), encoder.preprocess, ref="m")
    assert str(caught.value) == (
        "legenda reads float32; m/image holds torch.bfloat16. Call .float() on it before opening."
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
    assert blocks(9) == {"image": 9, "text": 9}
    assert blocks({"image": 1}) == {"image": 1} and blocks({}) == {}
    assert blocks("image=features.17") == {"image": "features.17"}


@pytest.mark.parametrize("site", ["sound=3", "image=-1", "image=", "image=+1", "", "-1"])
def test_sites_that_cannot_be_read(site):
    with pytest.raises(BadInput) as caught:
        blocks(site)
    assert str(caught.value) == (
        f"a site is written image=9,text=9, or 9 for both towers; it got {site!r}. "
        "Blocks count from 0; before them are the embeddings, text=embeddings."
    )


def test_sites_that_are_no_text(tmp_path):
    opened = open_model("tests.toys:dual_factory", 1)
    assert (opened.image.block, opened.text.block) == (1, 1)
    opened = open_model("tests.toys:dual_factory", {"image": 0})
    assert (opened.image.block, opened.text.block) == (0, tiny_dual("clip").text.block)
    for site, said in ((-1, "-1"), ({"sound": 1}, "sound=1")):
        assert refusal(BadInput, "tests.toys:dual_factory", site) == (
            f"a site is written image=9,text=9, or 9 for both towers; it got {said!r}. "
            "Blocks count from 0; before them are the embeddings, text=embeddings."
        )
    assert refusal(BadInput, "tests.toys:plain_net", {"image": 1}) == (
        "tests.toys:plain_net is a plain module and needs a site, a dotted name such as 'stem'."
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
