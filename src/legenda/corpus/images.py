"""Images from disk, safely: whatever a person has, as RGB at its own size.

Three choices, so that nobody is surprised. Of an animation or a file of several pages, the
first frame is read. Transparency is laid on white. Colour profiles (ICC) are ignored: the
numbers in the file are the numbers the model sees, as in the training of the models we open.

The size in the header is checked before a pixel is decoded, and only formats that Pillow
reads without running another program are accepted.
"""

import os
import re
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from legenda.corpus.silence import pillow_silenced
from legenda.errors import BadInput, LegendaError, Missing, near

LIMIT = 64_000_000
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = frozenset(
    ".avif .bmp .gif .j2k .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)

_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError)
_FAILURE = (MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError)
_UNDECODABLE = (*_DAMAGE, *_FAILURE)
"""What Pillow's decoders raise on damaged files; fuzzing found six of these."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(path: str | Path, limit: int = LIMIT) -> Image.Image:
    """Read one image as RGB, turned as its EXIF block says, at its own size.

    Parameters
    ----------
    path: an image file.
    limit: most pixels to decode; larger admits larger files, and takes 3 bytes a pixel.
    """
    path = present(path, "image")
    if path.is_dir():
        raise BadInput(f"{path} is a folder; an image file is needed. Name a file in it.")
    if not path.is_file():  # a pipe would block for ever
        raise BadInput(f"{path} is not a regular file; an image file is needed.")
    return _read(path, path.stat().st_size, str(path), limit)


def open_bytes(data: bytes, name: str, limit: int = LIMIT) -> Image.Image:
    """Read an image file that is in memory like one on disk; errors call it `name`."""
    return _read(BytesIO(data), len(data), name, limit)


def as_rgb(image: Image.Image, name: str = "") -> Image.Image:
    """Any Pillow mode as RGB: transparency on white, 16-bit and float grey scaled to 8 bits.

    16-bit grey keeps its full range (65535 is white). Wider integers and floats have no agreed
    white, so they are stretched from their least to their greatest value; a constant one is black.
    """
    if image.mode.startswith(("I", "F")):
        return _from_grey(image, name)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def list_images(folder: str | Path) -> list[Path]:
    """Every image below `folder`, in natural order (2 before 10); hidden files are left out."""
    folder = present(folder, "folder")
    if not folder.is_dir():
        raise BadInput(f"{folder} is a file; a folder of images is needed.")
    found = [
        Path(root, name)
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not found:
        known = ", ".join(sorted(SUFFIXES))
        raise BadInput(f"{folder} has no images; a file ending in one of {known} is needed.")
    return sorted(found, key=lambda path: _natural(path.relative_to(folder)))


def present(path: str | Path, what: str) -> Path:
    """`path`, if something is there; else `Missing`, with what lies near."""
    path = Path(path)
    try:
        path.stat()
    except PermissionError:
        raise BadInput(f"{what} {path} may not be read: permission denied.") from None
    except (OSError, ValueError):
        shown = str(path) if len(str(path)) <= 200 else f"{str(path)[:200]}…"
        hint = _neighbours(path) or " Check the path."
        raise Missing(f"{what} {shown} is not there.{hint}") from None
    return path


def _read(source: Path | BytesIO, size: int, name: str, limit: int) -> Image.Image:
    if size == 0:
        raise BadInput(f"{name} is empty (0 bytes); an image is needed. Copy or export it again.")
    Image.init()
    formats = [known for known in FORMATS if known in Image.OPEN]
    try:  # Pillow's warnings: ours is the stricter guard; the rest is about metadata
        with pillow_silenced(), Image.open(source, formats=formats) as image:
            _guard(name, image.size[0] * image.size[1], limit)
            turn = _TURNS.get(_orientation(image))
            rgb = as_rgb(image, name)
    except LegendaError:
        raise
    except _UNDECODABLE as error:
        raise _explained(name, error, limit) from None
    rgb = rgb.copy() if turn is None else rgb.transpose(turn)
    rgb.info.clear()  # or a second reader of the EXIF block would turn it again
    return rgb


def _guard(name: str, pixels: int, limit: int) -> None:
    allowed = min(limit, 2 * (Image.MAX_IMAGE_PIXELS or limit))
    if pixels > allowed:
        raise BadInput(
            f"{name} has {pixels / 1e6:,.0f} megapixels; at most {allowed / 1e6:,.0f} are opened. "
            "Make it smaller first (in Python, `limit=` can be raised)."
        )


def _explained(name: str, error: Exception, limit: int) -> BadInput:
    if isinstance(error, PermissionError):
        return BadInput(f"{name} may not be read: permission denied.")
    if isinstance(error, UnidentifiedImageError):
        return BadInput(
            f"{name} is not an image that legenda reads ({', '.join(FORMATS)}), "
            "or its header is broken. Save it as PNG or JPEG."
        )
    if isinstance(error, Image.DecompressionBombError):  # Pillow's guard came before ours
        _guard(name, int(re.findall(r"\d+", str(error))[0]), limit)
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return BadInput(
        f"{name} cannot be decoded ({reason}). It is corrupt or cut short; copy or export it again."
    )


def _orientation(image: Image.Image) -> int:
    image.load()  # PNG may keep its EXIF block behind the pixels, and TIFF turns itself
    try:
        return image.getexif().get(0x0112, 1)
    except _UNDECODABLE:  # a broken EXIF block says nothing; the pixels are still good
        return 1


def _from_grey(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    grey = _eight_bits(values, name or getattr(image, "filename", "") or "the image")
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _eight_bits(values: np.ndarray, name: str) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise BadInput(f"{name} has pixels that are NaN or infinite; grey needs finite values.")
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)


def _natural(path: Path) -> list[tuple[list[str | int], str]]:
    """Sort by folder, then name; text and numbers take turns, so they are never compared."""
    split = [re.split(r"(\d+)", part.casefold()) for part in path.parts]
    keys = [[int(s) if i % 2 else s for i, s in enumerate(part)] for part in split]
    return list(zip(keys, path.parts, strict=True))


def _neighbours(path: Path) -> str:
    try:
        return near(path.name, [there.name for there in path.parent.iterdir()])
    except (OSError, ValueError):
        return ""
