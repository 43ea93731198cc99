"""Arrays of pictures, and what is said of those that are damaged or no pictures."""

import gzip
import struct

import numpy as np
import pytest

from legenda.corpus.arrays import ArrayPictures, is_array, mapped, open_array, read_idx
from legenda.corpus.pictures import Pictures, from_source
from legenda.errors import BadInput, LegendaError


def values(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx(array, code=8):
    head = struct.pack(">BBBB", 0, 0, code, array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def refused(call, *args, **options):
    with pytest.raises(LegendaError) as caught:
        call(*args, **options)
    assert type(caught.value) is BadInput
    return str(caught.value)


def seen(pictures, i):
    return np.asarray(pictures.open(i))


def is_mapped(array):
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


# ------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 1), (5, 1, 4, 6)])
def test_grey_is_shown_in_three_equal_channels(shape):
    array = values(*shape)
    pictures = ArrayPictures(array)
    assert isinstance(pictures, Pictures) and len(pictures) == 5
    grey = array[3].reshape(4, 6)
    assert np.array_equal(seen(pictures, 3), np.stack([grey] * 3, -1))


def test_colour_may_come_last_or_first():
    array = values(5, 4, 6, 3)
    assert np.array_equal(seen(ArrayPictures(array), 2), array[2])
    assert np.array_equal(seen(ArrayPictures(array.transpose(0, 3, 1, 2)), 2), array[2])


def test_where_both_could_be_channels_the_last_axis_is():
    array = values(2, 3, 8, 3)
    assert np.array_equal(seen(ArrayPictures(array), 1), array[1])


def test_transparency_is_laid_on_white():
    array = np.zeros((1, 2, 2, 4), np.uint8)
    assert (seen(ArrayPictures(array), 0) == 255).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_rounded_to_8_bits(dtype):
    array = values(3, 4, 6, 3)
    assert np.array_equal(seen(ArrayPictures((array / 255).astype(dtype)), 1), array[1])


def test_truth_is_white():
    array = np.array([[[True, False]]])
    assert seen(ArrayPictures(array), 0)[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((4, 6), np.uint8), "x has the shape (4, 6); pictures are (n h w), (n h w c) or "
         "(n c h w) with 1, 3 or 4 channels. Arrange its axes so."),
        (np.zeros((2, 5, 6, 2), np.uint8), "x has the shape (2, 5, 6, 2); pictures are (n h w), "
         "(n h w c) or (n c h w) with 1, 3 or 4 channels. Arrange its axes so."),
        (np.zeros((2, 4, 6), np.int64), "x holds int64; pictures are uint8, or floats from 0 to 1. "
         "Convert it to one of them."),
        (np.zeros((0, 4, 6), np.uint8), "x is empty: its shape is (0, 4, 6). Give pictures."),
    ],
)  # fmt: skip
def test_arrays_that_are_no_pictures(array, why):
    assert refused(ArrayPictures, array, "x") == why


@pytest.mark.parametrize(
    ("value", "shown"), [(255.0, "0 to 255"), (-0.5, "-0.5 to 0"), (np.nan, "nan to nan")]
)
def test_floats_outside_of_0_to_1_are_refused_when_they_are_read(value, shown):
    array = np.zeros((2, 4, 6), np.float32)
    array[1, 0, 0] = value
    pictures = ArrayPictures(array, "x")
    pictures.open(0)
    assert refused(pictures.open, 1) == (
        f"x-000001 has values from {shown}; floats of a picture lie in [0, 1]. Scale the array."
    )


def test_names_do_not_depend_on_how_many_there_are():
    assert ArrayPictures(values(2, 3, 3)).key(1) == ArrayPictures(values(9, 3, 3)).key(1)
    assert refused(ArrayPictures(values(2, 3, 3)).key, 2) == (
        "picture 2 is not there; there are 2, from 0."
    )


