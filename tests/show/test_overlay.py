import numpy as np
import pytest
import torch

from legenda.corpus.view_box import Preprocess
from legenda.show.overlay import Scale, drawn, layer, overlay, seen, stretch, wrapped
from legenda.show.palette import DIVERGING, MUTED, SEQUENTIAL, colours, oklab
from legenda.show.view import plain
from tests.show.made import made


@pytest.mark.parametrize(
    "how",
    [
        Preprocess((8, 8)),
        Preprocess((8, 8), "squash", crop=False),
        Preprocess((8, 8), "pad", crop=False),
    ],
)
def test_drawing_agrees_with_the_model_s_own_view(how):
    grid = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    size = (60, 40)
    ours = stretch(grid.tolist(), list(how.frame(size)), size)
    np.testing.assert_allclose(ours, how.draw_back(grid, size).numpy(), atol=1e-5)


def test_an_overlay_has_the_picture_s_own_size_and_a_legend_below():
    pair = made(size=(600, 400))
    assert overlay(pair, legend=False).size == (600, 400)
    width, height = overlay(pair).size
    assert width == 600 and 430 < height < 520


def test_what_was_not_seen_is_grey_and_hatched():
    pixels = np.asarray(overlay(made(), legend=False), int)
    outside, inside = pixels[:, :9], pixels[:, 11:49]
    assert (np.ptp(outside, axis=2) == 0).all()
    assert (np.ptp(inside, axis=2) > 0).any()


def test_no_opacity_is_the_picture_itself():
    pair = made()
    bare = np.asarray(overlay(pair, alpha=0.0, legend=False))[:, 11:49]
    np.testing.assert_array_equal(bare, np.asarray(pair.picture)[:, 11:49])


def test_a_pair_that_does_not_match_is_never_drawn_in_colour():
    scale = Scale.of(plain(made(flagged=True)))
    assert scale.anchors == MUTED
    assert np.ptp(colours(MUTED).astype(int), axis=1).max() < 6
    plainly, warned = (overlay(made(flagged=f, size=(600, 400))) for f in (False, True))
    assert warned.height > plainly.height


def test_signed_maps_diverge_about_zero():
    scale = Scale.of(plain(made(signed=True)))
    assert scale.anchors == DIVERGING and scale.low == -scale.high == -2.0
    assert scale.levels(np.array([[0.0]]))[0, 0] in (127, 128)
    assert scale.opacities()[128] < scale.opacities()[0] == pytest.approx(1)


def test_pairs_can_share_a_scale():
    weak = made(image=made().image)
    scale = Scale.of(plain(weak), plain(made(signed=True)))
    assert (scale.low, scale.high) == (-3.75, 3.75)


def test_colours_climb_in_lightness():
    lightness = oklab(colours(SEQUENTIAL) / 255)[:, 0]
    assert (np.diff(lightness) > -1e-3).all() and np.ptp(lightness) > 0.5
    middle = oklab(colours(DIVERGING) / 255)[:, 0]
    assert middle.argmax() in range(120, 136)


def test_a_constant_map_is_drawn():
    pair = plain(made())
    pair["map"] = [[0.0] * 4] * 4
    assert drawn(pair, made().picture).size[0] == 60


def test_the_layer_covers_what_was_seen_with_a_small_palette():
    pair = plain(made())
    made_layer = layer(pair)
    assert made_layer.mode == "P" and made_layer.size == (384, 384)
    assert seen(pair) == (10.0, 0.0, 50.0, 40.0)


def test_long_notes_wrap():
    from PIL import ImageFont

    lines = wrapped("one two three four", ImageFont.load_default(12), 60)
    assert len(lines) > 1 and " ".join(lines) == "one two three four"
