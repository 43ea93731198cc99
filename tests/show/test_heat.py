import base64
import io

import numpy as np
import pytest
from PIL import Image

from legenda.show.heat import LEAST, LEVELS, heat, place, ramp
from legenda.show.palette import DIVERGING, MUTED, SEQUENTIAL, rgb


def pixels(uri):
    assert uri.startswith("data:image/webp;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    return np.asarray(image.convert("RGBA")) / 255


def test_one_pixel_to_a_cell_from_see_through_to_bright():
    values = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 0.1]])
    found = pixels(heat(values))
    assert found.shape == (2, 3, 4)
    assert np.allclose(found[1, 1], [*rgb(SEQUENTIAL[-1]), 1], atol=0.01)
    assert np.allclose(found[0, 0], [*rgb(SEQUENTIAL[0]), LEAST], atol=0.01)
    order = values.flatten().argsort()
    assert (np.diff(found[..., 3].flatten()[order]) > 0).all()


@pytest.mark.parametrize(
    "values, muted, ends, name",
    [([[0.0, 2.0]], True, (MUTED[0], MUTED[-1]), "muted"),
     ([[-2.0, 2.0]], False, (DIVERGING[0], DIVERGING[-1]), "signed"),
     ([[0.0, 2.0]], False, (SEQUENTIAL[0], SEQUENTIAL[-1]), "plain")],
)  # fmt: skip
def test_colours_say_what_a_map_is(values, muted, ends, name):
    found = pixels(heat(np.array(values), muted=muted))[0]
    assert np.allclose(found[:, :3], [rgb(one) for one in ends], atol=0.01)
    assert ramp(np.array(values), muted) == name


def test_a_unit_leaves_clear_where_it_is_off():
    found = pixels(heat(np.array([[0.0, 0.2, 1.0]]), clear=True))[0, :, 3]
    assert found[0] == 0 and LEAST < found[1] < found[2] == 1
    assert pixels(heat(np.array([[-1.0, 0.0, 1.0]]), clear=True))[0, :, 3].tolist() == [1, 0, 1]


def test_a_peak_is_shared_and_what_is_above_it_ends_there():
    half = pixels(heat(np.array([[0.0, 1.0]]), peak=2.0))
    full = pixels(heat(np.array([[0.5, 1.0]]), peak=1.0))
    assert np.allclose(half[0, 1], full[0, 0], atol=0.02)
    assert np.allclose(pixels(heat(np.array([[9.0]]), peak=1.0))[0, 0, :3], rgb(SEQUENTIAL[-1]), atol=0.01)  # fmt: skip # noqa: E501


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_nothing_is_drawn_as_nothing(values):
    assert np.allclose(pixels(heat(values))[..., 3], LEAST, atol=0.01)


def test_a_map_is_light():
    values = np.random.default_rng(0).random((14, 14))
    assert len(heat(values)) < 700 and LEVELS == 33
    values[values < 0.8] = 0  # as most units are: on in few places
    assert len(heat(values, clear=True)) < 230


def test_a_frame_may_reach_beyond_the_picture():
    assert place((-8, 8, 104, 88), 96, 96) == (
        "left:-8.3333%;top:8.3333%;width:116.67%;height:83.333%"
    )
