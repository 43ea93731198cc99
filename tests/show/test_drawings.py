"""Pictures by key: maps and sheets against slow twins, and what is refused."""
# ruff: noqa: E501

import io

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.atlas.entries import PictureEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_picture
from legenda.errors import BadInput
from legenda.show.drawings import GAP, LEAST, LEVELS, MOST, map_image, media, sheet
from legenda.show.palette import DIVERGING, SEQUENTIAL, colours
from tests.atlas.made import made


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("drawn") / "a")) as held:
        yield held


def evidence(atlas, kind):
    return atlas.value("SELECT id FROM evidence WHERE kind = ? ORDER BY id", kind)


def opened(found):
    return np.asarray(Image.open(io.BytesIO(found[1])).convert("RGBA"))


def slow_map(values, peak):
    """One position at a time."""
    signed = any(v / peak < -1e-6 for row in values for v in row)
    table = colours(DIVERGING if signed else SEQUENTIAL, LEVELS)
    made = np.zeros((len(values), len(values[0]), 4), np.uint8)
    for r, row in enumerate(values):
        for c, value in enumerate(row):
            share = max(-1.0, min(1.0, value / peak))
            level = round((share + 1) / 2 * (LEVELS - 1)) if signed else round(share * (LEVELS - 1))
            strong = abs(round(share * (LEVELS - 1))) / (LEVELS - 1)
            made[r, c, :3] = table[level]
            made[r, c, 3] = round((LEAST + (MOST - LEAST) * strong) * 255)
    return made


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_map_is_a_colour_and_an_opacity_a_position(low):
    values = np.random.default_rng(3).uniform(low, 1, (5, 7))
    assert (np.asarray(map_image(values)) == slow_map(values, np.abs(values).max())).all()
    assert (np.asarray(map_image(values, 2.0)) == slow_map(values, 2.0)).all()


def test_a_map_of_nothing_is_nearly_clear():
    pixels = np.asarray(map_image(np.zeros((2, 2))))
    assert (pixels[..., 3] == round(255 * LEAST)).all()
    assert np.asarray(map_image(np.full((2, 2), np.nan))).shape == (2, 2, 4)


def test_maps_of_one_unit_share_a_scale_and_are_kept_exactly(atlas):
    number = evidence(atlas, "exemplars")
    maps = atlas.arrays(number)["maps"].numpy()
    for place in range(4):
        found = opened(media(atlas, f"evidence/{number}/map-{place}"))
        assert (found == slow_map(maps[place], maps.max())).all()
    held = evidence(atlas, "attribution")
    heat = atlas.arrays(held)["map"].numpy()
    assert (opened(media(atlas, f"evidence/{held}/map")) == slow_map(heat, heat.max())).all()


def test_a_sheet_holds_every_frame_in_its_place():
    images = (torch.rand(2, 3, 3, 80, 72, generator=torch.Generator().manual_seed(0)) * 255).byte()
    drawn = np.asarray(sheet(images))
    assert drawn.shape == (2 * 80 + GAP, 3 * 72 + 2 * GAP, 4)
    for row in range(2):
        for step in range(3):
            y, x = row * (80 + GAP), step * (72 + GAP)
            frame = images[row, step].permute(1, 2, 0).numpy()
            assert (drawn[y : y + 80, x : x + 72, :3] == frame).all()
    assert (drawn[80 : 80 + GAP, :, 3] == 0).all() and (drawn[:80, :72, 3] == 255).all()


def test_small_frames_are_enlarged_and_large_sheets_made_smaller():
    images = torch.zeros(1, 2, 1, 16, 16, dtype=torch.uint8)
    images[0, 1] = 200
    large = np.asarray(sheet(images))
    assert large.shape == (64, 128 + GAP, 4)
    assert (large[:, :64, 0] == 0).all() and (large[:, 64 + GAP :, 0] == 200).all()
    wide = torch.zeros(1, 10, 3, 64, 64, dtype=torch.uint8)
    assert sheet(wide, longest=200).size == (10 * (20 + GAP) - GAP, 20)


def test_a_picture_is_as_it_was_kept_unless_it_is_to_be_smaller(atlas):
    row = atlas.one("SELECT media, data FROM pictures WHERE id = 1")
    assert media(atlas, "picture/1") == (row["media"], row["data"])


def test_a_large_picture_is_made_smaller_and_never_heavier(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    with Atlas(tmp_path / "a", write=True) as atlas:
        put_picture(atlas, PictureEntry("s", "c", 120, 90, "image/png", held.getvalue()))
        put_picture(atlas, PictureEntry("s", "c", 120, 90, "image/png", held.getvalue()[:3000]))
        kind, data = media(atlas, "picture/1", 40)
        assert (kind, Image.open(io.BytesIO(data)).size) == ("image/webp", (40, 30))
        assert len(data) < len(held.getvalue()) / 10
        with pytest.raises(BadInput) as refused:
            media(atlas, "picture/2", 40)
    assert str(refused.value).startswith(f"picture 2 of {tmp_path}/a cannot be read: ")


@pytest.mark.parametrize("key", ["", "picture", "picture/", "picture/-1", "picture/x", "picture/1/2",
    "evidence/1", "../../etc/passwd", "evidence/../1", "/picture/1", "picture/²"])  # fmt: skip
def test_what_is_no_key_is_refused(atlas, key):
    with pytest.raises(BadInput) as refused:
        media(atlas, key)
    assert str(refused.value) == (
        f"a picture is named such as picture/12 or evidence/7/sheet; it got {key!r}."
    )


def test_what_is_not_there_is_said(atlas):
    number = evidence(atlas, "sheet")
    for key, said in (
        ("picture/99", f"{atlas.folder} holds no picture 99."),
        ("evidence/99/sheet", f"{atlas.folder} holds no evidence 99."),
        (f"evidence/{number}/map", "evidence of the kind sheet has no 'map'."),
        (f"evidence/{evidence(atlas, 'exemplars')}/map-77", "evidence of the kind exemplars has no 'map-77'."),
        (f"evidence/{evidence(atlas, 'exemplars')}/map-x", "evidence of the kind exemplars has no 'map-x'."),
    ):  # fmt: skip
        with pytest.raises(BadInput) as refused:
            media(atlas, key)
        assert str(refused.value) == said
