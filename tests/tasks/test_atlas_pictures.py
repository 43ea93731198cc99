import io

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.atlas.entries import ModelEntry, SetEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_picture, put_set
from legenda.core.codes import Codes
from legenda.corpus.view_box import Preprocess
from legenda.tasks.atlas_pictures import (
    codes_entry,
    frame_of,
    last_name,
    picture_entry,
    put_codes,
    reading,
    with_nats,
)

FRAME = [0.0, 0.0, 9.0, 9.0]


def picture(width=40, height=20, seed=0):
    """Noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def opened(entry):
    return Image.open(io.BytesIO(entry.data))


@pytest.mark.parametrize(
    ("size", "kept"),
    [((40, 20), (120, 60)), ((32, 32), (96, 96)), ((96, 50), (96, 50)), ((512, 256), (256, 128))],
)
def test_pictures_are_of_a_size_that_can_be_seen(size, kept):
    entry = picture_entry(picture(*size), "x.png", "noise")
    assert (entry.width, entry.height) == kept == opened(entry).size
    assert entry.media == "image/webp" and opened(entry).format == "WEBP"


def test_a_picture_does_not_change_what_it_was_given():
    large = picture(512, 256)
    picture_entry(large, "x.png")
    assert large.size == (512, 256)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("/home/me/cats/1.png", "1.png"),
        (r"C:\me\1.png", "1.png"),
        ("scene 7", "scene 7"),
        ("a/", "a"),
        ("", "picture"),
    ],
)
def test_no_folder_of_a_machine_is_kept(said, name):
    assert last_name(said) == picture_entry(picture(), said).source == name


def test_a_frame_lies_on_what_is_kept():
    kept = picture_entry(picture(512, 256), "x")
    assert frame_of(Preprocess((64, 64)), (512, 256), kept) == [64.0, 0.0, 192.0, 128.0]
    small = picture_entry(picture(32, 32), "x")
    assert frame_of(Preprocess((32, 32)), (32, 32), small) == [0.0, 0.0, 96.0, 96.0]


def test_codes_hold_the_strongest_first_and_nothing_that_is_off():
    codes = Codes(torch.tensor([[[3, 1, 2, 0], [0, 4, 1, 2]]]), torch.tensor([[[0.1, 0.5, 0, 0], [0, 0, 0.0, 2]]]), 5)  # fmt: skip # noqa: E501
    entry = codes_entry(codes, (1, 2), FRAME)
    assert entry.arrays["index"].tolist() == [[1, 3], [2, 0]]
    assert torch.equal(entry.arrays["weight"], torch.tensor([[0.5, 0.1], [2.0, 0.0]]))
    assert entry.arrays["index"].dtype == torch.int32
    assert entry.facts == {"grid": [1, 2], "frame": FRAME}


def test_nats_that_are_known_stay(tmp_path):
    codes = codes_entry(Codes(torch.tensor([[[0], [1]]]), torch.ones(1, 2, 1), 2), (1, 2), FRAME)  # fmt: skip # noqa: E501
    with Atlas(tmp_path / "a", write=True) as atlas:
        model = put_model(atlas, ModelEntry("m", "m"))
        units = put_set(atlas, SetEntry(model, "d", "concept", 2))
        shown = put_picture(atlas, picture_entry(picture(), "x"))
        assert reading(atlas, units, shown) is None
        put_codes(atlas, units, {shown: with_nats(codes, torch.tensor([1.0, 2.0]), "of 'a cat'")})
        put_codes(atlas, units, {shown: codes})
        found = reading(atlas, units, shown)
        assert found is not None and found.arrays["nats"].tolist() == [1.0, 2.0]
        assert found.facts["nats"] == "of 'a cat'"
        put_codes(atlas, units, {shown: with_nats(codes, torch.tensor([3.0, 2.0]), "of 'a dog'")})
        found = reading(atlas, units, shown)
        assert found is not None and found.arrays["nats"].tolist() == [3.0, 2.0]
        longer = codes_entry(Codes(torch.zeros(1, 3, 1).long(), torch.ones(1, 3, 1), 2), (1, 3), FRAME)  # fmt: skip # noqa: E501
        put_codes(atlas, units, {shown: longer})
        found = reading(atlas, units, shown)
        assert found is not None and "nats" not in found.arrays
