"""`legenda audit` through `main`: what it writes, what it says, and what it refuses."""

import errno
import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from legenda import cli
from legenda.catalog import names
from legenda.concepts.extractors import CNN
from legenda.concepts.model import ConceptModel
from legenda.concepts.storage import save_concepts
from legenda.show.audit_page import page
from tests.tasks.audit_world import GROUPS, PALETTE, RED, SIDE, model, painted, token, written

WORLD = "tests.tasks.audit_world"
MODEL = f"{WORLD}:model"
ASKED = [MODEL, "pictures", "--groups", "labels.csv"]
GIVEN = [*ASKED, "--extractor", f"{WORLD}:follows_red"]
BOTH = ["audit.json", "index.html"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of pictures, and the labels beside it."""
    base = tmp_path_factory.mktemp("world")
    written(base / "labels.csv", painted(base / "pictures", neutral=5))
    return base


@pytest.fixture
def here(world, tmp_path, monkeypatch):
    """A folder with the labels, and a link to the pictures."""
    monkeypatch.setitem(cli.COMMANDS, "audit", "Audit two groups: shortcut tokens and leanings.")
    shutil.copy(world / "labels.csv", tmp_path)
    (tmp_path / "pictures").symlink_to(world / "pictures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(*words):
    return cli.main(["audit", *words])


def said(capsys):
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    return json.loads(line), err


def files(folder):
    """Everything below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows():
    """The lines of the labels, without the header."""
    return [line.split(",") for line in Path("labels.csv").read_text("utf-8").splitlines()[1:]]


def own_pictures(keep=lambda name: True):
    """Pictures that may be changed, in the place of the link."""
    there = Path("pictures").resolve()
    Path("pictures").unlink()
    shutil.copytree(there, "pictures", ignore=lambda _, names: [n for n in names if not keep(n)])


# ------------------------------------------------------------------------------- what it writes


def test_a_folder_holds_page_and_record(here, capsys):
    assert audit(*GIVEN) == 0
    out, err = capsys.readouterr()
    assert err == "legenda-audit/index.html\n"
    words = " ".join(out.split())
    assert words.startswith("1 of ") and "tokens is flagged as a shortcut" in words
    assert f"token {token(RED)}, toward 'house': δ " in words
    folder = here / "legenda-audit"
    assert sorted(p.name for p in folder.iterdir()) == [*BOTH, "work"]
    record = json.loads((folder / "audit.json").read_text("utf-8"))
    assert [one["token"] for one in record["shortcuts"]["flagged"]] == [token(RED)]
    assert record["images"] == {"training": [40, 40], "reference": [40, 40], "neutral": [5]}
    assert record["lean"]["n"] == 5 or record["silent"]
    text = (folder / "index.html").read_text("utf-8")
    assert f'id="token-{token(RED)}"' in text and "default-src 'none'" in text


def test_one_json_object_is_the_record(here, capsys):
    assert audit(*GIVEN, "--json", "--out", "o") == 0
    found, err = said(capsys)
    assert err == "o/index.html\n"
    assert found == json.loads(Path("o/audit.json").read_text("utf-8"))
    assert found["settings"]["device"] == "cpu" and found["settings"]["seed"] == "0"
    assert found["settings"]["images"] == "pictures" and found["settings"]["groups"] == "labels.csv"
    assert Path("o/index.html").read_text("utf-8").count('class="tile exemplar"') >= 1
    assert page({}, found)


def test_a_rerun_resumes_and_gives_the_same_bytes(here, capsys, monkeypatch):
    """The first is killed in training; the second goes on; the third does nothing new."""
    trained = [*ASKED, "--epochs", "2", "--out", "o"]
    steps, stop = [], [True]

    def progress(title):
        from contextlib import contextmanager

        @contextmanager
        def bar():
            yield step

        return bar()

    def step(what, done, total):
        steps.append(what)
        if what == "training" and stop:
            raise KeyboardInterrupt

    monkeypatch.setattr("legenda.cli.audit.progress", progress)
    assert audit(*trained) == 130
    assert not Path("o/audit.json").exists() and list(Path("o/work").glob("tokens-*"))
    capsys.readouterr()
    stop.clear()
    assert audit(*trained) == 0
    first, heard = files(here / "o"), capsys.readouterr().out
    steps.clear()
    torch.manual_seed(5)
    assert audit(*trained) == 0
    assert capsys.readouterr().out == heard and files(here / "o") == first
    assert "training" not in steps
    assert audit(*ASKED, "--epochs", "2", "--out", "fresh") == 0
    assert {n: files(here / "fresh")[n] for n in BOTH} == {n: first[n] for n in BOTH}


def test_the_command_in_the_record_makes_it_again(here, capsys):
    typed = ["--top", "3", "--keep", "4", "--seed", "7", "--fdr", "0.1", "--between", "tower,house"]
    assert audit(*GIVEN, *typed, "--json", "--out", "one") == 0
    first, _ = said(capsys)
    again = shlex.split(first["command"])
    assert again[:2] == ["legenda", "audit"]
    assert cli.main([*again[1:], "--json", "--out", "two"]) == 0
    assert said(capsys)[0] == first
    assert first["groups"] == ["tower", "house"]
    assert "ConceptTokens(top=3, keep=4" in first["settings"]["lists"]
    assert "fdr=0.1" in first["settings"]["shortcuts"] and "seed=7" in first["settings"]["lean"]


def test_training_images_alone_flag_nothing(here, capsys):
    kept = [row for row in rows() if row[2] == "training"]
    own_pictures(lambda name: name.startswith("training"))
    written(Path("labels.csv"), kept)
    assert audit(*GIVEN, "--json") == 0
    found, _ = said(capsys)
    assert found["shortcuts"] is found["lean"] is None
    assert token(RED) in [one["token"] for one in found["differing"]["tokens"]]
    assert audit(*GIVEN) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("Training images alone cannot tell a shortcut from a sign of the group")


def test_a_model_that_follows_signs_is_told_so(here, capsys):
    assert audit(*ASKED, "--extractor", f"{WORLD}:follows_signs") == 0
    assert " ".join(capsys.readouterr().out.split()).startswith("No token is flagged: of ")


def test_a_concept_model_is_read_from_a_folder(here, capsys):
    torch.manual_seed(0)
    how = CNN(stages=((4, 1),), hidden=(8,))
    root = how.build(len(PALETTE), (SIDE, SIDE), 2)
    save_concepts(ConceptModel(root, model().codebook, GROUPS, (SIDE, SIDE)), how, here / "cnn")
    assert audit(*ASKED, "--extractor", "cnn", "--json") == 0
    assert said(capsys)[0]["concept_model"]["trained"] is False


def test_a_picture_that_cannot_be_read_is_told_and_the_others_go_on(here, capsys):
    own_pictures()
    for name in ("training-house-0.png", "reference-house-0.png"):
        Path("pictures", name).write_bytes(b"no picture")
    assert audit(*GIVEN, "--json") == 2
    out, err = capsys.readouterr()
    *refused, last = map(json.loads, out.splitlines())
    assert len(refused) == 2 and all("house-0.png" in one["error"] for one in refused)
    assert last["refused"] == [one["error"] for one in refused]
    assert last["images"]["training"] == [39, 40] and err.endswith("legenda-audit/index.html\n")


def test_the_page_is_opened_when_asked_for(here, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert audit(*GIVEN, "--open") == 0
    assert opened == [(here / "legenda-audit" / "index.html").as_uri()]


# ------------------------------------------------------------------------------- refusals


def module():
    return torch.nn.Linear(2, 2)


HERE = "tests.cli.test_audit"
NOT_OURS = "is there, and legenda did not write it. Choose another --out."
REFUSED: list[tuple[list[str], str]] = [
    ([*ASKED, "--between", "house"], "--between needs two names with a comma between, such as cat,dog; it got 'house'."),  # noqa: E501
    ([*ASKED, "--between", "house,"], "--between needs two names with a comma between, such as cat,dog; it got 'house,'."),  # noqa: E501
    ([*ASKED, "--between", "house,towr"], "labels.csv names no training images of 'towr'. Did you mean 'tower'? It names house, tower."),  # noqa: E501
    ([*ASKED, "--between", "house,house"], "an audit compares two groups; it got 'house', 'house'."),  # noqa: E501
    ([*ASKED, "--fdr", "5"], "--fdr needs a number between 0 and 1, such as 0.05; it got '5'."),
    ([*ASKED, "--fdr", "few"], "--fdr needs a number between 0 and 1, such as 0.05; it got 'few'."),
    ([*ASKED, "--top", "0"], "--top needs 1 or more; it got 0."),
    ([*ASKED, "--keep", "-3"], "--keep needs 1 or more; it got -3."),
    ([*ASKED, "--top", "65"], "a grid of 64 positions has no top 65. Take 1 to 64 of them."),
    ([*ASKED, "--epochs", "0"], "a training needs an epoch or more; it got 0. Leave it out, or give more."),  # noqa: E501
    ([*ASKED, "--epochs", "1.5"], "--epochs needs a whole number; it got '1.5'."),
    ([*GIVEN, "--epochs", "3"], f"--epochs is about training, and {WORLD}:follows_red is not trained. Leave it out."),  # noqa: E501
    ([*ASKED, "--seed", "x"], "--seed needs a whole number; it got 'x'."),
    ([*ASKED, "--extractor", "train:cnm"], "--extractor can train cnn, resnet, transformer; it got 'train:cnm'. Did you mean 'cnn'?"),  # noqa: E501
    ([*ASKED, "--extractor", "cnn"], "there is no concept model 'cnn': it is no folder here, and no package.module:factory."),  # noqa: E501
    ([*ASKED, "--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
    (["zoo:nothing", *ASKED[1:]], f"there is no zoo model named 'nothing'. Known: {', '.join(names('zoo'))}."),  # noqa: E501
    ([f"{HERE}:module", *ASKED[1:]], f"audit needs a model with a codebook, whose tokens can be counted; {HERE}:module has none. Try zoo:vq, or the folder of a VQModel."),  # noqa: E501
    ([MODEL, "picture", *ASKED[2:]], "folder picture is not there. Did you mean 'pictures'?"),
    ([*ASKED[:3], "nowhere"], "file of labels nowhere is not there. Check the path."),
    ([*ASKED[:3], "third.csv"], "line 82 of third.csv: a reference image is of 'tent', of which there are no training images. Leave it out."),  # noqa: E501
    ([*ASKED[:3], "few.csv"], "an audit needs 5 training images or more of each group; few.csv has 3 of 'house'. Add images, or choose other groups."),  # noqa: E501
    ([*ASKED[:3], "many.csv"], "many.csv names 3 groups: house, hut, tower; an audit compares two. Choose them, such as --between house,hut."),  # noqa: E501
    ([*ASKED[:3], "part.csv"], "line 2 of part.csv: a part is training, reference or neutral; got 'trainng'. Did you mean 'training'?"),  # noqa: E501
    ([*ASKED[:3], "missed.csv"], "missed.csv has no label for 1 image in pictures: pictures/training-house-0.png. Label them, or move them elsewhere."),  # noqa: E501
    ([*ASKED[:3], "one.csv"], "one.csv names training images of one group only, 'house'; an audit compares two. Add images of another."),  # noqa: E501
    ([*ASKED, "--out", "labels.csv"], "--out labels.csv is a file; a folder, or a name ending in .html, is needed."),  # noqa: E501
    ([*ASKED, "--out", "mine"], f"mine/audit.json {NOT_OURS}"),
    ([*ASKED, "--out", "theirs"], f"theirs/index.html {NOT_OURS}"),
    ([*ASKED, "--out", "edited"], "edited/index.html is a page of another command: no audit.json is beside it. Choose another --out."),  # noqa: E501
    ([*ASKED, "--out", "busy"], f"busy/work {NOT_OURS}"),
    ([*ASKED, "--otu", "o"], "Unknown option: --otu. Did you mean --out? See `legenda --help`."),
]  # fmt: skip


@pytest.fixture
def wrong(here):
    """Labels with something wrong, and folders of others."""
    good = rows()

    def change(name, number, group=None, part=None):
        made = [list(row) for row in good]
        for row in made[number]:
            row[1:] = group or row[1], part or row[2]
        written(Path(name), made)

    change("third.csv", slice(80, 81), group="tent")
    change("few.csv", slice(0, 37), group="tower")
    change("many.csv", slice(0, 6), group="hut")
    change("part.csv", slice(0, 1), part="trainng")
    written(Path("missed.csv"), good[1:])
    change("one.csv", slice(0, 80), group="house")
    for folder, name, content in (
        ("mine", "audit.json", "{}"), ("theirs", "index.html", "<html>"), ("busy", "work", ""),
        ("edited", "index.html", '<meta name="generator" content="legenda 1">'),
    ):  # fmt: skip
        Path(folder).mkdir()
        Path(folder, name).write_text(content)
    return here


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[-50:])
def test_bad_input_gets_one_sentence_and_leaves_nothing(wrong, capsys, words, sentence):
    before = files(wrong)
    assert audit(*words) == 2
    assert capsys.readouterr() == ("", f"legenda: {sentence}\n")
    assert files(wrong) == before and not Path("legenda-audit").exists()
    assert audit(*words, "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"error": sentence}


def test_labels_are_needed(here, capsys):
    assert audit(MODEL, "pictures") == 2
    assert capsys.readouterr().err == (
        'legenda: Command "audit" parameter --groups requires an argument. See `legenda --help`.\n'  # noqa: E501
    )


def test_a_name_with_a_comma_stands_in_quotes(here, capsys):
    written(Path("labels.csv"), [(n, g.replace("house", "house, red"), p) for n, g, p in rows()])
    assert audit(*ASKED, "--extractor", f"{WORLD}:follows_red", "--between", '"house, red",tower') == 2  # fmt: skip # noqa: E501
    assert capsys.readouterr().err == (
        "legenda: known does not know 'house, red', which labels.csv names. Did you mean 'house'? "
        "Leave the concept model out, and one is trained on these labels.\n"
    )


# ------------------------------------------------------------------------------- whole or not


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("count", range(2))
def test_a_full_disk_leaves_neither_or_the_older_ones(here, capsys, monkeypatch, count):
    real, done = os.fsync, []

    def sync(handle):
        done.append(handle)
        return full() if len(done) > count else real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", sync)
        assert audit(*GIVEN) == 2
    assert capsys.readouterr().err == (
        "legenda: the disk is full: writing failed. Make room and run again.\n"
    )
    assert sorted(p.name for p in Path("legenda-audit").iterdir()) == ["work"]
    assert audit(*GIVEN) == 0
    before = files(here)
    done.clear()
    monkeypatch.setattr(os, "fsync", sync)
    assert audit(*GIVEN, "--fdr", "0.2") == 2
    assert {n: v for n, v in files(here).items() if "/work/" not in n} == {
        n: v for n, v in before.items() if "/work/" not in n
    }


def test_work_on_a_full_disk_is_refused_in_a_sentence(here, capsys, monkeypatch):
    monkeypatch.setattr("legenda.train.loop.save_file", full)
    assert audit(*GIVEN) == 2
    err = capsys.readouterr().err
    assert err.startswith("legenda: legenda-audit/work/tokens-") and err.count("\n") == 1
    assert err.endswith("Make room there, or choose another folder.\n")
    assert not [p for p in Path("legenda-audit").rglob("*") if p.is_file()]
