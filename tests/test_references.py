"""Which reference is used, and that a survey is made once."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors import SafetensorError

from legenda import references
from legenda.corpus.reference import Reference, key, standing
from legenda.models.opening import open_model
from legenda.references import builtin_reference, identity, reference_for
from legenda.zoo.reference import builtin
from legenda.zoo.scenes import draw, photograph


@pytest.fixture(scope="module")
def dual():
    return open_model("zoo:scenes")


@pytest.fixture(autouse=True)
def _small_and_private(monkeypatch, tmp_path):
    monkeypatch.setenv("LEGENDA_CACHE", str(tmp_path))
    monkeypatch.setattr(references, "lookup", lambda *_: lambda: builtin(8))


def pairs(count):
    scenes = [draw(2_000_000 + i) for i in range(count)]
    return [Image.fromarray(photograph(s)) for s in scenes], [s.caption() for s in scenes]


def test_a_model_that_brings_its_own_keeps_it(dual):
    assert reference_for(dual, *pairs(1)).source == dual.reference.source


def test_many_pairs_are_their_own_reference(dual):
    alone = replace(dual, reference=None)
    assert reference_for(alone, *pairs(32)).source == "the 32 pairs themselves"


def test_one_sentence_for_many_pictures_is_no_reference(dual):
    alone = replace(dual, reference=None)
    pictures, texts = pairs(32)
    assert reference_for(alone, pictures, texts[:1] * 32).source == "8 drawn scenes"
    assert reference_for(alone, pictures[:1] * 32, texts).source == "8 drawn scenes"


def test_files_serve_as_well_as_pictures(dual, tmp_path):
    alone = replace(dual, reference=None)
    pictures, texts = pairs(32)
    files = [tmp_path / f"{i}.png" for i in range(32)]
    for picture, file in zip(pictures, files, strict=True):
        picture.save(file)
    one, other = reference_for(alone, pictures, texts), reference_for(alone, files, texts)
    assert torch.equal(one.images, other.images) and one.threshold == other.threshold


def test_a_cache_that_cannot_be_written_is_no_failure(dual, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LEGENDA_CACHE", str(tmp_path / "file"))
    assert builtin_reference(replace(dual, reference=None)).source == "8 drawn scenes"

    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setenv("LEGENDA_CACHE", str(tmp_path))
    monkeypatch.setattr(Reference, "save", full)
    assert builtin_reference(replace(dual, reference=None)).source == "8 drawn scenes"
    assert not list((tmp_path / "references").iterdir())


def test_a_single_pair_is_held_against_the_built_in_set_which_is_named_and_cached(dual, tmp_path):
    alone = replace(dual, reference=None)
    first = reference_for(alone, *pairs(1))
    assert first.source == "8 drawn scenes"
    (saved,) = (tmp_path / "references").iterdir()
    assert saved.stem == identity(alone)
    again = builtin_reference(alone)
    at = key(dual.image).split("@")
    assert torch.equal(again.at(*at).mean, first.at(*at).mean)
    assert again.threshold == first.threshold
    assert (again.texts - first.texts).abs().max() < 1e-3  # half precision on disk


def test_a_torn_cache_is_surveyed_again(dual, tmp_path):
    alone = replace(dual, reference=None)
    builtin_reference(alone)
    (saved,) = (tmp_path / "references").iterdir()
    saved.write_bytes(b"torn")
    assert builtin_reference(alone).source == "8 drawn scenes"


def test_another_site_is_another_identity(dual):
    assert identity(dual) != identity(dual.at(image=2))


def test_a_site_that_was_not_shipped_is_surveyed(dual):
    less = replace(dual, reference=replace(dual.reference, moments={}))
    found = reference_for(less, *pairs(1))
    assert found.at(*key(dual.image).split("@")).source == "8 drawn scenes"


def test_a_matching_pair_stands_out_from_swapped_ones(dual):
    pictures, texts = pairs(16)
    image = dual.embed_images(dual.pixels(pictures))
    text = dual.embed_text(texts)
    matched = dual.reference.standing(image, text)
    swapped = dual.reference.standing(image, text.roll(1, 0))
    assert (matched > dual.reference.threshold).float().mean() > 0.9
    assert matched.mean() > swapped.mean() + 1


def test_standing_is_the_mean_of_two_z_scores():
    lot = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(4, 6, 5, generator=lot), dim=-1)
    image, text, images, texts = unit
    found = standing(image, text, images, texts)
    for i in range(6):
        u = torch.tensor([float(image[i] @ t) for t in texts])
        v = torch.tensor([float(text[i] @ x) for x in images])
        c = float(image[i] @ text[i])
        slow = ((c - u.mean()) / u.std() + (c - v.mean()) / v.std()) / 2
        assert torch.isclose(found[i], slow, atol=1e-5)


def test_a_reference_survives_being_saved(dual, tmp_path):
    dual.reference.save(tmp_path / "r.safetensors")
    again = Reference.load(tmp_path / "r.safetensors")
    assert again.source == dual.reference.source
    assert again.moments.keys() == dual.reference.moments.keys()
