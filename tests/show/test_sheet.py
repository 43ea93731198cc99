"""Contact sheets by their pixels: every frame is found again where it should be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.core.sheet import Sheet
from legenda.errors import BadInput
from legenda.show.palette import colours, oklab
from legenda.show.sheet import BLUES, alt, change_map, chosen, contact_sheet, narrowed
from legenda.show.sheet_layout import GAP, GROUNDS, enlarged

RED, GREEN = np.array([255, 0, 0]), np.array([0, 255, 0])


def made(rows=3, steps=8, height=32, width=32, unit="vae/latents/3"):
    lot = torch.Generator().manual_seed(0)
    images = torch.rand(rows, steps, 3, height, width, generator=lot)
    return Sheet(images, torch.linspace(-1.96, 1.96, steps), unit, 3)


def places(picture, sheet, steps, scale):
    """Where each frame is found, looking for all its pixels on the whole picture."""
    pixels = np.asarray(picture).astype(int)
    found = {}
    for r, row in enumerate(sheet.images):
        for c, step in enumerate(steps):
            frame = (row[step] * 255).round().byte().permute(1, 2, 0).numpy().astype(int)
            large = np.kron(frame, np.ones((scale, scale, 1), int))
            corners = np.argwhere((pixels == large[0, 0]).all(2))
            h, w = large.shape[:2]
            hits = [(y, x) for y, x in corners if np.array_equal(pixels[y : y + h, x : x + w], large)]  # fmt: skip # noqa: E501
            assert len(hits) == 1, f"frame {r}, {c} is there once"
            found[r, c] = hits[0]
    return found


def rgb(code):
    return tuple(int(code[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("columns", [5, 8])
@pytest.mark.parametrize("labels", [True, False])
def test_every_frame_is_where_it_belongs(columns, labels):
    sheet = made()
    found = places(contact_sheet(sheet, columns, labels=labels), sheet, chosen(8, columns), 3)
    y = [found[r, 0][0] for r in range(3)]
    x = [found[0, c][1] for c in range(columns)]
    assert np.diff(y).tolist() == [96 + GAP] * 2 and np.diff(x).tolist() == [96 + GAP] * (
        columns - 1
    )
    assert all(found[r, c] == (y[r], x[c]) for r, c in found)
    size = contact_sheet(sheet, columns, labels=labels).size
    assert size == (x[-1] + 96 + GAP, y[-1] + 96 + GAP)
    assert (min(y), min(x)) == (GAP, GAP) or labels


def test_columns_are_chosen_evenly_with_both_ends():
    assert chosen(8, 8) == list(range(8)) and chosen(5, 8) == list(range(5))
    for steps in range(2, 40):
        for columns in (2, 5, 8):
            found = chosen(steps, columns)
            assert found[0] == 0 and found[-1] == steps - 1
            assert len(set(found)) == len(found) == min(steps, columns)
            assert np.ptp(np.diff(found)) <= 1


def test_a_narrowed_sheet_holds_what_is_shown():
    sheet, few = made(), narrowed(made(), 5)
    assert torch.equal(few.images, sheet.images[:, chosen(8, 5)])
    assert torch.equal(few.values, sheet.values[chosen(8, 5)])
    one, other = contact_sheet(few, 5), contact_sheet(sheet, 5)
    assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "side,shown", [(16, 96), (28, 112), (64, 128), (96, 96), (128, 128), (256, 256), (512, 102)]
)
def test_frames_are_as_large_as_one_can_see(side, shown):
    assert enlarged(torch.rand(1, 1, 3, side, side), None).shape[2:4] == (shown, shown)


def test_pixels_are_repeated_or_averaged():
    image = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).expand(1, 1, 3, 2, 2)
    grown = enlarged(image, 2.0)[0, 0, :, :, 0]
    assert grown.tolist() == [[0, 0, 255, 255]] * 2 + [[255] * 4] * 2
    assert enlarged(image, 0.5)[0, 0].tolist() == [[[192] * 3]]


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_a_ground_is_the_paper_and_the_ink_can_be_read_on_it(ground):
    picture = np.asarray(contact_sheet(made(), ground=ground))
    paper, ink = (np.array(rgb(c)) for c in GROUNDS[ground][:2])
    assert (picture[0, 0] == paper).all()
    assert (picture[: GAP + 40, 60:] == ink).all(2).any(), "something is written above"
    assert (picture[60:, : GAP + 40] == ink).all(2).any(), "and at the left"
    light = oklab(np.stack([paper, ink]) / 255)[:, 0]
    assert abs(light[0] - light[1]) > 0.7


def test_rows_have_names_and_columns_have_values():
    sheet = made()
    plain = np.asarray(contact_sheet(sheet))
    other = np.asarray(contact_sheet(replace(sheet, values=sheet.values * 2)))
    assert plain.shape == other.shape
    rows, _ = np.nonzero((plain != other).any(2))
    assert rows.max() < places(contact_sheet(sheet), sheet, range(8), 3)[0, 0][0]
    wide = contact_sheet(sheet, captions=["a very long caption", "b", "c"])
    assert wide.width > contact_sheet(sheet).width
    named = np.asarray(contact_sheet(sheet, captions=["row 1", "row 2", "row l"]))
    width = min(plain.shape[1], named.shape[1])
    rows, _ = np.nonzero((plain[:, :40] != named[:, :40]).any(2))
    assert rows.min() > 250 and abs(plain.shape[1] - named.shape[1]) < 12 and width > 800


def test_a_blind_control_differs_in_its_frames_alone():
    sheet = made()
    at = places(contact_sheet(sheet, blind=True), sheet, range(8), 3)
    real = np.asarray(contact_sheet(sheet, blind=True)).copy()
    for null in (sheet.shuffled(1), sheet.constant(1)):
        drawn = np.asarray(contact_sheet(null, blind=True)).copy()
        assert not np.array_equal(real, drawn)
        for y, x in at.values():
            drawn[y : y + 96, x : x + 96] = real[y : y + 96, x : x + 96]
        assert np.array_equal(real, drawn)
        assert alt(null, blind=True) == alt(sheet, blind=True)
        elsewhere = contact_sheet(replace(sheet, unit="other/latents/9", index=9), blind=True)
        assert np.array_equal(real, np.asarray(elsewhere)), "nor does the unit show"


def test_a_control_that_is_shown_openly_says_so_and_claims_no_values():
    sheet = made()
    null, faked = sheet.shuffled(1), replace(sheet.shuffled(1), kind="traversal")
    openly = np.asarray(contact_sheet(null))
    assert not np.array_equal(openly, np.asarray(contact_sheet(faked)))
    moved = replace(null, values=null.values * 3)
    assert np.array_equal(openly, np.asarray(contact_sheet(moved)))


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_marks_need_no_hue(ground):
    sheet = made()
    plain, marked = (
        np.asarray(contact_sheet(sheet, ground=ground, marks=m)) for m in ((), [(1, 2)])
    )
    at = places(contact_sheet(sheet, ground=ground, marks=[(1, 2)]), sheet, range(8), 3)
    rows, columns = np.nonzero((plain != marked).any(2))
    y, x = at[1, 2]
    assert (rows.min(), rows.max()) == (y - 3, y + 98)
    assert (columns.min(), columns.max()) == (x - 3, x + 98)
    lines = np.unique(marked[rows, columns], axis=0)
    assert np.ptp(lines.astype(int), axis=1).max() <= 4, "grey"


# ------------------------------------------------------------------------------------------ words


def test_the_alternative_says_what_is_there():
    images = torch.zeros(2, 8, 3, 32, 32)
    images[:, 4:] = 1.0
    sheet = Sheet(images, torch.linspace(-2, 2, 8), "vae/latents/3", 3)
    assert alt(sheet) == (
        "Contact sheet of vae/latents/3: traversal. 2 rows of 8 frames, 32 × 32 pixels each. From "
        "left to right the unit goes from −2 to 2. Colours spread by 0.5 along a row, of at most "
        "0.5 (n = 2, 95 % from 0.5 to 0.5)."
    )
    assert alt(sheet.constant().rows([0]), 5) == (
        "Contact sheet of vae/latents/3: control: constant. 1 rows of 5 frames, 32 × 32 pixels "
        "each. Colours spread by 0 along a row, of at most 0.5 (n = 1)."
    )
    assert alt(sheet, blind=True) == "Contact sheet: 2 rows of 8 frames, 32 × 32 pixels each."


# -------------------------------------------------------------------------------------------- map


def test_the_map_is_dark_where_pictures_change():
    sheet = made()
    still = sheet.images.clone()
    still[..., 8:] = still[:, :1, ..., 8:]
    drawn = np.asarray(change_map(replace(sheet, images=still)))
    assert drawn.shape[1] == 320 and 345 < drawn.shape[0] < 400
    light = oklab(drawn[:320].reshape(-1, 3) / 255)[:, 0].reshape(320, 320)
    assert (drawn[:320, 80:] == colours(BLUES)[0]).all()
    assert light[:, :80].max() < 0.8 * light[0, -1]
    assert drawn[320:].std() > 0, "a scale is below"


def test_the_scale_has_one_hue_and_climbs_in_darkness():
    found = oklab(colours(BLUES) / 255)
    assert (np.diff(found[:, 0]) < 1e-3).all() and found[0, 0] - found[-1, 0] > 0.5
    deep = found[np.hypot(found[:, 1], found[:, 2]) > 0.03]
    angle = np.degrees(np.arctan2(deep[:, 2], deep[:, 1]))
    assert np.ptp(angle) < 25


def test_maps_may_share_a_scale():
    sheet = made()
    faint = replace(sheet, images=0.5 + 0.2 * (sheet.images - 0.5))
    alone, shared = (np.asarray(change_map(faint, high=h))[:320] for h in (None, 0.4))
    assert alone.mean() < shared.mean()
    assert np.asarray(change_map(sheet.constant()))[:320].min() == colours(BLUES)[0].min()


# ------------------------------------------------------------------------------------------ refused


def refused(act):
    with pytest.raises(BadInput) as caught:
        act()
    return str(caught.value)


def test_what_cannot_be_drawn_is_refused():
    sheet = made()
    assert refused(lambda: contact_sheet(sheet, 1)) == (
        "contact_sheet shows both ends of a row; it got columns=1. Take 5."
    )
    assert refused(lambda: contact_sheet(sheet, captions=["a"])) == (
        "contact_sheet needs a caption for each of 3 rows; it got 1. Give one for each, or none."
    )
    for scale in (0.0, -1.0, float("nan"), 1e6):
        assert refused(lambda s=scale: contact_sheet(sheet, scale=s)) == (
            f"contact_sheet needs a scale that leaves pixels to see; it got {scale} for frames of "
            "32 × 32. Leave it out for frames of at least 96 pixels."
        )
    assert refused(lambda: change_map(sheet, high=0.0)) == (
        "change_map needs a scale that ends above 0; it got high=0.0."
    )
    for mark in ((3, 0), (0, 8), (-1, 0)):
        assert refused(lambda m=mark: contact_sheet(sheet, marks=[m])) == (
            f"contact_sheet marks one of 3 rows and 8 columns, counted from 0; it got {mark}. "
            "Count the columns that are shown."
        )


def test_a_sheet_is_a_picture():
    assert isinstance(contact_sheet(made(1, 2)), Image.Image)
    assert isinstance(change_map(made(1, 2)), Image.Image)
