"""Pictures wherever they lie, and what is said of those that cannot be used."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from legenda.corpus.arrays import ArrayPictures
from legenda.corpus.image_files import Files
from legenda.corpus.pictures import Pictures, Subset, from_source, split
from legenda.errors import BadInput, LegendaError, Missing


def colour(seed=0, w=6, h=4):
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def saved(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour(seed).save(path)
    return path


def classes(root, count=3):
    for c, name in enumerate(("boat", "tree")):
        for i in range(count):
            saved(root / name / f"{i}.png", 10 * c + i)
    return root


def refused(error, call, *args, **options):
    with pytest.raises(LegendaError) as caught:
        call(*args, **options)
    assert type(caught.value) is error
    return str(caught.value)


def keys(pictures):
    return [pictures.key(i) for i in range(len(pictures))]


def labels(pictures):
    return [pictures.label(i) for i in range(len(pictures))]


# ------------------------------------------------------------------------------- folders


def test_a_folder_is_read_in_natural_order_and_nothing_before_it_is_asked_for(tmp_path):
    for i in (10, 2, 1):
        saved(tmp_path / f"{i}.png", i)
    (tmp_path / "3.png").write_bytes(b"no picture")
    pictures = from_source(tmp_path)
    assert isinstance(pictures, Pictures)
    assert keys(pictures) == ["1.png", "2.png", "3.png", "10.png"]
    assert labels(pictures) == [None] * 4
    assert np.array_equal(pictures.open(3), colour(10))
    assert refused(BadInput, pictures.open, 2) == (
        f"{tmp_path}/3.png is not an image that legenda reads (AVIF, BMP, GIF, JPEG, JPEG2000, "
        "PNG, PPM, TIFF, WEBP), or its header is broken. Save it as PNG or JPEG."
    )
    assert refused(BadInput, pictures.open, 4) == "picture 4 is not there; there are 4, from 0."
    assert refused(BadInput, pictures.key, -1) == "picture -1 is not there; there are 4, from 0."


def test_folders_of_classes_are_labels_if_all_images_lie_equally_deep(tmp_path):
    pictures = from_source(classes(tmp_path))
    assert labels(pictures) == ["boat"] * 3 + ["tree"] * 3
    assert pictures.key(3) == "tree/0.png"
    saved(tmp_path / "cover.png")
    assert labels(from_source(tmp_path)) == [None] * 7
    assert labels(from_source(tmp_path / "tree")) == [None] * 3


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_labels_the_images_it_names(tmp_path, suffix):
    classes(tmp_path / "train")
    rows = [("boat/0.png", "dinghy"), ("tree/2.png", "oak")]
    lines = {
        "csv": ["file_name,label", *(f"{a},{b}" for a, b in rows)],
        "jsonl": [json.dumps({"file_name": a, "label": b}) for a, b in rows],
    }
    (tmp_path / "train" / f"metadata.{suffix}").write_text("\n".join(lines[suffix]))
    for root in (tmp_path, tmp_path / "train"):
        assert labels(from_source(root)) == ["dinghy", None, None, None, None, "oak"]


def test_metadata_without_labels_leaves_those_of_the_folders(tmp_path):
    classes(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,note\nboat/0.png,wet\n")
    (tmp_path / "state.json").write_text("{}")  # of somebody else
    assert labels(from_source(tmp_path)) == ["boat"] * 3 + ["tree"] * 3


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_in_each_folder_tell_pictures_of_one_name_apart(tmp_path, suffix):
    for home, label in (("boat", "dinghy"), ("tree", "oak")):
        saved(tmp_path / home / "0.png", len(home + label))
        said = {
            "csv": f"file_name,label\n0.png,{label}\n",
            "jsonl": json.dumps({"file_name": "0.png", "label": label}),
        }
        table(tmp_path / home / f"metadata.{suffix}", said[suffix])
    (tmp_path / "tree" / "1.png").write_bytes((tmp_path / "tree" / "0.png").read_bytes()[:60])
    pictures = from_source(tmp_path)
    assert keys(pictures) == ["boat/0.png", "tree/0.png", "tree/1.png"]
    assert labels(pictures) == ["dinghy", "oak", None]
    assert np.array_equal(pictures.open(0), colour(10))
    assert np.array_equal(pictures.open(1), colour(7))
    said = refused(BadInput, pictures.open, 2)
    assert said.startswith(f"{tmp_path}/tree/1.png cannot be decoded (")
    assert said.endswith("). It is corrupt or cut short; copy or export it again.")


def test_metadata_that_names_what_is_not_there(tmp_path):
    saved(tmp_path / "1.png")
    (tmp_path / "metadata.csv").write_text("file_name,label\n1.pgn,a\n")
    assert refused(Missing, from_source, tmp_path) == (
        f"{tmp_path}/metadata.csv names an image that is not there: {tmp_path}/1.pgn (line 2). "
        "Did you mean '1.png'?"
    )


def test_an_empty_folder_and_an_absent_one(tmp_path):
    assert refused(BadInput, from_source, tmp_path) == (
        f"{tmp_path} has no images; a file ending in one of .avif, .bmp, .gif, .j2k, .jp2, .jpe, "
        ".jpeg, .jpg, .pbm, .pgm, .png, .pnm, .ppm, .tif, .tiff, .webp is needed."
    )
    saved(tmp_path / "photos" / "1.png")
    assert refused(Missing, from_source, tmp_path / "photo") == (
        f"source of pictures {tmp_path}/photo is not there. Did you mean 'photos'?"
    )


def test_one_image_is_a_corpus(tmp_path):
    pictures = from_source(saved(tmp_path / "1.png", 3))
    assert keys(pictures) == ["1.png"] and np.array_equal(pictures.open(0), colour(3))


def test_an_unknown_suffix_and_an_unknown_thing(tmp_path):
    (tmp_path / "a.npx").write_bytes(b"")
    assert refused(BadInput, from_source, tmp_path / "a.npx") == (
        f"{tmp_path}/a.npx ends in '.npx'; pictures come from a folder, an image, a table (.csv, "
        ".tsv, .jsonl), an array (.idx, -ubyte, .npy, .npz) or .parquet. Did you mean '.npz' or "
        "'.npy' or '.ppm'?"
    )
    assert refused(BadInput, from_source, 7) == (
        "pictures come from a path, an array or a data set; got int."
    )


def test_pictures_and_arrays_are_taken_as_they_are():
    array = ArrayPictures(np.zeros((2, 3, 3), np.uint8))
    assert from_source(array) is array
    assert len(from_source(np.zeros((5, 3, 3), np.uint8))) == 5


# -------------------------------------------------------------------------------- tables


def table(path, text):
    path.write_text(text)
    return path


def test_a_table_names_images_beside_it_or_elsewhere(tmp_path):
    saved(tmp_path / "here" / "a.png", 1)
    saved(tmp_path / "there" / "b.png", 2)
    path = table(tmp_path / "here" / "t.tsv", "Image\tlabel\na.png\tx\n\n../there/b.png\ty\n")
    pictures = from_source(path)
    assert keys(pictures) == ["a.png", "up/there/b.png"] and labels(pictures) == ["x", "y"]
    assert np.array_equal(pictures.open(1), colour(2))


def test_columns_can_be_named_and_labels_left_out(tmp_path):
    saved(tmp_path / "a.png")
    path = table(tmp_path / "t.csv", "photo,kind,note\na.png,3,hm\n")
    assert labels(from_source(path, image="photo", label="kind")) == ["3"]
    assert labels(from_source(path, image="Photo")) == [None]
    assert refused(BadInput, from_source, path) == (
        f"{path} needs the column image (or file_name, filename, file, path); its first line is "
        "'photo', 'kind', 'note'. Add a header."
    )
    assert refused(BadInput, from_source, path, image="photos") == (
        f"{path} needs the column photos; its first line is 'photo', 'kind', 'note'. "
        "Did you mean 'photo'?"
    )
    assert refused(BadInput, from_source, path, image="photo", label="kinds") == (
        f"{path} needs the columns photo and kinds; its first line is 'photo', 'kind', 'note'. "
        "Did you mean 'kind'?"
    )


def test_lists_say_which_line_is_bad(tmp_path):
    saved(tmp_path / "a.png")
    path = table(tmp_path / "t.jsonl", '{"image": "a.png"}\n{"image": 3}\nno\n')
    assert refused(BadInput, from_source, path) == (
        f"line 2 of {path}: an image must be a path; got 3. Name an image file. Bad too: line 3."
    )
    path = table(tmp_path / "u.jsonl", '{"imgae": "a.png", "kind": null}\n')
    assert refused(BadInput, from_source, path) == (
        f"line 1 of {path}: an image is missing; got imgae, kind. Did you mean 'imgae'?"
    )
    assert refused(BadInput, from_source, path, image="photo") == (
        f"line 1 of {path}: an image is missing; got imgae, kind. Add one."
    )
    assert labels(from_source(path, image="imgae", label="kind")) == [None]


def test_of_several_columns_for_the_image_the_first_usual_one_counts(tmp_path):
    saved(tmp_path / "a.png")
    path = table(tmp_path / "t.csv", "path,file_name,label\n/elsewhere/b.png,a.png,\n")
    pictures = from_source(path)
    assert keys(pictures) == ["a.png"] and labels(pictures) == [None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image,label\na.png\n", "line 2 of {}: the header has 2 columns and this line 1; a text "
         "with the separator in it needs quotes around it."),
        ('image\n"a.png\n', "line 2 of {} cannot be read as a table (unexpected end of data). Mend "
         "its quotes."),
        ("image,label\n\n\n", "{} has no pictures. Add a line with an image."),
        ("", "{} is empty. Add a line with an image."),
        ("file_name;x\na.png;y\n", "{} has semicolons between its columns; a .csv has commas. Save "
         "it again with commas."),
        ("file_name,file_name\na.png,b.png\n", "{} has 2 columns for the image: file_name, "
         "file_name. Keep one of them, or rename the others."),
        ("image,label\na.png,x\na.png,y\n", "{} names {folder}/a.png twice: 'x' on line 2, 'y' on "
         "line 3. Leave one out."),
        ("image\nb.png\n", "{} names an image that is not there: {folder}/b.png (line 2). "
         "Did you mean 'a.png'?"),
    ],
)  # fmt: skip
def test_bad_tables(tmp_path, text, why):
    saved(tmp_path / "a.png")
    path = table(tmp_path / "t.csv", text)
    with pytest.raises(LegendaError) as caught:
        from_source(path)
    assert str(caught.value) == why.format(path, folder=tmp_path)


def test_a_table_in_another_encoding(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"image\nstra\xdfe.png\n")
    assert refused(BadInput, from_source, path) == (
        f"line 2 of {path} is not UTF-8 (byte 0xdf). Save the file as UTF-8."
    )


def test_an_image_on_two_lines_that_agree_is_there_once(tmp_path):
    saved(tmp_path / "a.png")
    path = table(tmp_path / "t.csv", "image,label\na.png,x\n./a.png,x\n")
    assert keys(from_source(path)) == ["a.png"]


def test_two_files_of_one_name_are_refused(tmp_path):
    a, b = saved(tmp_path / "up" / "a.png"), saved(tmp_path / "a.png")
    root = tmp_path / "deep"
    assert keys(Files(root, (a, b))) == ["up/up/a.png", "up/a.png"]
    inside = saved(root / "up" / "a.png")
    assert refused(BadInput, Files, root, (inside, b)) == (
        f"{inside} and {b} would both be called 'up/a.png'. Rename one of them."
    )


# ------------------------------------------------------------------------------ identity


def test_the_digest_follows_names_sizes_and_content_but_not_place_or_time(tmp_path):
    one, other = classes(tmp_path / "one"), classes(tmp_path / "two")
    same = from_source(one).digest
    assert from_source(other).digest == same
    (one / "boat" / "0.png").touch()
    assert from_source(one).digest == same
    path = other / "boat" / "0.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert from_source(other).digest != same
    (one / "boat" / "0.png").rename(one / "boat" / "9.png")
    assert from_source(one).digest != same
    saved(one / "boat" / "0.png")
    assert from_source(one).digest != same


def test_the_digest_of_a_subset_follows_its_numbers(tmp_path):
    whole = from_source(classes(tmp_path))
    found = {Subset(whole, numbers).digest for numbers in ([0, 1], [1, 0], [0, 2], [0])}
    assert len(found | {whole.digest}) == 5


# -------------------------------------------------------------------------------- subsets


def test_a_subset_keeps_names_labels_and_pictures(tmp_path):
    whole = from_source(classes(tmp_path))
    some = Subset(whole, [4, 0])
    assert isinstance(some, Pictures)
    assert keys(some) == ["tree/1.png", "boat/0.png"] and labels(some) == ["tree", "boat"]
    assert np.array_equal(some.open(0), whole.open(4))
    assert refused(BadInput, some.open, 2) == "picture 2 is not there; there are 2, from 0."
    assert refused(BadInput, Subset, whole, [6]) == "picture 6 is not there; there are 6, from 0."
    assert refused(BadInput, Subset, whole, [1, 1]) == (
        "a subset has each picture once; it got some twice. Leave them out."
    )


def numbered(count):
    return ArrayPictures(np.zeros((count, 2, 2), np.uint8), "numbered")


def test_a_split_is_a_partition_of_about_the_share_asked_for():
    kept, out = split(numbered(2000), 0.2, seed=3)
    assert sorted([*kept.indices, *out.indices]) == list(range(2000))
    assert 340 < len(out) < 460  # 400, give or take 3.4 standard deviations
    assert split(numbered(2000), 0.2, seed=3)[1].indices == out.indices
    assert split(numbered(2000), 0.2, seed=4)[1].indices != out.indices


def test_images_that_are_added_later_move_no_other():
    few, more = split(numbered(300), 0.3)[1].indices, split(numbered(900), 0.3)[1].indices
    assert few == [i for i in more if i < 300]


def test_a_larger_share_holds_out_more_and_no_other():
    less, more = split(numbered(300), 0.1)[1].indices, split(numbered(300), 0.4)[1].indices
    assert set(less) < set(more)
    assert split(numbered(9), 0.0)[1].indices == [] and len(split(numbered(9), 1.0)[1]) == 9
    assert refused(BadInput, split, numbered(9), 1.5) == (
        "a share of images lies between 0 and 1; it got 1.5."
    )


# ---------------------------------------------------------------------- Hugging Face


class Feature:
    def __init__(self, names=None):
        self.names = names


class ImageFeature:
    """Stands for `datasets.Image`."""

    def __init__(self, decode=True):
        self.decode = decode


ImageFeature.__name__ = "Image"


class Rows:
    """Stands for an opened data set: as much of its surface as is used."""

    split = "train"

    def __init__(self, columns, features):
        self.columns, self.features = columns, features
        self.column_names = list(columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, i):
        return {name: values[i] for name, values in self.columns.items()}

    def select_columns(self, names):
        return Rows({n: self.columns[n] for n in names}, {n: self.features[n] for n in names})

    def cast_column(self, name, feature):
        assert feature.decode is False  # bytes are decoded by us
        return self


def rows_of(tmp_path, **more):
    data = [saved(tmp_path / f"{i}.png", i).read_bytes() for i in range(3)]
    cells = [{"bytes": data[0], "path": None}, {"bytes": None, "path": str(tmp_path / "1.png")}]
    columns = {"id": [1, 2, 3], "photo": [*cells, {"bytes": b"damaged", "path": "x"}], **more}
    features = {name: Feature() for name in columns} | {"photo": ImageFeature()}
    return Rows(columns, features)


def test_an_opened_data_set_gives_stored_bytes_and_names_of_classes(tmp_path):
    rows = rows_of(tmp_path, label=[1, -1, 0])
    rows.features["label"] = Feature(["boat", "tree"])
    pictures = from_source(rows)
    assert keys(pictures) == ["train-000000", "train-000001", "train-000002"]
    assert labels(pictures) == ["tree", None, "boat"]
    assert np.array_equal(pictures.open(0), colour(0))
    assert np.array_equal(pictures.open(1), colour(1))
    assert refused(BadInput, pictures.open, 2) == (
        "train-000002 is not an image that legenda reads (AVIF, BMP, GIF, JPEG, JPEG2000, PNG, "
        "PPM, TIFF, WEBP), or its header is broken. Save it as PNG or JPEG."
    )
    assert pictures.digest == from_source(rows).digest
    rows.columns["photo"][2]["bytes"] += b"!"
    assert from_source(rows).digest != pictures.digest


def test_cells_are_guarded_like_files(tmp_path):
    rows = rows_of(tmp_path)
    rows.columns["photo"][1] = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    pictures = from_source(rows, limit=23)
    assert refused(BadInput, pictures.open, 0) == (
        "train-000000 has 0 megapixels; at most 0 are opened. "
        "Make it smaller first (in Python, `limit=` can be raised)."
    )
    assert refused(BadInput, pictures.open, 1) == (
        "train-000001 has pixels that are NaN or infinite; grey needs finite values."
    )


def test_a_data_set_of_several_parts(tmp_path):
    rows = rows_of(tmp_path)

    class Parts(dict):
        column_names, cast_column = (), None

    parts = Parts(train=rows, test=rows)
    assert keys(from_source(parts, split="test"))[0] == "set-test-000000"
    assert keys(from_source(Parts(train=rows)))[0] == "set-train-000000"
    assert refused(BadInput, from_source, parts) == (
        "the data set has the parts train, test; name one by split=."
    )
    assert refused(BadInput, from_source, parts, split="tset") == (
        "the data set has the parts train, test; name one by split=. 'tset' is none of them. "
        "Did you mean 'test'?"
    )


def test_columns_of_a_data_set_that_are_not_there(tmp_path):
    rows = rows_of(tmp_path)
    assert refused(BadInput, from_source, rows, image="fotos") == (
        "a column of images is needed; there are id, photo. Name it by image=. "
        "Did you mean 'photo'?"
    )
    assert refused(BadInput, from_source, rows, label="what") == (
        "there is no column 'what' for labels, but id, photo."
    )
    assert refused(BadInput, from_source(rows, image="id").open, 0) == (
        "train-000000 holds int, no image. Name the column of images."
    )


def test_a_data_set_that_streams():
    class Stream:
        column_names, cast_column = (), None

    assert refused(BadInput, from_source, Stream()) == (
        "a data set that streams has no numbered rows. Load it, or save it to disk first."
    )


def test_without_the_extra_packages_the_way_to_get_them_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert refused(Missing, from_source, tmp_path) == (
        "A saved data set needs the package datasets, which is not installed. "
        "Run: pip install 'legenda[data]'"
    )
    assert refused(Missing, from_source, tmp_path / "a.parquet") == (
        "A parquet file needs the package pyarrow, which is not installed. "
        "Run: pip install 'legenda[data]'"
    )


def test_parquet_files_are_read_by_groups(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = [saved(tmp_path / "png" / f"{i}.png", i).read_bytes() for i in range(7)]
    for part, chosen in (("train-0", [0, 1, 2, 3, 4]), ("train-1", [5]), ("test-0", [6])):
        cells = [{"bytes": data[i], "path": f"{i}.png"} for i in chosen]
        facts = {"info": {"features": {"label": {"names": ["boat", "tree"]}}}}
        held = arrow.table({"image": cells, "label": [i % 2 for i in chosen]})
        held = held.replace_schema_metadata({"huggingface": json.dumps(facts)})
        (tmp_path / "set" / "data").mkdir(parents=True, exist_ok=True)
        parquet.write_table(held, tmp_path / "set" / "data" / f"{part}.parquet", row_group_size=2)
    pictures = from_source(tmp_path / "set", split="train")
    assert keys(pictures)[5] == "train-000005"
    assert labels(pictures) == ["boat", "tree"] * 3
    for i in (5, 0, 3, 4):
        assert np.array_equal(pictures.open(i), colour(i))
    assert refused(BadInput, from_source, tmp_path / "set") == (
        "the data set has the parts test, train; name one by split=."
    )
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    assert refused(BadInput, from_source, broken).startswith(f"{broken} is no parquet file (")


def test_a_data_set_on_disk_and_in_memory(tmp_path):
    datasets = pytest.importorskip("datasets")
    classes(tmp_path / "images")
    opened = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "images"), cache_dir=str(tmp_path / "cache")
    )
    opened.save_to_disk(str(tmp_path / "saved"))
    files = from_source(tmp_path / "images")
    for where in (opened["train"], opened, tmp_path / "saved"):
        pictures = from_source(where)
        assert labels(pictures) == ["boat"] * 3 + ["tree"] * 3
        assert all(np.array_equal(pictures.open(i), files.open(i)) for i in range(6))
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("state.json", "dataset_info.json"):
        (broken / name).write_text("{")
    assert refused(BadInput, from_source, broken).startswith(f"{broken} cannot be opened as a data")
