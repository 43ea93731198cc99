"""Images from disk, and (second half) the view box: what a model sees of them."""

import math
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.corpus.images import ImageFolder, as_rgb, list_images, open_image
from legenda.corpus.view_box import Box, Preprocess
from legenda.errors import BadInput, Missing, Unsupported

NO_IMAGE = (
    "{} is not an image that legenda reads (AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP), "
    "or its header is broken. Save it as PNG or JPEG."
)


def picture(w=6, h=4, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def png(width, height, body=b""):
    """Write a PNG by hand, so that its header can lie."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def refusal(path, error=BadInput, **options):
    with pytest.raises(error) as caught:
        open_image(path, **options)
    assert type(caught.value) is error
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "jp2"])
def test_lossless_formats_give_back_every_pixel(tmp_path, suffix):
    lossless = {"lossless": True} if suffix == "webp" else {}
    path = saved(picture(40, 30), tmp_path / f"a.{suffix}", **lossless)
    got = open_image(path)
    assert got.mode == "RGB"
    assert np.array_equal(got, picture(40, 30))


def test_a_wrong_suffix_does_not_matter(tmp_path):
    path = saved(picture(), tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(open_image(path), picture())


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: np.rot90(a, 2).swapaxes(0, 1)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_an_exif_turned_image_stands_upright_once(tmp_path, orientation, stored, suffix):
    upright = np.asarray(picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored(upright)))
    lossless = {"lossless": True} if suffix == "webp" else {}
    got = open_image(saved(image, tmp_path / f"a.{suffix}", exif=exif, **lossless))
    assert np.array_equal(got, upright)
    assert got.getexif().get(0x0112) is None
    assert got.info == {}


def test_a_broken_exif_block_does_not_hide_the_pixels(tmp_path):
    path = saved(picture(), tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(open_image(path), picture())


def test_transparency_is_laid_on_white(tmp_path):
    half = saved(Image.new("RGBA", (2, 2), (200, 0, 100, 51)), tmp_path / "rgba.png")
    assert open_image(half).getpixel((0, 0)) == (244, 204, 224)  # 0.2 c + 0.8 · 255
    grey = saved(Image.new("LA", (2, 2), (0, 0)), tmp_path / "la.png")
    assert open_image(grey).getpixel((1, 1)) == (255, 255, 255)


def test_a_palette_keeps_its_colours_and_its_hole_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    opaque = open_image(saved(image, tmp_path / "p.png"))
    holed = open_image(saved(image, tmp_path / "t.png", transparency=0))
    assert [opaque.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (200, 100, 50)]
    assert [holed.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 100, 50)]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_keeps_its_full_range(tmp_path, suffix):
    values = np.array([[0, 257, 32896, 65535, 129]], np.uint16)
    path = saved(Image.fromarray(values), tmp_path / f"a.{suffix}")
    assert np.asarray(open_image(path))[0, :, 1].tolist() == [0, 1, 128, 255, 1]


def test_the_transparent_value_of_16_bit_grey_is_white(tmp_path):
    values = np.array([[0, 1000]], np.uint16)
    path = saved(Image.fromarray(values), tmp_path / "a.png", transparency=1000)
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 255]


def test_floats_and_wide_integers_are_stretched():
    floats = Image.fromarray(np.array([[-1.0, 0.0, 3.0]], np.float32))
    assert np.asarray(as_rgb(floats))[0, :, 0].tolist() == [0, 64, 255]
    wide = Image.fromarray(np.array([[-100, 0, 100]], np.int32))
    assert np.asarray(as_rgb(wide))[0, :, 0].tolist() == [0, 128, 255]
    assert np.asarray(as_rgb(Image.new("F", (2, 2), 7.0))).max() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path, bad):
    path = saved(Image.fromarray(np.array([[0, bad]], np.float32)), tmp_path / "a.tiff")
    want = f"{path} has pixels that are NaN or infinite; grey needs finite values."
    assert refusal(path) == want


def test_one_bit_and_cmyk(tmp_path):
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    got = open_image(saved(bits, tmp_path / "a.png"))
    assert [got.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]
    cyan = open_image(saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), tmp_path / "a.jpg"))
    assert np.allclose(np.asarray(cyan), (0, 255, 255), atol=3)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    path = saved(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert np.allclose(np.asarray(open_image(path)), (255, 0, 0), atol=3)


def test_what_is_returned_outlives_the_file(tmp_path):
    path = saved(picture(), tmp_path / "a.png")
    got = open_image(path)
    path.unlink()
    assert np.array_equal(got, picture())


def test_a_missing_image_suggests_its_neighbours(tmp_path):
    saved(picture(), tmp_path / "dog.png")
    wrong = tmp_path / "dgo.png"
    assert refusal(wrong, Missing) == f"image {wrong} is not there. Did you mean 'dog.png'?"
    far = tmp_path / "nowhere" / "zebra.webp"
    assert refusal(far, Missing) == f"image {far} is not there. Check the path."


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000])
def test_what_cannot_be_a_path_is_missing(name):
    assert (
        refusal(name, Missing) == f"image {name[:200]}{'…' * (len(name) > 200)} is not there. "
        "Check the path."
    )


def test_a_folder_an_empty_file_and_a_pipe_are_refused(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path} is a folder; an image file is needed. Name a file in it."
    )
    empty = tmp_path / "a.png"
    empty.touch()
    assert refusal(empty) == (
        f"{empty} is empty (0 bytes); an image is needed. Copy or export it again."
    )
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    assert refusal(pipe) == f"{pipe} is not a regular file; an image file is needed."


@pytest.mark.parametrize("content", [b"once upon a time", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_what_is_no_image_is_told_what_would_be(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert refusal(path) == NO_IMAGE.format(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "jp2"])
def test_an_image_cut_short_is_refused(tmp_path, suffix):
    path = saved(picture(64, 64), tmp_path / f"a.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    said = refusal(path)
    assert said.startswith(f"{path} cannot be decoded (")
    assert said.endswith("). It is corrupt or cut short; copy or export it again.")


def test_a_cut_file_says_by_how_much(tmp_path):
    path = saved(picture(64, 64), tmp_path / "a.bmp")
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == (
        f"{path} cannot be decoded (image file is truncated (92 bytes not processed)). "
        "It is corrupt or cut short; copy or export it again."
    )


def test_a_corrupt_chunk_is_refused(tmp_path):
    path = saved(picture(64, 64), tmp_path / "a.png")
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path} cannot be decoded (")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", png(0, 5)),
        ("a.gif", b"GIF89a" + struct.pack("<HHBBB", 0, 0, 0, 0, 0) + b";"),
        ("a.ppm", b"P6 0 0 255\n"),
    ],
)
def test_no_pixels_is_no_image(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path) == NO_IMAGE.format(path)


@pytest.mark.parametrize("side", [9_000, 10_000, 100_000])
def test_a_tiny_file_that_claims_a_huge_size_is_refused_unread(tmp_path, side, monkeypatch):
    """Three sizes: below Pillow's warning, between warning and error, and above both."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    want = (
        f"{path} has {side * side / 1e6:,.0f} megapixels; at most 64 are opened. "
        "Make it smaller, or raise `limit`."
    )
    assert refusal(path) == want


