import json

import pytest
from PIL import Image

from legenda.corpus.labels import Labelled, name_of, read_labels
from legenda.errors import BadInput, Missing


@pytest.fixture
def folder(tmp_path):
    """Five cats and five dogs, the dogs in a folder of their own."""
    (tmp_path / "pictures" / "dogs").mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (2, 2)).save(tmp_path / "pictures" / name)
    return tmp_path / "pictures"


NAMES = [f"{n}.png" for n in range(1, 6)] + [f"dogs/{n}.png" for n in range(1, 6)]
ROWS = [(name, "dog" if "dogs" in name else "cat") for name in NAMES]


def written(path, rows=ROWS, header="image,label"):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", "utf-8")
    return path


def refusal(*given, error=BadInput, **options):
    with pytest.raises(error) as caught:
        read_labels(*given, **options)
    assert type(caught.value) is error
    return str(caught.value)


def test_names_inside_the_folder_and_paths_beside_the_file_say_the_same(folder):
    inside = written(folder.parent / "inside.csv")
    beside = written(folder.parent / "beside.csv", [(f"pictures/{n}", c) for n, c in ROWS])
    found = read_labels(inside, folder)
    assert found.images == read_labels(beside, folder).images == read_labels(beside).images
    assert found.images[0] == Labelled(folder / "1.png", "cat", 2)
    assert [one.label for one in found.images] == ["cat"] * 5 + ["dog"] * 5
    assert (found.classes, found.numbers) == (("cat", "dog"), [0] * 5 + [1] * 5)
    assert found.counts == {"cat": 5, "dog": 5} and len(found) == 10


@pytest.mark.parametrize("name", ["label", "Concept", "GROUP", " class "])
def test_a_label_goes_by_four_names(folder, name):
    path = written(folder.parent / "l.csv", header=f"Image,{name}")
    assert read_labels(path, folder).classes == ("cat", "dog")


def test_a_column_can_be_named_and_the_others_are_kept(folder):
    rows = [(*row, "training" if i % 2 else "test") for i, row in enumerate(ROWS)]
    path = written(folder.parent / "l.csv", rows, "image,label,Part")
    assert read_labels(path, folder).images[1].more == {"part": "training"}
    by_part = read_labels(path, folder, column="Part")
    assert by_part.classes == ("test", "training")
    assert by_part.images[1].more == {"label": "cat"}


def test_a_list_of_records_with_numbers_for_names(folder):
    path = folder.parent / "l.jsonl"
    records = [{"image": n, "class": int(c == "dog"), "box": [1, 2]} for n, c in ROWS]
    path.write_text("\n".join(map(json.dumps, records)), "utf-8")
    found = read_labels(path, folder)
    assert found.classes == ("0", "1") and found.images[0].more == {"box": [1, 2]}


def test_the_order_of_lines_is_no_matter_and_a_line_may_be_there_twice(folder):
    path = written(folder.parent / "l.csv", [*reversed(ROWS), ROWS[0]])
    assert [one.image for one in read_labels(path, folder).images] == [folder / n for n in NAMES]
    assert len(read_labels(written(folder / "l.csv", [*ROWS, ROWS[0]]))) == 10


def test_images_without_a_label_are_counted(folder):
    path = written(folder.parent / "l.csv", ROWS[:-1])
    assert refusal(path, folder) == (
        f"{path} has no label for 1 image in {folder}: {folder}/dogs/5.png. "
        "Label them, or move them elsewhere."
    )
    path = written(folder.parent / "l.csv", ROWS[:5])
    first = ", ".join(f"{folder}/dogs/{n}.png" for n in (1, 2, 3))
    assert refusal(path, folder) == (
        f"{path} has no label for 5 images in {folder}: {first} and 2 more. "
        "Label them, or move them elsewhere."
    )


def test_labels_of_images_that_are_not_there_are_counted(folder):
    path = written(folder.parent / "l.csv", [*ROWS, ("6.png", "cat")])
    assert refusal(path, folder, error=Missing) == (
        f"{path} names an image that is not in {folder}: {folder}/6.png (line 12). "
        "Did you mean '5.png' or '4.png' or '3.png'?"
    )
    path = written(folder / "l.csv", [*ROWS, *((f"{'x' * n}.png", "cat") for n in (9, 10, 11, 12))])
    first = ", ".join(f"{folder}/{'x' * n}.png (line {n + 3})" for n in (9, 10, 11))
    assert refusal(path, error=Missing) == (
        f"{path} names 4 images that are not there: {first} and 1 more. "
        "Mend the paths, or leave the lines out."
    )


def test_an_image_elsewhere_is_not_in_the_folder(folder):
    Image.new("RGB", (2, 2)).save(folder.parent / "out.png")
    path = written(folder.parent / "l.csv", [*ROWS, ("out.png", "cat")])
    assert refusal(path, folder, error=Missing) == (
        f"{path} names an image that is not in {folder}: {folder.parent}/out.png (line 12). "
        "Mend the paths, or leave the lines out."
    )


