"""Pictures in arrays: IDX, NPY and NPZ files, and arrays that are held already.

An array of pictures has the axes (n h w), (n h w c) or (n c h w) with 1, 3 or 4 channels; where
the last axis could be the channels, it is. Whole numbers are 8 bits; floats lie in [0, 1]. What
lies uncompressed on disk is mapped and not read; a compressed file (`.gz`, `.npz` saved compressed)
is unpacked once, into memory.

IDX is big-endian: two zero bytes, a byte for the type, a byte for the number of axes, each axis
as four bytes, then the values. `name-labels-idx1-ubyte` beside `name-images-idx3-ubyte` holds the
labels of its pictures; in an NPZ, the labels are the whole numbers (n) beside the pictures.

References
----------
LeCun, Cortes, Burges. The MNIST database of handwritten digits. 1998. The layout of IDX.
"""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from legenda.corpus.images import as_rgb, present
from legenda.errors import BadInput, near

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""What the third byte of an IDX file says of its values."""
SUFFIXES = (".idx", ".idx3", "-ubyte", ".npy", ".npz")
CHANNELS = (1, 3, 4)
SPREAD = 64
"""So many pictures, spread evenly, stand for the content of an array."""


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """The pictures of an array, by number.

    `name` is what they are called; `labels` are what each shows, one for each picture.
    """

    array: Any = field(repr=False)
    name: str = "array"
    labels: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no array of pictures."""
        shape, dtype = self.array.shape, self.array.dtype
        if len(shape) not in (3, 4) or not (len(shape) == 3 or _channels(shape)):
            raise BadInput(
                f"{self.name} has the shape {tuple(shape)}; pictures are (n h w), (n h w c) or "
                "(n c h w) with 1, 3 or 4 channels. Arrange its axes so."
            )
        if dtype != np.uint8 and dtype.kind not in "fb":
            raise BadInput(
                f"{self.name} holds {dtype}; pictures are uint8, or floats from 0 to 1. "
                "Convert it to one of them."
            )
        if not prod(shape):
            raise BadInput(f"{self.name} is empty: its shape is {tuple(shape)}. Give pictures.")
        if self.labels is not None and len(self.labels) != len(self.array):
            raise BadInput(
                f"{self.name} has {len(self.array)} pictures and {len(self.labels)} labels; "
                "each picture needs one. Leave the labels out, or give all."
            )

    @property
    def digest(self) -> str:
        """Stands for the shape, the type and the content of pictures spread evenly over all."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        known = hashlib.sha256(f"{self.array.shape} {self.array.dtype}".encode())
        for i in np.unique(np.linspace(0, len(self) - 1, SPREAD).astype(int)):
            known.update(np.ascontiguousarray(self.array[i]).tobytes())
        return known.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.array)

    def key(self, i: int) -> str:
        """The name of the array, and the number."""
        return f"{self.name}-{inside(i, self):06d}"

    def label(self, i: int) -> str | None:
        """What picture i shows."""
        return None if self.labels is None else str(self.labels[inside(i, self)])

    def open(self, i: int) -> Image.Image:
        """Picture i as RGB."""
        values = np.asarray(self.array[inside(i, self)])
        if values.ndim == 3 and _channels(self.array.shape) == "first":
            values = values.transpose(1, 2, 0)
        if values.dtype.kind == "f":
            values = self._bytes(i, values)
        values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
        scaled = values * np.uint8(255) if values.dtype.kind == "b" else values
        return as_rgb(Image.fromarray(np.ascontiguousarray(scaled)))

    def _bytes(self, i: int, values: np.ndarray) -> np.ndarray:
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise BadInput(
                f"{self.key(i)} has values from {low:g} to {high:g}; floats of a picture lie in "
                "[0, 1]. Scale the array."
            )
        return np.rint(values * 255).astype(np.uint8)


def inside(i: int, pictures: Any) -> int:
    """`i`, if there is such a picture."""
    if not 0 <= i < len(pictures):
        raise BadInput(f"picture {i} is not there; there are {len(pictures)}, from 0.")
    return i


def is_array(path: Path) -> bool:
    """Whether a file's name says that it holds an array."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES)