def test_the_limit_is_the_callers(tmp_path):
    path = saved(picture(1000, 1000), tmp_path / "a.png")
    assert open_image(path, limit=1_000_000).size == (1000, 1000)
    assert refusal(path, limit=999_999).startswith(f"{path} has 1 megapixels; at most 1 are")


def test_past_pillows_own_guard_the_message_tells_that_one(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000))
    assert refusal(path, limit=10**12) == (
        f"{path} has 400 megapixels; at most 179 are opened. Make it smaller, or raise `limit`."
    )


def test_a_folder_is_listed_in_natural_order(tmp_path):
    names = ["b10.png", "b2.PNG", "sub/a.jpg", "B3.png", "notes.txt", "._b2.png", "10/x.png"]
    for name in [*names, "9/x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["9/x.png", "10/x.png", "b2.PNG", "B3.png", "b10.png", "sub/a.jpg"]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadInput) as caught:
        list_images(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has no images; a file ending in one of .avif, .bmp, .gif, .j2k, .jp2, .jpe, "
        ".jpeg, .jpg, .pbm, .pgm, .png, .pnm, .ppm, .tif, .tiff, .webp is needed."
    )
    with pytest.raises(BadInput) as caught:
        list_images(tmp_path / "notes.txt")
    want = f"{tmp_path / 'notes.txt'} is a file; a folder of images is needed."
    assert str(caught.value) == want
    with pytest.raises(Missing) as caught:
        list_images(tmp_path / "note")
    want = f"folder {tmp_path / 'note'} is not there. Did you mean 'notes.txt'?"
    assert str(caught.value) == want


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        saved(picture(seed=i), tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"")
    return tmp_path


def test_a_folder_reads_by_number_and_only_when_asked(folder):
    images = ImageFolder(folder)
    assert len(images) == 4
    assert np.array_equal(images[[3, 0]][0], picture(seed=3))
    assert [image.size for image in images[[0, 0]]] == [(6, 4)] * 2
    with pytest.raises(BadInput, match=r"2\.png is empty"):
        images[[1, 2]]
    assert images.refused == []


def test_skipping_records_what_was_refused_once(folder):
    images = ImageFolder(folder, skip=True)
    for _ in range(2):
        read = images.read([1, 2, 3])
    assert [i for i, _ in read] == [1, 3]
    assert np.array_equal(read[1][1], picture(seed=3))
    bad = folder / "2.png"
    reason = f"{bad} is empty (0 bytes); an image is needed. Copy or export it again."
    assert images.refused == [(bad, reason)]


@pytest.mark.parametrize("i", [4, -1])
def test_a_number_outside_the_folder_is_refused(folder, i):
    with pytest.raises(BadInput) as caught:
        ImageFolder(folder, skip=True)[[i]]
    assert str(caught.value) == f"image {i} is not in {folder}, which has 4 images"


# The view box

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
