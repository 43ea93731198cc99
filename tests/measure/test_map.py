"""Change maps: OKLab by the numbers of its author, a slow twin, and where things change."""

import re

import pytest
import torch

from legenda.errors import BadInput
from legenda.measure.map import BLOCK, oklab, perceptual_change, perceptual_effect
from tests.measure.drawings import bar, ellipse, painted


def pixel(*colour: float) -> torch.Tensor:
    return torch.tensor(colour).double()[None, :, None, None]


def test_known_colours():
    white, black = oklab(pixel(1, 1, 1)).flatten(), oklab(pixel(0, 0, 0)).flatten()
    red = oklab(pixel(1, 0, 0)).flatten()
    assert white.tolist() == pytest.approx([1, 0, 0], abs=1e-5)
    assert black.tolist() == [0, 0, 0]
    assert red.tolist() == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)


def test_greys_have_no_colour():
    lab = oklab(torch.linspace(0, 1, 16)[:, None, None, None].expand(16, 3, 1, 1))
    assert lab[:, 1:].abs().max() < 1e-6
    assert (lab[:, 0, 0, 0].diff() > 0).all()


def test_the_map_is_its_slow_twin():
    images = torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    want = torch.zeros(8, 8).double()
    for row in images:
        lab = oklab(row)
        off = lab - lab.mean(0)
        fine = torch.zeros(8, 8).double()
        rough = torch.zeros(2, 2).double()
        for i in range(8):
            for j in range(8):
                fine[i, j] = sum(float((f[:, i, j] ** 2).sum()) for f in off)
        for i in range(2):
            for j in range(2):
                block = off[:, :, i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK]
                rough[i, j] = sum(float((f.mean((1, 2)) ** 2).sum()) for f in block)
        fine, rough = (fine / 3).sqrt(), (rough / 3).sqrt()
        wide = torch.nn.functional.interpolate(rough[None, None], scale_factor=BLOCK, mode="bilinear")  # fmt: skip # noqa: E501
        want += (fine + wide[0, 0]) / 2 / len(images)
    torch.testing.assert_close(perceptual_change(images), want)


def test_it_is_bright_where_something_changes_and_dark_elsewhere():
    frames = torch.cat([painted(torch.zeros(64, 64)), painted(bar(32, 0, 64, 64))])[None]
    change = perceptual_change(frames)
    assert float(change[:, 40:].min()) == pytest.approx(0.5, abs=1e-5)
    assert float(change[:, :24].max()) == 0


def test_what_does_not_change_has_no_effect_and_more_change_has_more():
    still = painted(ellipse()).expand(4, 3, 64, 64)
    little = torch.cat([painted(ellipse(x=32 + i / 2)) for i in range(4)])
    much = torch.cat([painted(ellipse(x=32 + 3 * i)) for i in range(4)])
    effect = perceptual_effect(torch.stack([still, little, much]))
    assert effect[0] < 1e-12 and effect[2] > 2 * effect[1] > 0
    assert float(perceptual_change(torch.stack([much]))[:].mean()) == pytest.approx(float(effect[2]))  # fmt: skip # noqa: E501


def test_a_change_of_colour_alone_is_seen():
    red, green = (painted(ellipse(), c, (0.5,) * 3) for c in ((0.8, 0.2, 0.2), (0.2, 0.5, 0.2)))
    assert float(perceptual_effect(torch.cat([red, green])[None])) > 0.01


def test_one_frame_is_no_row():
    says = (
        "A change map needs rows of two or more frames with 3 channels; it got "
        "(1, 1, 3, 64, 64). Give the images of a sheet."
    )
    with pytest.raises(BadInput, match=re.escape(says)):
        perceptual_change(painted(ellipse())[None])