def open_array(
    path: str | Path, image: str | None = None, label: str | None = None
) -> ArrayPictures:
    """The pictures of an IDX, NPY or NPZ file; `image` and `label` name arrays of an NPZ."""
    path = present(path, "array of pictures")
    name = path.name.lower()
    try:
        if name.endswith(".npz"):
            return _npz(path, image, label)
        array = np.load(path, mmap_mode="r") if name.endswith(".npy") else read_idx(path)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read as an array ({error}). Copy or export it again.") from None  # fmt: skip # noqa: E501
    return ArrayPictures(array, _stem(path), None if name.endswith(".npy") else _labels(path))


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file, mapped where it is not compressed."""
    squeezed = path.name.lower().endswith(".gz")
    with gzip.open(path) if squeezed else path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not head[3]:
            raise BadInput(f"{path} is no IDX file: it begins with {head!r}. Copy or export it again.")  # fmt: skip # noqa: E501
        axes = file.read(4 * head[3])
        shape = tuple(np.frombuffer(axes[: len(axes) // 4 * 4], ">u4").tolist())
        dtype = np.dtype(TYPES[head[2]])
        wanted, start = prod(shape) * dtype.itemsize, 4 + 4 * head[3]
        if len(shape) < head[3] or wanted > 1 << 40:
            raise BadInput(f"{path} has a damaged header of IDX. Copy or export it again.")
        body = file.read(wanted + 1) if squeezed else b""
    held = len(body) if squeezed else path.stat().st_size - start
    if held != wanted:
        more = "more" if held > wanted else f"{held:,}"
        raise BadInput(
            f"{path} promises {' × '.join(map(str, shape))} values in {wanted:,} bytes and has "
            f"{more}. It is cut short or damaged; copy or export it again."
        )
    if squeezed or not wanted:
        return np.frombuffer(body, dtype).reshape(shape)
    return np.memmap(path, dtype, "r", start, shape)


def _labels(path: Path) -> np.ndarray | None:
    """The labels that lie beside the pictures of an IDX file."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    beside = path.with_name(name)
    return read_idx(beside) if name != path.name and beside.is_file() else None


def _npz(path: Path, image: str | None, label: str | None) -> ArrayPictures:
    arrays = mapped(path)
    pictures = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    chosen = image if image is not None else pictures[0] if len(pictures) == 1 else None
    if chosen is None or chosen not in arrays:
        held = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        wrong = "one array of pictures is needed" if image is None else f"{image!r} is none of them"
        asked = "" if image is None else near(image, arrays)
        raise BadInput(f"{path} holds {held}; {wrong}. Name it by image=.{asked}")
    array = arrays[chosen]
    if label is not None and label not in arrays:
        raise BadInput(f"{path} has no labels {label!r}; it holds {', '.join(arrays)}.{near(label, arrays)}")  # fmt: skip # noqa: E501
    fits = [n for n, a in arrays.items() if a.shape == array.shape[:1] and a.dtype.kind in "iuU"]
    said = label if label is not None else fits[0] if len(fits) == 1 else None
    name = _stem(path) if len(pictures) == 1 else f"{_stem(path)}-{chosen}"
    return ArrayPictures(array, name, None if said is None else arrays[said])


def mapped(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an NPZ file: mapped where they are stored as they are, else unpacked."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as held, np.load(path) as arrays:
        for entry in held.infolist():
            name = entry.filename.removesuffix(".npy")
            stored = entry.compress_type == zipfile.ZIP_STORED
            found[name] = _stored(path, entry.header_offset) if stored else arrays[name]
    return found


def _stored(path: Path, at: int) -> np.ndarray:
    """An array that lies uncompressed in a ZIP file, whose entry begins at `at`."""
    with path.open("rb") as file:
        file.seek(at + 26)  # behind 30 bytes of header come the name and the extra field
        lengths = np.frombuffer(file.read(4), "<u2")
        file.seek(at + 30 + int(lengths.sum()))
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        order: Literal["F", "C"] = "F" if fortran else "C"
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        if not prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", file.tell(), shape, order)


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _channels(shape: tuple[int, ...]) -> str | None:
    """Where the channels of pictures with four axes are."""
    if len(shape) == 3:
        return None
    return "last" if shape[3] in CHANNELS else "first" if shape[1] in CHANNELS else None
