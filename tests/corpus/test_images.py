"""Images from disk, and (second half) the view box: what a model sees of them."""

import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from PIL import Image

from legenda.corpus.images import as_rgb, list_images, open_bytes, open_image
from legenda.corpus.silence import pillow_silenced
from legenda.errors import BadInput, Missing

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
        "Make it smaller first (in Python, `limit=` can be raised)."
    )
    assert refusal(path) == want


def test_filters_that_others_put_in_front_do_not_let_pillow_speak(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(10_000, 10_000))
    said = refusal(path)
    warnings.simplefilter("error")
    assert refusal(path) == said
    with pytest.raises(Image.DecompressionBombWarning):  # the caller's own use of Pillow
        Image.open(path)


def test_only_pillow_is_silenced():
    with pillow_silenced():
        warnings.warn_explicit("hush", UserWarning, "a.py", 1, module="PIL.Image")
        with pytest.raises(UserWarning, match="loud"):
            warnings.warn_explicit("loud", UserWarning, "a.py", 1, module="pilot")


def test_threads_that_read_at_once_leave_the_filters_of_the_process_alone(tmp_path, monkeypatch):
    path = saved(picture(), tmp_path / "a.png")
    open_image(path)
    before = list(warnings.filters)
    inside, go = [Event(), Event()], [Event(), Event()]

    def held(image, name=""):
        i = int(inside[0].is_set())
        inside[i].set()
        assert go[i].wait(10)
        return as_rgb(image, name)

    monkeypatch.setattr("legenda.corpus.images.as_rgb", held)
    with ThreadPoolExecutor(2) as pool:
        reading = []
        for there in inside:  # the second comes in before the first is out, and leaves last
            reading.append(pool.submit(open_image, path))
            assert there.wait(10)
        with pytest.raises(UserWarning):  # whoever reads nothing hears what there is to hear
            warnings.warn_explicit("loud", UserWarning, "a.py", 1, module="PIL.Image")
        for let, read in zip(go, reading, strict=True):
            let.set()
            assert np.array_equal(read.result(10), picture())
    assert warnings.filters == before


SAVED = {
    "rgb.png": picture(64, 64),
    "rgb.bmp": picture(64, 64),
    "grey.bmp": picture(64, 64).convert("L"),  # of a file, Pillow maps the pixels of these two
    "grey.tiff": picture(64, 64).convert("L"),
    "rgb.jpg": picture(64, 64),
    "rgb.gif": picture(64, 64),
    "rgb.webp": picture(64, 64),
    "rgb.jp2": picture(64, 64),
    "wide.pgm": Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)),
    "nan.tiff": Image.fromarray(np.full((2, 2), np.nan, np.float32)),
}


@pytest.mark.parametrize("name", SAVED)
def test_bytes_give_the_same_pixels_or_the_same_words_as_their_file(tmp_path, name):
    def outcome(read, *given):
        try:
            return read(*given).tobytes()
        except BadInput as error:
            return str(error)

    path = saved(SAVED[name], tmp_path / name)
    whole = path.read_bytes()
    for data in (whole, whole[: len(whole) // 2], whole[:20], b"", b"once upon a time"):
        path.write_bytes(data)
        got = outcome(open_bytes, data, str(path))
        assert got == outcome(open_image, path)
        assert isinstance(got, bytes) == (data is whole and name != "nan.tiff")


def test_bytes_go_by_the_name_they_are_given():
    assert (open_bytes(png(1, 1, bytes(4)), "cell 3").size) == (1, 1)
    with pytest.raises(BadInput) as caught:
        open_bytes(b"", "cell 3")
    assert str(caught.value) == (
        "cell 3 is empty (0 bytes); an image is needed. Copy or export it again."
    )
    with pytest.raises(BadInput) as caught:
        open_bytes(png(2000, 1000), "cell 3", limit=1_000_000)
    assert str(caught.value) == (
        "cell 3 has 2 megapixels; at most 1 are opened. "
        "Make it smaller first (in Python, `limit=` can be raised)."
    )


def test_the_limit_is_the_callers(tmp_path):
    path = saved(picture(1000, 1000), tmp_path / "a.png")
    assert open_image(path, limit=1_000_000).size == (1000, 1000)
    assert refusal(path, limit=999_999).startswith(f"{path} has 1 megapixels; at most 1 are")


def test_past_pillows_own_guard_the_message_tells_that_one(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000))
    assert refusal(path, limit=10**12) == (
        f"{path} has 400 megapixels; at most 179 are opened. "
        "Make it smaller first (in Python, `limit=` can be raised)."
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
