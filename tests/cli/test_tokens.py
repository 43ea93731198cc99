"""`legenda tokens` through `main`, on a model whose tokens are known."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from legenda import cli
from legenda.cli import main
from legenda.tasks import shelf
from tests.tasks import palette, token_world
from tests.tasks.palette import GREEN, RED

MODEL, SEEKER = "tests.tasks.palette:model", "tests.tasks.palette:seeker"
WORDS = ["tokens", MODEL, "pictures", "--concepts", "labels.csv", "--top", "3"]
GIVEN = [*WORDS, "--extractor", SEEKER]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of pictures and their labels."""
    monkeypatch.setitem(cli.COMMANDS, "tokens", "A card for every token.")
    monkeypatch.chdir(tmp_path)
    palette.world(tmp_path, 24)
    return tmp_path


def files(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def refused(capsys, *words):
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("legenda: ") and err.count("\n") == 1
    return err.removeprefix("legenda: ").strip()


def test_a_page_and_a_line_for_every_token(here, capsys):
    assert main(GIVEN) == 0
    out, err = capsys.readouterr()
    assert err == "legenda-tokens/index.html\n"
    assert "8 tokens of tests.tasks.palette:model, of which 7 occur" in " ".join(out.split())
    assert sorted(p.name for p in (here / "legenda-tokens").iterdir()) == [
        "index.html",
        "tokens.jsonl",
        "work",
    ]  # noqa: E501
    lines = (here / "legenda-tokens" / "tokens.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    assert said[0]["kind"] == "tokens" and [one["token"] for one in said[1:]] == list(range(8))
    assert said[1 + RED]["classes"][0]["concept"] == "apple"
    assert said[1 + GREEN]["classes"][0]["concept"] == "pear"
    assert said[1 + RED]["exemplars"][0]["image"].startswith("pictures/")


def test_json_is_all_there_is_on_stdout(here, capsys):
    assert main([*GIVEN, "--json", "--out", "o"]) == 0
    out = capsys.readouterr().out
    said = [json.loads(line) for line in out.splitlines()]
    assert said == [json.loads(line) for line in (here / "o/tokens.jsonl").read_text().splitlines()]
    again = shlex.split(said[0]["command"])[1:]
    assert main([*again, "--json", "--out", "again"]) == 0
    assert capsys.readouterr().out == out and files(here / "again") == files(here / "o")


def test_an_extractor_is_trained_where_none_is_given(here, capsys):
    assert main([*WORDS, "--epochs", "2", "--by", "TF-IDF", "--keep", "4", "--json"]) == 0
    head = json.loads(capsys.readouterr().out.splitlines()[0])
    assert head["extractor"]["name"] == "cnn" and head["by"] == "tf_idf"
    assert head["extractor"]["measured_on"] == "2 images that it did not see"
    assert all(len(one["tokens"]) <= 4 for one in head["concepts"])


def test_killed_and_run_again_is_the_same_to_the_byte(here, capsys, monkeypatch):
    from legenda.tasks import token_survey

    monkeypatch.setattr(shelf, "SHARD", 4)
    words = [*WORDS, "--epochs", "2"]
    assert main([*words, "--out", "whole"]) == 0
    real, calls = token_survey.importance, []

    def killed(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as one:
        one.setattr(token_survey, "importance", killed)
        assert main([*words, "--out", "cut"]) == 130
    assert files(here / "cut") == {} and not list((here / "cut" / "work").glob("*.writing"))
    assert main([*words, "--out", "cut"]) == 0
    assert files(here / "cut") == files(here / "whole")


def test_an_image_that_cannot_be_read_is_told_and_the_others_go_on(here, capsys):
    (here / "pictures" / "5.png").write_bytes(b"no picture")
    assert main([*GIVEN, "--json"]) == 2
    out, err = capsys.readouterr()
    said = [json.loads(line) for line in out.splitlines()]
    assert said[0]["error"].startswith("pictures/5.png is not an image") and said[1]["images"] == 23
    assert err.startswith("legenda: pictures/5.png is not an image")
    assert "pictures/5.png" in (here / "legenda-tokens" / "index.html").read_text()


REFUSED = [
    (
        ["tests.tasks.palette:plain_module"],
        "tokens needs a model with a codebook, whose tokens can be counted; "
        "tests.tasks.palette:plain_module has none. Try zoo:vq, or the folder of a VQModel.",
    ),
    (
        ["zoo:vw"],
        "there is no zoo model named 'vw'. Did you mean 'vq'? Known: scenes, photos, vq, vae, ddpm.",  # noqa: E501
    ),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_a_model_without_a_codebook_is_refused(here, capsys, given, message):
    assert refused(capsys, "tokens", *given, *WORDS[2:]) == message
    assert not (here / "legenda-tokens").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "0"], "--top needs 1 or more; it got 0."),
        (["--top", "x"], "--top needs a whole number; it got 'x'."),
        (["--top", "17"], "a grid of 16 positions has no top 17. Take 1 to 16 of them."),
        (["--keep", "-1"], "--keep needs 1 or more; it got -1."),
        (["--epochs", "0"], "a training needs an epoch or more; it got 0. Leave it out, or give more."),  # noqa: E501
        (["--by", "counts"], "--by is one of count, tf_idf, pmi, frequency, random; it got 'counts'. Did you mean 'count'?"),  # noqa: E501
        (["--extractor", "train:cn"], "--extractor can train cnn, resnet, transformer; it got 'train:cn'. Did you mean 'cnn'?"),  # noqa: E501
        (["--extractor", "cnn"], "there is no concept model 'cnn': it is no folder here, and no package.module:factory."),  # noqa: E501
        (["--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
        (["--out", "labels.csv"], "--out labels.csv is a file; a folder is needed."),
        (["--out", "t.html"], "--out t.html is to be a folder: lines and work are kept beside the page. Name a folder."),  # noqa: E501
    ],
)  # fmt: skip
def test_a_bad_option_is_refused_before_anything_is_written(here, capsys, options, message):
    words = dict(zip(WORDS[3::2], WORDS[4::2], strict=True))
    words |= dict(zip(options[::2], options[1::2], strict=True))
    flat = [word for pair in words.items() for word in pair]
    assert refused(capsys, *WORDS[:3], *flat) == message
    assert sorted(p.name for p in here.iterdir()) == ["labels.csv", "pictures"]


def test_bad_labels_are_refused(here, capsys):
    Path("few.csv").write_text("image,label\n0.png,apple\n")
    words = ["tokens", MODEL, "pictures", "--concepts"]
    assert refused(capsys, *words, "few.csv") == (
        "few.csv has no label for 23 images in pictures: pictures/1.png, pictures/2.png, "
        "pictures/3.png and 20 more. Label them, or move them elsewhere."
    )
    assert refused(capsys, *words, "lab.csv") == (
        "file of labels lab.csv is not there. Did you mean 'labels.csv' or 'few.csv'?"
    )
    (here / "empty").mkdir()
    assert refused(capsys, "tokens", MODEL, "empty", "--concepts", "labels.csv").startswith(
        "empty has no images; a file ending in one of "
    )
    assert refused(capsys, "tokens", MODEL, "labels.csv", "--concepts", "labels.csv") == (
        "labels.csv is a file; a folder of images is needed."
    )


def test_labels_that_the_extractor_does_not_know_are_refused(here, capsys):
    text = Path("labels.csv").read_text().replace("pear", "peach")
    Path("labels.csv").write_text(text)
    assert refused(capsys, *GIVEN) == (
        "seeker does not know 'peach', which labels.csv names. Did you mean 'pear'? "
        "Leave the concept model out, and one is trained on these labels."
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens.jsonl", "mine", "o/tokens.jsonl is there, and legenda did not write it. Choose another --out."),  # noqa: E501
        ("index.html", "mine", "o/index.html is there, and legenda did not write it. Choose another --out."),  # noqa: E501
        ("work", "mine", "o/work is there, and legenda did not write it. Choose another --out."),
        (
            "index.html", '<meta name="generator" content="legenda 1">',
            "o/index.html is a page of another command: no tokens.jsonl is beside it. Choose another --out.",  # noqa: E501
        ),
    ],
)  # fmt: skip
def test_what_others_wrote_is_left_alone(here, capsys, name, content, message):
    (here / "o").mkdir()
    (here / "o" / name).write_text(content)
    assert refused(capsys, *GIVEN, "--out", "o") == message
    assert files(here / "o") == {name: content.encode()}


def test_a_folder_of_ours_is_written_again(here, capsys):
    assert main([*GIVEN, "--out", "o"]) == 0
    before = files(here / "o")
    Image.new("RGB", (16, 16)).save("pictures/24.png")
    with Path("labels.csv").open("a") as file:
        file.write("\n24.png,apple\n")
    assert main([*GIVEN, "--out", "o"]) == 0
    assert files(here / "o").keys() == before.keys() and files(here / "o") != before


def test_names_that_look_like_options_are_kept_apart_by_the_command(here, capsys):
    Path("pictures").rename("-p")
    words = ["tokens", *WORDS[3:], "--extractor", SEEKER, "--json", "--", MODEL, "-p"]
    assert main(words) == 0
    head = json.loads(capsys.readouterr().out.splitlines()[0])
    assert head["command"].endswith(f" -- {MODEL} -p")


# names

TOY = "tests.tasks.token_world"
NAMED = [
    "tokens", f"{TOY}:model", "pictures", "--concepts", "labels.csv",
    "--extractor", f"{TOY}:extractor", "--name-with", f"{TOY}:dual", "--words", "words.txt",
]  # fmt: skip


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Pictures whose tokens mean something, their labels, and words."""
    monkeypatch.chdir(tmp_path)
    token_world.world(tmp_path, 40)
    return tmp_path


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_tokens_have_names_where_they_are_asked_for(there, capsys):
    assert main([*NAMED, "--json"]) == 0
    head, *lines = said(capsys)
    words = [one["name"]["text"] for one in lines]
    assert sum(words[i] == f"w{i}" for i in range(12)) >= 10 and words[23] is None
    assert lines[23]["name"]["reason"] == "it was seen in 0 crops; 3 are needed"
    found = head["names"]
    assert found["count"] == sum(word is not None for word in words) and found["named"]["n"] == 23
    assert found["named"]["interval"][0] > found["dealt"]["interval"][0]
    assert (found["by"], found["vocabulary"], found["crop"]) == (f"{TOY}:dual", 60, [10, 10])
    assert "w0 <span" in (there / "legenda-tokens" / "index.html").read_text()
    again = shlex.split(head["command"])[1:]
    assert again[-6:-2] == ["--name-with", f"{TOY}:dual", "--words", "words.txt"]
    before = files(there / "legenda-tokens")
    assert main(again) == 0
    assert files(there / "legenda-tokens") == before
    shown = " ".join(capsys.readouterr().out.split())
    assert "tokens with crops enough have a name" in shown and "dealt out to tokens by lot" in shown


def test_a_persons_word_survives_every_rerun(there, capsys):
    plain = NAMED[:7]
    assert main([*plain, "--json", "--correct", "3=blue sky", "--correct", "23=nowhere"]) == 0
    lines = said(capsys)[1:]
    assert [(one["token"], one["name"]["text"]) for one in lines if one["name"]] == [
        (3, "blue sky"), (23, "nowhere"),
    ]  # fmt: skip
    assert "--correct" not in (there / "legenda-tokens" / "tokens.jsonl").read_text()
    assert main([*NAMED, "--json"]) == 0
    lines = said(capsys)[1:]
    name = lines[3]["name"]
    assert (name["text"], name["by"], name["reason"]) == ("blue sky", "a person", "corrected")
    assert name["candidates"][0][0] == "w3" and lines[4]["name"]["by"] == f"{TOY}:dual"
    page = (there / "legenda-tokens" / "index.html").read_text()
    assert 'blue sky <span class="small">by a person. Corrected.' in page
    assert main([*plain, "--json", "--correct", "3="]) == 0
    assert [one["token"] for one in said(capsys)[1:] if one["name"]] == [23]


def test_without_names_nothing_is_said_of_them(here, capsys):
    assert main([*GIVEN, "--json"]) == 0
    head, *lines = said(capsys)
    assert "names" not in head and all(one["name"] is None for one in lines)
    assert not (here / "legenda-tokens" / "corrections.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--words", "emoji"], "--words are what tokens may be called; that needs a model that matches them with crops. Add --name-with, such as zoo:photos."),  # noqa: E501
        (["--name-with", f"{TOY}:dual", "--words", ""], "--words takes everyday, emoji, clipart, a file, or several with + between; it got ''."),  # noqa: E501
        (["--name-with", f"{TOY}:dual", "--words", "wrds.txt"], "word list wrds.txt is not there. Did you mean 'words.txt'?"),  # noqa: E501
        (["--name-with", MODEL], f"--name-with needs a dual encoder, which reads pictures and sentences; {MODEL} has none. Try zoo:photos, or a CLIP or SigLIP folder."),  # noqa: E501
        (["--name-with", "zoo:photo"], "there is no zoo model named 'photo'. Did you mean 'photos'? Known: scenes, photos, vq, vae, ddpm."),  # noqa: E501
        (["--correct", "24=sky"], "--correct needs TOKEN=WORD, with a token below 24; it got '24=sky'."),  # noqa: E501
    ],
)  # fmt: skip
def test_names_that_cannot_be_given_are_refused(there, capsys, options, message):
    assert refused(capsys, *NAMED[:7], *options) == message
    assert not (there / "legenda-tokens").exists()


def test_corrections_that_cannot_be_read_are_left_as_they_are(there, capsys):
    (there / "o").mkdir()
    (there / "o" / "corrections.json").write_text("mine")
    assert refused(capsys, *NAMED[:7], "--out", "o", "--correct", "1=sky") == (
        "o/corrections.json is not JSON at line 1, column 1: Expecting value. Mend that line; "
        "nothing in the file was changed."
    )
    assert files(there / "o") == {"corrections.json": b"mine"}
