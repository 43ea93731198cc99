"""Whole pictures: sprites give back their factors, and what is done to them changes only that."""

import re

import pytest
import torch
from scipy.stats import spearmanr

from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput
from legenda.measure.picture import NAMES, measure, measure_rows
from legenda.zoo.sprites.world import COLOUR, GREY, WORLDS, drawn
from tests.measure.drawings import bar, blurred, ellipse, painted

SHAPE = ("size", "aspect", "elongation", "roundness", "convexity", "count", "holes")
NEVER = tuple(set(NAMES) - {"orientation", "slant", "stroke", "hue"})
"""What every picture of sprites has."""


def named(pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(zip(NAMES, measure(pictures).unbind(1), strict=True))


@pytest.fixture(scope="module", params=["sharp", "blurred"])
def sprites(request):
    """Per world: its factors and what was measured."""
    found = {}
    for world in (GREY, COLOUR):
        made = drawn(world, 100, seed=3)
        pictures = made.pixels().expand(-1, 3, -1, -1).double()
        pictures = blurred(pictures) if request.param == "blurred" else pictures
        values = torch.from_numpy(world.values(made.factors))
        found[world.name] = (dict(zip(world.factors, values.T, strict=True)), named(pictures))
    return found


def rho(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(spearmanr(a.numpy(), b.numpy()).statistic)


def test_the_order_is_that_of_the_core():
    assert tuple(ATTRIBUTES) == NAMES
    assert measure(torch.zeros(0, 3, 64, 64)).shape == (0, len(NAMES))
    assert measure(torch.zeros(2, 3, 64, 64)).dtype == torch.float64


@pytest.mark.parametrize("world", WORLDS)
def test_sprites_give_back_their_factors(sprites, world):
    factors, got = sprites[world]
    assert rho(factors["x"], got["x"]) > 0.99
    assert rho(factors["y"], got["y"]) > 0.99
    for shape in range(3):
        own = factors["shape"] == shape
        assert rho(factors["size"][own], got["size"][own]) > 0.97
    turned = factors["shape"] == 1
    off = got["orientation"] - (90 - factors["orientation"].rad2deg())
    assert ((off[turned] + 90) % 180 - 90).abs().max() < 6


def test_colours_give_back_their_factors(sprites):
    factors, got = sprites["colour"]
    assert rho(factors["hue"], got["hue"]) > 0.98
    torch.testing.assert_close(got["hue"], factors["hue"] * 360, atol=6, rtol=0)
    assert rho(factors["background"], got["background"]) > 0.98
    assert rho(factors["background"], got["brightness"]) > 0.95


@pytest.mark.parametrize("world", WORLDS)
def test_shapes_are_told_apart(sprites, world):
    factors, got = sprites[world]
    square, oval = factors["shape"] == 0, factors["shape"] == 1
    assert got["elongation"][oval].min() > got["elongation"][~oval].max() + 0.2
    assert got["roundness"][oval].mean() > got["roundness"][square].mean() + 0.03
    assert (got["count"] == 1).all() and (got["holes"] == 0).all()


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_is_nan_that_a_sprite_has(sprites, world):
    _, got = sprites[world]
    assert not any(got[name].isnan().any() for name in NEVER)
    assert got["hue"].isnan().all() == (world == "grey")


def test_moving_changes_the_place_alone():
    there = [(20.0, 24.0), (20.3, 24.0), (44.0, 40.7)]
    for sharp in (True, False):
        pictures = torch.cat([painted(ellipse(x, y, 13, 7, 40), (0.9, 0.4, 0.1), (0.1, 0.2, 0.4)) for x, y in there])  # fmt: skip # noqa: E501
        got = named(pictures if sharp else blurred(pictures))
        for name in set(NAMES) - {"x", "y", "stroke"}:
            torch.testing.assert_close(
                got[name], got[name][:1].expand(3), atol=0.015, rtol=0.03, msg=name
            )


def test_recolouring_changes_neither_place_nor_shape():
    paints = (
        ((1.0, 0.2, 0.2), (0.0,) * 3),
        ((0.2, 0.6, 1.0), (0.9,) * 3),
        ((0.1,) * 3, (0.6,) * 3),
    )
    got = named(torch.cat([painted(ellipse(28, 36, 14, 7, 30), *p) for p in paints]))
    for name in ("x", "y", "orientation", "slant", "balance", "symmetry", *SHAPE):
        torch.testing.assert_close(got[name], got[name][:1].expand(3), atol=0.02, rtol=0.02, msg=name)  # fmt: skip # noqa: E501
    assert got["hue"][:2].tolist() == pytest.approx([0, 210], abs=2) and got["hue"][2].isnan()


def test_resolution_changes_little():
    small, large = (named(painted(ellipse(s / 2, s / 2, s / 4, s / 8, 50, side=s))) for s in (32, 128))  # fmt: skip # noqa: E501
    for name in ("x", "y", "orientation", "slant", "balance", *SHAPE):
        assert float(small[name]) == pytest.approx(float(large[name]), abs=0.02, rel=0.04), name


def test_a_wide_picture_is_measured_in_its_own_shares():
    got = named(painted(bar(8, 4, 24, 20)[:32].contiguous()))
    assert float(got["x"]) == pytest.approx(16 / 64, abs=0.003)
    assert float(got["y"]) == pytest.approx(12 / 32, abs=0.003)


def test_photographs_have_colours_and_light_but_no_shape():
    lot = torch.Generator().manual_seed(0)
    rough = torch.rand(6, 3, 8, 8, generator=lot)
    photos = torch.nn.functional.interpolate(rough, size=(64, 64), mode="bicubic").clamp(0, 1)
    got = named(photos)
    shapes = ("x", "y", "symmetry", "balance", "slant", "orientation", "stroke", *SHAPE)
    assert all(got[name].isnan().all() for name in shapes)
    kept = set(NEVER) - set(shapes)
    assert not any(got[name].isnan().any() for name in kept)


def test_batching_changes_nothing_and_pictures_are_left_alone():
    pictures = drawn(COLOUR, 21, seed=5).pixels().requires_grad_()
    before = pictures.detach().clone()
    whole = measure(pictures)
    one_by_one = torch.cat([measure(p[None]) for p in pictures])
    assert torch.equal(whole.nan_to_num(-1), one_by_one.nan_to_num(-1))
    assert torch.equal(pictures.detach(), before) and pictures.grad is None


def test_a_row_that_turns_goes_on_turning():
    frames = torch.cat([painted(ellipse(a=16, b=8, turn=t)) for t in range(120, 300, 20)])[None]
    turned = measure_rows(frames)[0, :, NAMES.index("orientation")]
    assert turned.tolist() == pytest.approx(list(range(120, 300, 20)), abs=1)


@pytest.mark.parametrize(
    "shape, got", [((2, 1, 64, 64), "(2, 1, 64, 64)"), ((1, 3, 4, 64), "(1, 3, 4, 64)")]
)
def test_other_shapes_are_refused(shape, got):
    says = (
        "Measuring needs pictures with 3 channels (b 3 h w), at least 8 pixels a side; it got "
        f"{got}. Grey pictures are measured with three equal channels."
    )
    with pytest.raises(BadInput, match=re.escape(says)):
        measure(torch.zeros(shape))


@pytest.mark.parametrize("worst, got", [(255.0, "0 to 255"), (torch.nan, "nan to nan")])
def test_other_ranges_are_refused(worst, got):
    picture = torch.zeros(1, 3, 64, 64)
    picture[0, 0, 0, 0] = worst
    says = (
        f"Measuring needs colours from 0 to 1; it got values from {got}. "
        "Give what `visible` of the model returns."
    )
    with pytest.raises(BadInput, match=re.escape(says)):
        measure(picture)
