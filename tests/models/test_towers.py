"""Towers against the library's own embeddings; the pooled block against the library's block."""

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.errors import Missing
from legenda.models.hub import see_naflex
from legenda.models.layout import Layout
from legenda.models.towers import PooledBlock
from tests.contracts import near
from tests.toys import DUALS, SENTENCES, dual_network, pixels, tiny_dual, tiny_encoder, words


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_image_embeddings_are_transformers_own(kind):
    dual, network, x = tiny_dual(kind), dual_network(kind), pixels(3, 16)
    with torch.no_grad():
        theirs = network.get_image_features(pixel_values=x).pooler_output
    assert torch.equal(dual.image.run(x).output, theirs)
    for block in dual.image.sites:
        prefix = dual.image.at(block).prefix(x)
        assert near(prefix.resume(prefix.acts, torch.arange(3)), theirs)


def test_siglip2_patches_are_cut_as_its_own_processor_cuts_them():
    from transformers import Siglip2ImageProcessorPil

    array = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    processor = Siglip2ImageProcessorPil(patch_size=4, max_num_patches=16)
    fed = processor([picture], return_tensors="pt")
    dual, network = tiny_dual("siglip2"), dual_network("siglip2")
    with torch.no_grad():
        theirs = network.get_image_features(**fed).pooler_output
        ours = see_naflex(network, dual.pixels([picture]))
    assert near(ours, theirs)
    assert near(dual.image.run(dual.pixels([picture])).output, theirs)


@pytest.mark.parametrize("kind", DUALS)
def test_text_embeddings_are_transformers_own(kind):
    dual, network = tiny_dual(kind), dual_network(kind)
    whole = {"padding": "max_length", "max_length": 24} if kind != "clip" else {"padding": True}
    fed = words()(SENTENCES, return_tensors="pt", **whole)
    mask = {"attention_mask": fed["attention_mask"]} if kind == "clip" else {}
    with torch.no_grad():
        theirs = network.get_text_features(input_ids=fed["input_ids"], **mask).pooler_output
    ids = dual.ids(SENTENCES)
    assert torch.equal(ids, fed["input_ids"])
    assert torch.equal(dual.text.run(ids).output, theirs)
    for block in dual.text.sites:
        prefix = dual.text.at(block).prefix(ids)
        assert near(prefix.resume(prefix.acts, torch.arange(3)), theirs)


def test_embeddings_for_people_are_normalised_and_do_not_depend_on_batches():
    dual = tiny_dual("clip")
    one = dual.embed_text(SENTENCES)
    assert near(one.norm(dim=-1), torch.ones(3))
    assert near(torch.cat([dual.embed_text([s]) for s in SENTENCES]), one)
    assert near(dual.embed_images(pixels(5, 16), batch=2), dual.embed_images(pixels(5, 16)))


@pytest.mark.parametrize("tower", ["image", "text"])
def test_a_pooled_block_is_the_librarys_block_at_one_position(tower):
    dual = tiny_dual("clip")
    part = getattr(dual, tower)
    x = pixels(3, 16) if tower == "image" else dual.ids(SENTENCES)
    block = list(part.root.get_submodule(part.anatomy.blocks))[-1]
    prefix = part.at(1).prefix(x)
    at, rows = part.pooled(x), torch.arange(3)
    whole = part.at(2).acts(x)[rows, at]
    pooled = PooledBlock(block)
    pooled.at, pooled.keys = at, prefix.valid
    found = Layout().read(pooled(prefix.acts))
    assert found.shape == prefix.acts.shape
    assert near(found[rows, at], whole)


def test_the_last_block_is_pooled_where_it_fits():
    assert tiny_dual("clip").image.at(0)._suffix.last is not None
    assert tiny_dual("siglip").image.at(0)._suffix.last is None, "SigLIP pools by attention"
    assert not PooledBlock.fits(torch.nn.Linear(2, 2))


def test_weights_are_shared_not_copied():
    tower = tiny_dual("clip").image
    ours = {p.data_ptr() for p in tower._suffix.root.parameters()}
    assert ours < {p.data_ptr() for p in tower.root.parameters()}


def test_marks_of_words_and_patches():
    dual = tiny_dual("clip")
    prefix = dual.text.prefix(dual.ids(["a red house", SENTENCES[2]]))
    assert prefix.special[0].tolist()[:6] == [True, False, False, False, True, False]
    assert prefix.valid[0].tolist()[:6] == [True] * 5 + [False]
    seen = dual.image.prefix(pixels(1, 16))
    assert seen.special[0].tolist() == [True] + [False] * 16
    registers = tiny_encoder("dinov2-registers").image.prefix(pixels(1, 16))
    assert registers.special[0].tolist() == [True] * 3 + [False] * 16


def test_a_block_that_is_not_there():
    with pytest.raises(Missing) as caught:
        tiny_dual("clip").at(image=3)
    assert str(caught.value) == (
        "tiny-clip/image opens at embeddings or at blocks 0 to 2; it got 3. Choose one of them."
    )


@pytest.mark.parametrize("kind", ["vit", "vit-classifier", "dinov2", "dinov2-registers"])
def test_an_encoder_resumes_from_every_site(kind):
    tower, x = tiny_encoder(kind).image, pixels(3, 16)
    for block in tower.sites:
        prefix = tower.at(block).prefix(x)
        assert near(prefix.resume(prefix.acts, torch.arange(3)), tower.run(x).output)


def test_at_the_embeddings_a_word_is_itself_and_nothing_else():
    text = tiny_dual("clip").text
    ids = tiny_dual("clip").ids(["a red house", "a blue house"])

    def differs(tower):
        one, other = tower.acts(ids)
        return (one != other).any(-1)[:5].tolist()

    assert differs(text.at("embeddings")) == [False, False, True, False, False]
    assert differs(text.at(0)) == [False, False, True, True, True]


def test_a_tower_can_be_opened_elsewhere():
    dual = tiny_dual("clip").at(image=0, text=1)
    assert (dual.image.block, dual.text.block) == (0, 1)
    assert (dual.image.ref, dual.text.ref) == ("tiny-clip/image@0", "tiny-clip/text@1")
