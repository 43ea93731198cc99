import json

import pytest
from PIL import Image

from legenda.corpus.pairs import Pair, checked_text, pairs_of, read_pairs
from legenda.errors import BadInput, Missing


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("cat.png", "sub/dog.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def write(folder):
    def write(name, content):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path, error=BadInput):
    with pytest.raises(error) as caught:
        read_pairs(path)
    assert type(caught.value) is error
    return str(caught.value)


def test_a_table_with_everything_a_spreadsheet_does(folder, write):
    path = write(
        "pairs.csv",
        '\ufeffID,Image , CAPTION\r\n1,cat.png," a cat, ""asleep"""\r\n\r\n'
        '2,sub/dog.png,"two\nlines\u2028é"\r\n3,cat.png,last\r\n',
    )
    assert read_pairs(path) == [
        Pair(folder / "cat.png", 'a cat, "asleep"', 2),
        Pair(folder / "sub/dog.png", "two\nlines\u2028é", 4),
        Pair(folder / "cat.png", "last", 6),
    ]


def test_tabs_and_an_absolute_path(folder, write):
    path = write("pairs.TSV", f"text\timage\na cat, asleep\t{folder / 'cat.png'}\n")
    assert read_pairs(path) == [Pair(folder / "cat.png", "a cat, asleep", 2)]


def test_a_list_of_records(folder, write):
    records = [{"image": "cat.png", "text": "a cat", "more": [1]}, {"image": "sub/dog.png"}]
    records[1]["caption"] = "a dog\u2028"
    lines = "\n\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    path = write("pairs.jsonl", "\ufeff" + lines)
    assert read_pairs(path) == [
        Pair(folder / "cat.png", "a cat", 1),
        Pair(folder / "sub/dog.png", "a dog", 3),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "{} is empty. Add a line with an image and a text."),
        ("a.jsonl", " \n\n", "{} is empty. Add a line with an image and a text."),
        ("a.csv", "image,text\n", "{} has no pairs. Add a line with an image and a text."),
        (
            "a.csv",
            "cat.png,a cat\n",
            "{} needs the columns image and text (or caption); its first line is "
            "'cat.png', 'a cat'. Add a header.",
        ),
        (
            "a.csv",
            "image,label\n",
            "{} needs the columns image and text (or caption); its first line is "
            "'image', 'label'. Add a header.",
        ),
        (
            "a.csv",
            ",,\n",
            "{} needs the columns image and text (or caption); its first line is . Add a header.",
        ),
        (
            "a.csv",
            "image,text\ncat.png,a cat, asleep\n",
            "line 2 of {}: the header has 2 columns and this line 3; "
            "a text with the separator in it needs quotes around it.",
        ),
        (
            "a.csv",
            "image,text\ncat.png\n",
            "line 2 of {}: the header has 2 columns and this line 1; "
            "a text with the separator in it needs quotes around it.",
        ),
        (
            "a.csv",
            'image,text\ncat.png,"a"\ncat.png,"a cat\ncat.png,x\n',
            "line 3 of {} cannot be read as a table (unexpected end of data). Mend its quotes.",
        ),
        (
            "a.csv",
            "image,text\ncat.png,\n",
            "line 2 of {}: a text must say something; got an empty one. Write a sentence.",
        ),
        (
            "a.csv",
            "image,text\n ,a cat\n",
            "line 2 of {}: an image must be a path; got ' '. Name an image file.",
        ),
        (
            "a.csv",
            b"image,text\ncat.png,ok\ncat.png,caf\xe9\n",
            "line 3 of {} is not UTF-8 (byte 0xe9). Save the file as UTF-8.",
        ),
        (
            "a.csv",
            "image,text\n".encode("utf-16"),
            "line 1 of {} is not UTF-8 (byte 0xff). Save the file as UTF-8.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "text": 3}',
            "line 1 of {}: a text must be a string; got 3. Put it in quotes.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "text": null}',
            "line 1 of {}: a text must be a string; got None. Put it in quotes.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "txt": "a"}',
            "line 1 of {}: a text is missing; got image, txt. Add one.",
        ),
        (
            "a.jsonl",
            '{"image": ["cat.png"], "text": "a"}',
            "line 1 of {}: an image must be a path; got ['cat.png']. Name an image file.",
        ),
        (
            "a.jsonl",
            '\n["cat.png", "a cat"]',
            'line 2 of {}: a JSON object is needed; got ["cat.png", "a cat"]',
        ),
        (
            "a.jsonl",
            "{'image': 1}",
            "line 1 of {}: this is not JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)). Write one object per line.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "text": "\\ud800"}',
            "line 1 of {}: a text must be valid Unicode; got '\\ud800', half a character.",
        ),
        ("a.txt", "x", "{} ends in '.txt'; a .csv, .tsv or .jsonl file is needed."),
        (
            "a.csv",
            "caption,image,text\nno,cat.png,yes\n",
            "{} has 2 columns for the text: caption, text. Keep one of them, or rename the others.",
        ),
        (
            "a.csv",
            "text,image,Text\nno,cat.png,yes\n",
            "{} has 2 columns for the text: text, text. Keep one of them, or rename the others.",
        ),
        (
            "a.tsv",
            "image\ttext\timage\ncat.png\ta\tcat.png\n",
            "{} has 2 columns for the image: image, image. Keep one of them, or rename the others.",
        ),
        (
            "a.csv",
            "image;text\ncat.png;a cat\n",
            "{} has semicolons between its columns; a .csv has commas. Save it again with commas.",
        ),
        (
            "a.csv",
            '"id, old";"image";"caption"\n1;cat.png;a cat\n',
            "{} has semicolons between its columns; a .csv has commas. Save it again with commas.",
        ),
        (
            "a.tsv",
            "image,text\ncat.png,a cat\n",
            "{} has commas between its columns; a .tsv has tabs. Save it again with tabs.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "text": "a", "caption": "b"}',
            "line 1 of {}: one text is needed; got both text and caption. Leave one out.",
        ),
        (
            "a.jsonl",
            '{"image": "cat.png", "text": "a", "text": "b"}',
            "line 1 of {}: the key 'text' is there twice. Leave one out.",
        ),
    ],
)
def test_a_bad_file_gets_its_sentence(write, name, content, message):
    path = write(name, content)
    assert refusal(path) == message.replace("{}", str(path), 1)