def test_one_class_only_is_refused(folder):
    path = written(folder.parent / "l.csv", [(name, "cat") for name in NAMES])
    assert refusal(path, folder) == (
        f"{path} names one class only, 'cat'; what belongs to a class is told from what belongs "
        "to others. Add images of another class."
    )


def test_a_small_class_is_refused_with_its_number(folder):
    rows = [(n, "dog" if i > 6 else "Cat" if i < 2 else "cat") for i, n in enumerate(NAMES)]
    path = written(folder.parent / "l.csv", rows)
    assert refusal(path, folder) == (
        f"every class in {path} needs 5 images or more; 'Cat' has 2, 'dog' has 3. "
        "Add images, or leave the class out."
    )
    assert read_labels(path, folder, least=2).counts == {"Cat": 2, "cat": 5, "dog": 3}


def test_what_is_left_has_to_be_enough(folder):
    found = read_labels(written(folder.parent / "l.csv"), folder)
    with pytest.raises(BadInput) as caught:
        found.without({folder / "dogs/3.png"})
    assert "'dog' has 4. " in str(caught.value)
    with pytest.raises(BadInput) as caught:
        found.without({one.image for one in found.images})
    assert str(caught.value) == (
        f"{found.source} names no class; what belongs to a class is told from what belongs to "
        "others. Add images of another class."
    )


def test_two_labels_of_one_image_are_refused(folder):
    path = written(folder.parent / "l.csv", [*ROWS, ("dogs/../1.png", "dog")])
    assert refusal(path, folder) == (
        f"{path} labels {folder}/dogs/../1.png twice: 'cat' on line 2, 'dog' on line 12. "
        "Leave one out."
    )


@pytest.mark.parametrize(
    ("header", "column", "message"),
    [
        (
            "image,lable", None,
            "needs the columns image and label (or concept, group, class); its first line is "
            "'image', 'lable'. Did you mean 'lable'?",
        ),
        (
            "file,x", None,
            "needs the columns image and label (or concept, group, class); its first line is "
            "'file', 'x'. Add a header.",
        ),
        (
            "image,colour", "color",
            "needs the columns image and color; its first line is 'image', 'colour'. "
            "Did you mean 'colour'?",
        ),
        (
            "images,label", None,
            "needs the columns image and label (or concept, group, class); its first line is "
            "'images', 'label'. Did you mean 'images'?",
        ),
    ],
)  # fmt: skip
def test_a_missing_column_suggests_near_ones(folder, header, column, message):
    path = written(folder.parent / "l.csv", header=header)
    assert refusal(path, folder, column=column) == f"{path} {message}"


def test_two_columns_of_labels_are_one_too_many(folder):
    rows = [(*row, "x") for row in ROWS]
    path = written(folder.parent / "l.csv", rows, "image,label,group")
    assert refusal(path, folder) == (
        f"{path} has 2 columns for the label: label, group. Keep one of them, or rename the others."
    )
    assert read_labels(path, folder, column="label").images[0].more == {"group": "x"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"image": "1.png", "lable": "cat"}', "a label is missing; got image, lable. Did you mean 'lable'?"),  # noqa: E501
        ('{"image": "1.png"}', "a label is missing; got image. Add one."),
        ('{"image": "1.png", "label": 1.5}', "a label must be a word or a whole number; got 1.5. Put it in quotes."),  # noqa: E501
        ('{"image": "1.png", "label": true}', "a label must be a word or a whole number; got True. Put it in quotes."),  # noqa: E501
        ('{"image": "1.png", "label": " "}', "a label must say something; got an empty one. Write one, or leave the line out."),  # noqa: E501
        ('{"image": 1, "label": "cat"}', "an image must be a path; got 1. Name an image file."),
        ('{"image": "1.png", "label": "a", "class": "b"}', "one label is needed; got both label and class. Leave one out."),  # noqa: E501
    ],
)  # fmt: skip
def test_a_bad_line_gets_its_sentence(folder, line, message):
    path = folder.parent / "l.jsonl"
    path.write_text(line, "utf-8")
    assert refusal(path, folder) == f"line 1 of {path}: {message}"


def test_an_empty_file_an_empty_folder_and_no_file(folder, tmp_path):
    path = folder.parent / "l.csv"
    path.write_text(" ", "utf-8")
    assert refusal(path, folder) == f"{path} is empty. Add a line with an image and a label."
    written(path, [])
    assert refusal(path, folder) == f"{path} has no labels. Add a line with an image and a label."
    assert refusal(folder.parent / "m.csv", error=Missing) == (
        f"file of labels {folder.parent / 'm.csv'} is not there. Did you mean 'l.csv'?"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(path, tmp_path / "empty").startswith(f"{tmp_path / 'empty'} has no images; ")


def test_a_name_that_is_no_path(folder):
    path = written(folder.parent / "l.csv", [*ROWS, ("\0", "cat"), ("x" * 300, "cat")])
    assert refusal(path, folder, error=Missing).startswith(f"{path} names 2 images that are not in")


def test_half_a_character_is_no_name():
    with pytest.raises(BadInput) as caught:
        name_of("\ud800")
    want = "a label must be valid Unicode; got '\\ud800', half a character."
    assert str(caught.value) == want
