"""Light where a unit is on: against a slow twin, what is cut out, and what a face weighs."""

import io

import numpy as np
import pytest
from PIL import Image

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.drawings import media
from legenda.show.spotlight import (
    CLOSEST,
    COLOUR,
    DARK,
    GREY,
    STRONG,
    WEAK,
    WEIGHT,
    edge,
    face,
    laid,
    spotlight,
    window,
)
from tests.atlas.made import made


def picture(side=64, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 255, (side, side, 3)).astype(np.uint8)


def slow(pixels, share):
    """One pixel at a time."""
    found = np.zeros(pixels.shape)
    height, width = share.shape
    for y in range(height):
        for x in range(width):
            u = min(1.0, max(0.0, (share[y, x] - WEAK) / (STRONG - WEAK)))
            light = u * u * (3 - 2 * u)
            for c in range(3):
                grey = sum(map(float, pixels[y, x])) / 3
                veil = COLOUR * float(pixels[y, x, c]) + GREY * grey + (1 - COLOUR - GREY) * DARK
                found[y, x, c] = light * float(pixels[y, x, c]) + (1 - light) * veil
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            near = any(0 <= i < height and 0 <= j < width and share[i, j] >= STRONG for i, j in around)  # fmt: skip # noqa: E501
            if share[y, x] < STRONG and near:
                found[y, x] = 255
    return np.rint(found).astype(np.uint8)


def test_the_light_is_its_slow_twin():
    pixels, share = picture(12), np.random.default_rng(1).random((12, 12))
    assert (spotlight(pixels, share) == slow(pixels, share)).all()


def test_what_is_strong_stays_as_it_is_and_what_is_weak_is_dark_and_paler():
    pixels, share = picture(30), np.zeros((30, 30))
    share[:, :10] = 1.0
    found = spotlight(pixels, share).astype(int)
    assert (found[:, :10] == pixels[:, :10]).all()
    hue, was = (np.ptp(one[:, 11:].astype(int), axis=2) for one in (found, pixels))
    assert (hue <= COLOUR * was + 1).all(), "little hue is left"
    kept = COLOUR + GREY
    assert found[:, 11:].max() <= kept * 255 + (1 - kept) * DARK + 1 < 160
    assert (found[:, 10] == 255).all() and edge(share >= STRONG).sum() == 30


def test_all_or_nothing_has_no_line():
    assert not edge(np.ones((4, 5), bool)).any() and not edge(np.zeros((4, 5), bool)).any()


def test_a_map_is_laid_where_its_frame_is():
    found = laid(np.array([[-2.0, np.nan]]), 2.0, [4, 0, 12, 8], (16, 8))
    assert found.shape == (8, 16) and found[:, :4].max() == found[:, 12:].max() == 0
    assert found[0, 4] == 1.0 and found[0, 11] == 0.0


@pytest.mark.parametrize("place", [(10, 20), (0, 0), (90, 40), (57, 33)])
def test_a_window_holds_what_is_lit_and_some_room(place):
    share = np.zeros((60, 100))
    left, top = place[0], place[1]
    share[top : top + 12, left : left + 10] = 0.9
    x, y, side = window(share)
    assert 0 <= x <= left and left + 10 <= x + side <= 100
    assert 0 <= y <= top and top + 12 <= y + side <= 60
    assert side == int(CLOSEST * 60)
    assert window(np.ones((60, 100))) == (20, 0, 60) and window(np.zeros((60, 100)))[2] == 60


def test_a_face_is_small_square_and_light():
    held = face(Image.fromarray(picture(200)), np.eye(14), 1.0)
    drawn = Image.open(io.BytesIO(held))
    assert (drawn.format, drawn.size) == ("WEBP", (128, 128))
    assert len(held) < 3 * WEIGHT, "even of noise"
    calm = Image.linear_gradient("L").convert("RGB")
    values = np.zeros((14, 14))
    values[3, 9] = 2.0
    held = face(calm, values, 2.0, [0, 0, 256, 256], side=96)
    assert len(held) <= WEIGHT and Image.open(io.BytesIO(held)).size == (96, 96)


def test_a_face_lights_the_planted_place():
    red = np.full((100, 100, 3), 120, np.uint8)
    red[20:40, 60:80] = (250, 10, 10)
    values = np.zeros((10, 10))
    values[2:4, 6:8] = 1.0
    drawn = np.asarray(Image.open(io.BytesIO(face(Image.fromarray(red), values, 1.0))).convert("RGB")).astype(int)  # fmt: skip # noqa: E501
    coloured = np.argwhere(np.ptp(drawn, axis=2) > 120)
    assert len(coloured) > 0.1 * 128**2, "it is brought near"
    assert np.abs(coloured.mean(0) - 64).max() < 8, "and stands in the middle"


def test_the_face_of_a_unit_is_its_strongest_exemplar(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        row = atlas.one("SELECT picture, evidence FROM exemplars WHERE unit = 4 AND place = 0")
        assert row is not None
        data = atlas.value("SELECT data FROM pictures WHERE id = ?", row["picture"])
        maps = atlas.arrays(row["evidence"])["maps"]
        key = f"evidence/{row['evidence']}/face-4"
        kind, found = media(atlas, key)
        twin = face(Image.open(io.BytesIO(data)), maps[0].double().numpy(), float(maps.max()))
        assert (kind, found) == ("image/webp", twin)
        assert Image.open(io.BytesIO(media(atlas, key, 80)[1])).size == (80, 80)
        for what in ("face-", "face-99", "face-x", "face-1"):
            with pytest.raises(BadInput) as refused:
                media(atlas, f"evidence/{row['evidence']}/{what}")
            assert str(refused.value) == f"evidence {row['evidence']} has no {what!r}."


def test_a_torn_map_leaves_the_picture(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        row = atlas.one("SELECT picture, evidence FROM exemplars WHERE unit = 4 AND place = 0")
        assert row is not None
        for shard in (tmp_path / "a" / "tensors").rglob("*.safetensors"):
            shard.write_bytes(shard.read_bytes()[:40])
        found = media(atlas, f"evidence/{row['evidence']}/face-4")
        assert found == media(atlas, f"picture/{row['picture']}", 128, 60)
