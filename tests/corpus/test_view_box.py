"""The view box, against the processors of transformers and a literal twin of drawing back."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.corpus.view_box import Box, Preprocess
from legenda.errors import BadInput, Unsupported
from tests.corpus.test_images import picture

PROCESSORS = "clip,siglip,dinov2,vit,too small,no resize,no mean,[-1 1],rescaled,squash crop".split(
    ","
)
SIZES = [(64, 48), (48, 64), (33, 77), (20, 400), (400, 20), (1, 20), (20, 1), (40, 40), (41, 40)]


def processors():
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    side, edge = {"height": 32, "width": 32}, {"shortest_edge": 32}
    return {
        "clip": CLIPImageProcessorPil(size=edge, crop_size=side),
        "siglip": SiglipImageProcessorPil(size=side),
        "dinov2": BitImageProcessorPil(size={"shortest_edge": 37}, crop_size=side),
        "vit": ViTImageProcessorPil(size=side),
        "too small": CLIPImageProcessorPil(size=edge, crop_size={"height": 39, "width": 44}),
        "no resize": CLIPImageProcessorPil(do_resize=False, crop_size=side),
        "no mean": CLIPImageProcessorPil(do_normalize=False, size=edge, crop_size=side),
        "[-1 1]": ViTImageProcessorPil(size=side, do_normalize=False, rescale_factor=1 / 127.5),
        "rescaled": ViTImageProcessorPil(size=side, rescale_factor=1 / 127.5),
        "squash crop": ViTImageProcessorPil(
            size={"height": 36, "width": 36}, do_center_crop=True, crop_size=side
        ),
    }


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_input_is_what_transformers_would_make(name):
    processor = processors()[name]
    ours = Preprocess.from_processor(processor)
    for size in SIZES:
        image = picture(*size)
        theirs = processor(image, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(ours.apply(image), theirs.float(), atol=1e-5, rtol=1e-5)


def test_the_settings_are_read_once_and_compare_equal():
    clip = processors()["clip"]
    read = Preprocess.from_processor(clip)
    assert read == Preprocess.from_processor(clip)
    assert eval(repr(read)) == read
    assert (read.size, read.resize, read.interpolation) == ((32, 32), "shortest", "bicubic")


def test_a_processor_that_does_more_is_refused():
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    def offset(image, return_tensors):
        return {"pixel_values": processors()["vit"](image, return_tensors="np")["pixel_values"] + 1}

    class Offset:
        """A processor whose fields do not tell the whole story."""

        __call__ = staticmethod(offset)

        def __getattr__(self, name):
            return getattr(processors()["vit"], name)

    for processor in (ConvNextImageProcessorPil(), Siglip2ImageProcessorPil(), Offset()):
        with pytest.raises(Unsupported) as caught:
            Preprocess.from_processor(processor)
        assert str(caught.value) == (
            "Preprocess.from_processor needs one fixed input size, by plain resizing, cropping and "
            f"normalising; {type(processor).__name__} has none. "
            "Describe it yourself: Preprocess(size=(224, 224), ...)."
        )


def test_other_modes_reach_the_model_as_rgb():
    preprocess = Preprocess((8, 8))
    clear = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    assert torch.equal(preprocess.apply(clear), torch.ones(3, 8, 8))


@pytest.mark.parametrize(
    ("preprocess", "size", "box"),
    [
        (Preprocess((10, 10)), (40, 20), Box(10, 0, 30, 20)),
        (Preprocess((10, 10)), (20, 40), Box(0, 10, 20, 30)),
        (Preprocess((10, 10), edge=20), (40, 40), Box(10, 10, 30, 30)),
        (Preprocess((10, 20), resize="squash", crop=False), (7, 9), Box(0, 0, 7, 9)),
        (Preprocess((10, 10), resize="pad", crop=False), (40, 20), Box(0, 0, 40, 20)),
        (Preprocess((10, 10), resize="pad", crop=False), (20, 40), Box(0, 0, 20, 40)),
        (Preprocess((10, 10), resize="none"), (30, 4), Box(10, 0, 20, 4)),
    ],
)
def test_the_part_that_is_seen(preprocess, size, box):
    assert preprocess.seen(size) == box
    assert preprocess.apply(picture(*size)).shape == (3, *preprocess.size)


@pytest.mark.parametrize(("size", "filled"), [((40, 20), (3, 8, 0, 10)), ((20, 40), (0, 10, 3, 8))])
def test_padding_is_the_mean_colour_around_the_middle(size, filled):
    preprocess = Preprocess((10, 10), resize="pad", crop=False, mean=(0.1, 0.2, 0.3))
    got = preprocess.apply(Image.new("RGB", size, "white"))
    top, bottom, left, right = filled
    want = torch.zeros(3, 10, 10)
    want[:, top:bottom, left:right] = torch.tensor([1.8, 1.6, 1.4])[:, None, None]
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("size", [(61, 47), (47, 61), (20, 400), (33, 32)])
def test_what_lies_outside_the_seen_part_cannot_change_the_input(size):
    preprocess = Preprocess((16, 16), interpolation="box")
    left, top, right, bottom = preprocess.seen(size)
    inside = np.zeros((size[1], size[0]), bool)
    inside[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = True
    pixels = np.asarray(picture(*size))
    other = np.where(inside[..., None], pixels, 255 - pixels)
    apply = lambda a: preprocess.apply(Image.fromarray(a))  # noqa: E731
    assert torch.equal(apply(pixels), apply(other))
    changed = pixels.copy()
    changed[math.ceil(top), math.ceil(left)] ^= 255
    assert not torch.equal(apply(pixels), apply(changed))


def literal_draw_back(preprocess, map, size):
    """Pixel by pixel: find the pixel's centre on the grid, mix the four cells around it."""
    (w, h), (gh, gw) = size, map.shape
    left, top, right, bottom = preprocess.frame(size)
    out = torch.full((h, w), torch.nan)
    for y in range(h):
        for x in range(w):
            if not (left <= x + 0.5 <= right and top <= y + 0.5 <= bottom):
                continue
            v = min(max((y + 0.5 - top) / (bottom - top) * gh - 0.5, 0), gh - 1)
            u = min(max((x + 0.5 - left) / (right - left) * gw - 0.5, 0), gw - 1)
            total = 0.0
            for i in range(gh):
                for j in range(gw):
                    total += float(map[i, j]) * max(0, 1 - abs(v - i)) * max(0, 1 - abs(u - j))
            out[y, x] = total
    return out