def test_the_digest_follows_content_shape_and_type():
    array = values(40, 4, 6)
    other = array.copy()
    other[17, 0, 0] ^= 1
    found = [array, array.copy(), other, array.reshape(40, 6, 4), array[:39]]
    digests = [ArrayPictures(a).digest for a in found]
    assert digests[0] == digests[1] and len(set(digests)) == 4


# ---------------------------------------------------------------------------------- IDX


@pytest.mark.parametrize("name", ["a.idx", "train-images-idx3-ubyte", "a.IDX.gz", "a-ubyte.gz"])
def test_idx_with_labels_beside_it(tmp_path, name):
    array, labels = values(7, 4, 6), np.array([3, 1, 4, 1, 5, 9, 2], np.uint8)
    squeeze = gzip.compress if name.lower().endswith("gz") else bytes
    (tmp_path / name).write_bytes(squeeze(idx(array)))
    beside = name.replace("images", "labels").replace("idx3", "idx1")
    if beside != name:
        (tmp_path / beside).write_bytes(squeeze(idx(labels)))
    pictures = from_source(tmp_path / name)
    assert isinstance(pictures, ArrayPictures)
    assert np.array_equal(seen(pictures, 6)[..., 1], array[6])
    assert pictures.label(5) == ("9" if beside != name else None)
    assert is_mapped(pictures.array) == (not name.lower().endswith("gz"))


@pytest.mark.parametrize(("code", "dtype"), [(13, ">f4"), (14, ">f8")])
def test_idx_of_floats(tmp_path, code, dtype):
    array = values(2, 4, 6)
    (tmp_path / "a.idx").write_bytes(idx((array / 255).astype(dtype), code))
    assert np.array_equal(seen(open_array(tmp_path / "a.idx"), 1)[..., 0], array[1])


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda b: b[:-1], "{} promises 7 × 4 × 6 values in 168 bytes and has 167. It is cut short "
         "or damaged; copy or export it again."),
        (lambda b: b + b"!", "{} promises 7 × 4 × 6 values in 168 bytes and has more. It is cut "
         "short or damaged; copy or export it again."),
        (lambda b: b"PNG!" + b[4:], "{} is no IDX file: it begins with b'PNG!'. Copy or export it "
         "again."),
        (lambda b: b"", "{} is no IDX file: it begins with b''. Copy or export it again."),
        (lambda b: b[:9], "{} has a damaged header of IDX. Copy or export it again."),
        (lambda b: b[:4] + b"\xff" * 12, "{} has a damaged header of IDX. Copy or export it "
         "again."),
    ],
)  # fmt: skip
def test_damaged_idx(tmp_path, damage, why, squeeze):
    path = tmp_path / ("a.idx.gz" if squeeze is gzip.compress else "a.idx")
    path.write_bytes(squeeze(damage(idx(values(7, 4, 6)))))
    assert refused(open_array, path) == why.format(path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "a.idx.gz"
    path.write_bytes(gzip.compress(idx(values(7, 4, 6)))[:-12])
    assert refused(open_array, path) == (
        f"{path} cannot be read as an array (Compressed file ended before the end-of-stream marker "
        "was reached). Copy or export it again."
    )
    path.write_bytes(b"no gzip")
    assert refused(open_array, path) == (
        f"{path} cannot be read as an array (Not a gzipped file (b'no')). Copy or export it again."
    )


def test_labels_that_do_not_fit(tmp_path):
    path = tmp_path / "a-images-idx3-ubyte"
    path.write_bytes(idx(values(7, 4, 6)))
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx(values(6)))
    assert refused(open_array, path) == (
        "a-images-idx3-ubyte has 7 pictures and 6 labels; each picture needs one. "
        "Leave the labels out, or give all."
    )


def test_read_idx_gives_what_was_written(tmp_path):
    array = (np.arange(24).reshape(2, 3, 4) - 9).astype(">i4")
    (tmp_path / "a.idx").write_bytes(idx(array, 12))
    assert np.array_equal(read_idx(tmp_path / "a.idx"), array)