def test_deep_nesting_is_refused(write):
    path = write("a.jsonl", "[" * 100_000)
    assert refusal(path).startswith(f"line 1 of {path}: this is not JSON (")


def test_a_missing_image_is_told_with_its_line_and_neighbours(folder, write):
    path = write("a.csv", "image,text\ncat.png,ok\nact.png,a cat\n")
    want = f"line 3 of {path}: image {folder / 'act.png'} is not there. Did you mean 'cat.png'?"
    assert refusal(path, Missing) == want


def test_an_image_that_is_a_folder_is_told(folder, write):
    path = write("a.csv", "image,text\nsub,a cat\n")
    want = f"line 2 of {path}: {folder / 'sub'} is a folder; an image file is needed."
    assert refusal(path) == want


def test_every_bad_line_is_numbered(write):
    bad = "cat.png,\n"
    path = write("a.csv", "image,text\n" + bad + "cat.png,ok\n" + bad)
    first = f"line 2 of {path}: a text must say something; got an empty one. Write a sentence."
    assert refusal(path) == f"{first} Bad too: line 4."
    path = write("a.csv", "image,text\n" + bad * 14)
    assert refusal(path) == f"{first} Bad too: lines 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 3 more."


def test_a_missing_file_and_a_folder_are_refused(folder, write):
    write("pairs.csv", "x")
    want = f"file of pairs {folder / 'pair.csv'} is not there. Did you mean 'pairs.csv'?"
    assert refusal(folder / "pair.csv", Missing) == want
    assert refusal(folder) == (
        f"{folder} is a folder; a .csv, .tsv or .jsonl file of pairs is needed."
    )


def test_pairs_of_whatever_is_pointed_at(folder, write):
    assert pairs_of(folder / "cat.png", " a cat ") == [Pair(folder / "cat.png", "a cat", 0)]
    assert pairs_of(folder, "an animal") == [
        Pair(folder / "cat.png", "an animal"),
        Pair(folder / "sub/dog.png", "an animal"),
    ]
    path = write("a.csv", "image,text\ncat.png,a cat\n")
    assert pairs_of(path) == [Pair(folder / "cat.png", "a cat", 2)]


def test_a_sentence_too_many_or_too_few_is_told(folder, write):
    path = write("a.csv", "image,text\ncat.png,a cat\n")
    with pytest.raises(BadInput) as caught:
        pairs_of(path, "a dog")
    assert str(caught.value) == f"{path} brings its own sentences; got 'a dog' too. Leave one out."
    with pytest.raises(BadInput) as caught:
        pairs_of(folder)
    assert str(caught.value) == f"{folder} needs a sentence to go with it; got none. Add one."
    with pytest.raises(BadInput) as caught:
        pairs_of(folder, " \n")
    want = "a text must say something; got an empty one. Write a sentence."
    assert str(caught.value) == want
    with pytest.raises(Missing) as caught:
        pairs_of(folder / "cta.png", "a cat")
    assert str(caught.value) == (
        f"image, folder or file of pairs {folder / 'cta.png'} is not there. Did you mean 'cat.png'?"
    )


def test_a_text_that_is_no_string_is_told():
    with pytest.raises(BadInput) as caught:
        checked_text(b"a cat")
    assert str(caught.value) == "a text must be a string; got b'a cat'. Put it in quotes."


@pytest.mark.parametrize("name", ["pairs.json", "pairs.TXT", "pairs.xlsx"])
def test_what_is_no_list_is_told_what_a_list_is(write, name):
    path = write(name, "[]")
    with pytest.raises(BadInput) as caught:
        pairs_of(path)
    assert str(caught.value) == (
        f"{path} is no list of pairs: a list is .csv, .tsv or .jsonl. Save it so."
    )


def test_the_docstring_says_when_a_list_is_refused_whole(write):
    from legenda.corpus import pairs

    path = write("a.csv", "image,text\nbad.png,a cat\n")
    (path.parent / "bad.png").write_bytes(b"no picture")
    assert len(read_pairs(path)) == 1, "no picture is opened"
    assert "is refused whole, before any work" in (pairs.__doc__ or "")