@pytest.mark.parametrize("size", [(23, 11), (11, 23), (16, 16), (3, 40)])
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess((8, 8)),
        Preprocess((8, 8), edge=11),
        Preprocess((8, 8), resize="pad", crop=False),
        Preprocess((6, 8), resize="squash", crop=False),
        Preprocess((8, 8), resize="none"),
    ],
)
def test_drawing_back_agrees_with_its_literal_twin(preprocess, size):
    map = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    got, want = preprocess.draw_back(map, size), literal_draw_back(preprocess, map, size)
    torch.testing.assert_close(got, want, equal_nan=True)


def test_without_a_crop_drawing_back_is_plain_interpolation():
    map = torch.randn(4, 5)
    want = torch.nn.functional.interpolate(map[None, None], (30, 41), mode="bilinear")[0, 0]
    got = Preprocess((8, 8), resize="squash", crop=False).draw_back(map, (41, 30))
    torch.testing.assert_close(got, want)


def test_a_bright_spot_is_drawn_where_it_was_seen():
    """Planted truth: the cell that a white square lights up leads back to the square."""
    original = np.zeros((40, 90, 3), np.uint8)
    original[24:29, 58:63] = 255
    preprocess = Preprocess((32, 32))
    seen = preprocess.apply(Image.fromarray(original)).mean(0)
    map = torch.nn.functional.avg_pool2d(seen[None, None], 4)[0, 0]
    drawn = preprocess.draw_back(map, (90, 40)).nan_to_num(-9)
    y, x = divmod(int(drawn.argmax()), 90)
    assert 24 <= y < 29
    assert 58 <= x < 63


def test_a_thin_image_is_refused_before_it_grows():
    with pytest.raises(BadInput) as caught:
        Preprocess((224, 224)).apply(Image.new("RGB", (1, 10_000)))
    assert str(caught.value) == (
        "an image of 1 x 10000 would become 224 x 2240000 before the crop; it is too thin. "
        "Crop it first."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (0, 8)}, "Preprocess needs sizes of 1 or more; got (0, 8), None"),
        (
            {"std": (1.0, 0.0, 1.0)},
            "Preprocess needs a std above 0 per channel; got (1.0, 0.0, 1.0)",
        ),
        (
            {"crop": False},
            "Preprocess with resize='shortest' needs crop=True, or images of different shapes "
            "give inputs of different sizes.",
        ),
        (
            {"resize": "squash", "crop": False, "edge": 9},
            "Preprocess uses edge=9 only with crop=True",
        ),
        (
            {"resize": "pad"},
            "Preprocess with resize='pad' needs crop=False: there is nothing to cut",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(BadInput) as caught:
        Preprocess(**{"size": (8, 8)} | settings)
    assert str(caught.value) == message


def test_an_image_without_pixels_is_refused():
    with pytest.raises(BadInput) as caught:
        Preprocess((8, 8)).seen((0, 5))
    assert str(caught.value) == "Preprocess needs an image with pixels; got 0 x 5"