# -------------------------------------------------------------------------- NPY and NPZ


def test_npy_is_mapped(tmp_path):
    array = values(3, 4, 6, 3)
    np.save(tmp_path / "a.npy", array)
    pictures = from_source(tmp_path / "a.npy")
    assert is_mapped(pictures.array) and np.array_equal(seen(pictures, 2), array[2])
    assert pictures.key(2) == "a-000002" and pictures.label(2) is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_is_mapped_where_it_is_not_compressed(tmp_path, save, order):
    array = np.asarray(values(3, 4, 6, 3), order=order)
    save(tmp_path / "a.npz", noise=values(9), x=array, y=np.array([7, 8, 9]))
    pictures = open_array(tmp_path / "a.npz")
    assert is_mapped(pictures.array) == (save is np.savez)
    assert np.array_equal(seen(pictures, 1), array[1])
    assert [pictures.label(i) for i in range(3)] == ["7", "8", "9"]
    assert pictures.digest == ArrayPictures(array).digest


def test_all_arrays_of_an_npz_come_as_they_were_saved(tmp_path):
    held = {"a": values(3, 4), "b": np.float64(3.5), "c": np.zeros((0, 2)), "d": np.array(["x"])}
    np.savez(tmp_path / "a.npz", **held)
    found = mapped(tmp_path / "a.npz")
    assert list(found) == list(held)
    assert all(np.array_equal(found[name], held[name]) for name in held)


def test_an_npz_of_several_pictures_is_asked_which(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=values(3, 4, 6), x_test=values(2, 4, 6), y_train=values(3))
    assert refused(open_array, path) == (
        f"{path} holds x_train (3, 4, 6), x_test (2, 4, 6), y_train (3,); one array of pictures "
        "is needed. Name it by image=."
    )
    assert refused(open_array, path, "x_tset") == (
        f"{path} holds x_train (3, 4, 6), x_test (2, 4, 6), y_train (3,); 'x_tset' is none of "
        "them. Name it by image=. Did you mean 'x_test'?"
    )
    assert refused(open_array, path, "x_train", "y") == (
        f"{path} has no labels 'y'; it holds x_train, x_test, y_train."
    )
    found = from_source(path, image="x_train", label="y_train")
    assert found.key(0) == "a-x_train-000000" and found.label(0) == str(values(3)[0])


def test_damaged_npz_and_npy_and_python_objects(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=values(9, 40, 40))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: len(data) // 2])
    assert refused(open_array, tmp_path / "a.npz") == (
        f"{tmp_path}/a.npz cannot be read as an array (File is not a zip file). "
        "Copy or export it again."
    )
    np.save(tmp_path / "a.npy", values(9, 40, 40))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[: len(data) // 2])
    assert refused(open_array, tmp_path / "a.npy").startswith(
        f"{tmp_path}/a.npy cannot be read as an array ("
    )
    objects = np.array([{1: 2}], dtype=object)
    np.savez(tmp_path / "b.npz", x=objects)
    np.save(tmp_path / "b.npy", objects)
    assert refused(open_array, tmp_path / "b.npz") == (
        f"{tmp_path}/b.npz cannot be read as an array (it holds Python objects). "
        "Copy or export it again."
    )
    assert "cannot be read as an array (" in refused(open_array, tmp_path / "b.npy")


def test_a_flipped_byte_in_the_middle_of_a_compressed_npz(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=values(9, 40, 40))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(data)
    assert refused(open_array, tmp_path / "a.npz").startswith(
        f"{tmp_path}/a.npz cannot be read as an array ("
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.idx", True), ("A.IDX.GZ", True), ("x-ubyte", True), ("a.npz", True), ("a.png", False)],
)
def test_arrays_are_known_by_their_names(tmp_path, name, known):
    assert is_array(tmp_path / name) is known
