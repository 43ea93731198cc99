"""`legenda edit` through `main`: what it writes, what it says, and what it refuses."""

import errno
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from legenda import cli
from legenda.catalog import names
from legenda.concepts.extractors import CNN
from legenda.concepts.model import ConceptModel
from legenda.concepts.storage import save_concepts
from legenda.models.vq import VQ
from legenda.show.edit import picture
from legenda.tasks.edit import put, rewritten
from legenda.tasks.steps import Put, Steer
from legenda.zoo.vq.data import CONCEPTS as ZOO_CONCEPTS
from tests.tasks import toys
from tests.tasks.toys import BOX, CONCEPTS, GRID, model, pixels

MODEL, JUDGES, EXTRACTOR = (f"tests.tasks.toys:{n}" for n in ("model", "judges", "extractor"))
REGION = ["--region", "box:7,7,4,4"]
BY_HAND = [MODEL, "a.png", "--set", "3=1", *REGION, "--judges", JUDGES]
AIMED = [
    MODEL, "a.png", "--toward", "concept=horse", *REGION, "--extractor", EXTRACTOR, "--judges",
    JUDGES, "--steps", "6", "--restarts", "1",
]  # fmt: skip
NAMES = ["after.png", "before.png", "difference.png", "edit.json", "index.html"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with one picture in it."""
    monkeypatch.setitem(cli.COMMANDS, "edit", "Edit a picture through its tokens.")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(model().bytes(pixels())[0].numpy()).save("a.png")
    return tmp_path


def edit(*words):
    return cli.main(["edit", *words])


def seen():
    """The picture as the model takes it from the file."""
    with Image.open("a.png") as opened:
        return model().pixels([opened.copy()])


def files(folder):
    """Everything below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def read(path):
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_a_folder_holds_page_pictures_and_record(here, capsys):
    assert edit(*BY_HAND) == 0
    out, err = capsys.readouterr()
    assert err == "legenda-edit/index.html\n"
    assert out.startswith("a.png, set 3=1, in 16 of 256 positions.\nfirst saw class ")
    folder = here / "legenda-edit"
    assert sorted(files(folder)) == NAMES
    said = json.loads((folder / "edit.json").read_text("utf-8"))
    found = put(model(), seen(), 3, 1, BOX, {})
    for name, wanted in (("before", found.before), ("after", found.after)):
        assert np.array_equal(read(folder / f"{name}.png"), model().bytes(wanted)[0].numpy())
    for name in ("before", "after", "difference"):
        assert np.array_equal(read(folder / f"{name}.png"), np.asarray(picture(said, name)))
        assert said["pictures"][name] in (folder / "index.html").read_text("utf-8")
    assert said["tokens"]["after"] == found.after_tokens[0].tolist()
    assert oct((folder / "index.html").stat().st_mode)[-3:] == oct(0o666 & ~mask())[-3:]
    assert oct(folder.stat().st_mode)[-3:] == oct(0o777 & ~mask())[-3:]


def mask():
    now = os.umask(0)
    os.umask(now)
    return now


def test_a_page_alone_and_one_json_object(here, capsys):
    assert edit(*AIMED, "--out", "o.html", "--json") == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    said = json.loads(line)
    assert err == "o.html\n" and sorted(files(here)) == ["a.png", "o.html"]
    assert said["edit"] == "toward horse" and said["optimised"]["concept"] == "horse"
    assert [one["judge"] for one in said["judges"]] == ["first", "second"]
    assert said["settings"]["region"] == "box:7,7,4,4" and said["settings"]["device"] == "cpu"
    assert said["optimised"]["trace"][-1][0] == 6


@pytest.mark.parametrize("words", [BY_HAND, AIMED, [*AIMED, "--seed", "7"]], ids=["set", "toward", "seed"])  # fmt: skip # noqa: E501
def test_the_same_seed_gives_the_same_bytes(here, words):
    torch.manual_seed(1)
    assert edit(*words, "--out", "one") == 0
    torch.manual_seed(2)
    assert edit(*words, "--out", "two") == 0
    assert files(here / "one") == files(here / "two")


def test_another_seed_is_another_search(here):
    assert edit(*AIMED, "--out", "one") == edit(*AIMED, "--seed", "7", "--out", "two") == 0
    one, two = (json.loads(Path(n, "edit.json").read_text("utf-8")) for n in ("one", "two"))
    assert one["tokens"]["after"] != two["tokens"]["after"]
    assert one["tokens"]["before"] == two["tokens"]["before"]


@pytest.mark.parametrize("words", [BY_HAND, AIMED, [*BY_HAND, "--steer", "5=-1.5", "--seed", "3"]])
def test_the_command_in_the_record_makes_it_again(here, capsys, words):
    assert edit(*words, "--json", "--out", "one.html") == 0
    first = capsys.readouterr().out
    again = shlex.split(json.loads(first)["command"])
    assert again[:2] == ["legenda", "edit"]
    assert cli.main([*again[1:], "--json", "--out", "two.html"]) == 0
    assert capsys.readouterr().out == first


def test_set_and_steer_go_in_the_order_they_are_typed(here, capsys):
    typed = ["--set", "3=1", "--steer=5=-1.5", "--set", "4=1", "--steer", "6=+2"]
    steps = [Put(3, 1), Steer(5, -1.5), Put(4, 1), Steer(6, 2)]
    assert edit(MODEL, "a.png", *typed, *REGION, "--json", "--out", "o.html") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["edit"] == "set 3=1, steer 5=-1.5, set 4=1, steer 6=+2"
    found = rewritten(model(), seen(), steps, BOX, {})
    assert np.array_equal(np.asarray(picture(said, "after")), found.bytes[2].numpy())


def test_steering_by_nothing_changes_no_pixel(here):
    assert edit(MODEL, "a.png", "--steer", "5=0") == 0
    made = files(here / "legenda-edit")
    assert made["before.png"] == made["after.png"]


def test_without_a_region_all_is_meant(here, capsys):
    assert edit(MODEL, "a.png", "--set", "3=1", "--json", "--out", "o.html") == 0
    assert set(json.loads(capsys.readouterr().out)["tokens"]["after"]) == {3}


def test_it_says_when_nobody_judges(here, capsys):
    assert edit(MODEL, "a.png", "--set", "3=1") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing independent judged this edit. No judge was given" in said
    assert "Nothing independent judged this edit." in Path("legenda-edit/index.html").read_text()


def test_a_concept_model_is_read_from_a_folder(here, capsys):
    torch.manual_seed(0)
    how = CNN(stages=((4, 1), (4, 1)), hidden=(8,))
    made = ConceptModel(how.build(6, GRID, 4), model().codebook, CONCEPTS, GRID)
    save_concepts(made, how, here / "concepts")
    words = ["concepts" if w == EXTRACTOR else w for w in AIMED]
    assert edit(*words, "--json", "--out", "o.html") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["settings"]["concepts"].startswith("concepts/")
    logits = made.classify(torch.tensor([said["tokens"]["after"]]))
    assert said["optimised"]["logit"]["after"] == pytest.approx(float(logits[0, 2]), abs=1e-4)


@pytest.mark.parametrize("more", [["--search", "embedding"], ["--prior-weight", "0"]])
def test_the_search_can_be_chosen(here, capsys, more):
    assert edit(*AIMED, *more, "--json", "--out", "o.html") == 0
    said = json.loads(capsys.readouterr().out)
    name = "EmbeddingSearch" if "embedding" in more else "CodebookSearch"
    assert said["settings"]["method"].startswith(f"{name}(positions=(119, ")


def test_a_prior_is_minded_where_there_is_one(here, capsys):
    words = [f"{MODEL}_with_prior" if w == MODEL else w for w in AIMED]
    assert edit(*words, "--prior-weight", "0.5", "--json", "--out", "o.html") == 0
    said = json.loads(capsys.readouterr().out)
    assert "weight=0.5" in said["settings"]["method"]
    assert said["control"] == {"n": 16, "by": "fillings by the prior"}


def test_the_page_is_opened_when_asked_for(here, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert edit(*BY_HAND, "--open") == 0
    assert opened == [(here / "legenda-edit" / "index.html").as_uri()]


# ------------------------------------------------------------------------------- refusals


def module():
    return torch.nn.Linear(2, 2)


def nothing():
    return {}


HERE = "tests.cli.test_edit"
NOT_OURS = "is there, and legenda did not write it. Choose another --out."
REFUSED: list[tuple[list[str], str]] = [
    ([MODEL, "a.png"], "an edit needs --toward concept=NAME, --set UNIT=VALUE or --steer UNIT=VALUE; it got none of them. Give one."),  # noqa: E501
    ([*AIMED, "--set", "3=1"], "an edit goes --toward a concept, or by --set and --steer; it got both. Give one kind."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "horse", *REGION], "--toward needs concept=NAME, such as concept=horse; it got 'horse'."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "concept=", *REGION], "--toward needs concept=NAME, such as concept=horse; it got 'concept='."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "concept=horse", "--extractor", EXTRACTOR], "--toward needs the --region in which to search, such as box:7,7,4,4 (row, column, height and width) or all; it got none. Give one."),  # noqa: E501
    ([*AIMED[:2], "--toward", "concept=hors", *AIMED[4:]], "toy-cnn knows no concept 'hors'. Did you mean 'horse'? Known: cat, dog, horse, ship."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "concept=horse", *REGION], "--toward needs a concept model that reads the tokens of toy-vq; it got none. Give --extractor and the folder of one."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "concept=horse", *REGION, "--extractor", "cnn"], "there is no concept model 'cnn': it is no folder here, and no package.module:factory."),  # noqa: E501
    ([MODEL, "a.png", "--toward", "concept=horse", *REGION, "--extractor", MODEL], f"{MODEL} returned VQ; --extractor needs a ConceptModel."),  # noqa: E501
    ([*AIMED, "--search", "codebok"], "--search is codebook or embedding; it got 'codebok'. Did you mean 'codebook'?"),  # noqa: E501
    ([*AIMED, "--search", "embedding", "--prior-weight", "1"], "--prior-weight is about --search codebook. Leave it out."),  # noqa: E501
    ([*AIMED, "--prior-weight", "1"], "--prior-weight needs a model with a prior; toy-vq has none. Leave it out."),  # noqa: E501
    ([*AIMED, "--prior-weight", "nan"], "--prior-weight needs a number of 0 or more, such as 0.1; it got 'nan'."),  # noqa: E501
    ([*AIMED, "--prior-weight", "-1"], "--prior-weight needs a number of 0 or more, such as 0.1; it got '-1'."),  # noqa: E501
    ([*AIMED[:-4], "--steps", "2.5"], "--steps needs a whole number; it got '2.5'."),
    ([*AIMED[:-4], "--steps", "0"], "CodebookSearch needs a region of one position or more, and at least one step, restart and step between looks; it got 16 positions, steps=0, restarts=2, every=25."),  # noqa: E501
    ([*BY_HAND, "--seed", "x"], "--seed needs a whole number; it got 'x'."),
    ([*BY_HAND, "--steps", "5"], "--steps is about the search of --toward. Leave it out."),
    ([*BY_HAND, "--prior-weight", "5"], "--prior-weight is about the search of --toward. Leave it out."),  # noqa: E501
    ([*BY_HAND, "--extractor", "cnn"], "--extractor is about the search of --toward. Leave it out."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3"], "--set needs UNIT=VALUE, the number of a token and how much, such as 17=1; it got '3'."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3.5=1"], "--set needs UNIT=VALUE, the number of a token and how much, such as 17=1; it got '3.5=1'."),  # noqa: E501
    ([MODEL, "a.png", "--steer", "3=much"], "--steer needs UNIT=VALUE, the number of a token and how much, such as 17=+2; it got '3=much'."),  # noqa: E501
    ([MODEL, "a.png", "--steer", "3=inf"], "steering needs a finite strength, such as +1; it got steer 3=+inf."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=0.5"], "a token is there or it is not: a unit is set to 1 or to 0; it got set 3=0.5. For a matter of degree, steer 3."),  # noqa: E501
    ([MODEL, "a.png", "--set", "16=1"], "unit 16 is not in toy-vq/codebook, which has 16 units, numbered from 0."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--region", "box:7,7,10,4"], "a box of 10 × 4 at row 7, column 7 does not lie on the grid of 16 × 16. Rows and columns count from 0."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--region", "mask.png"], "image mask.png is not there. Did you mean 'a.png'?"),  # noqa: E501
    ([MODEL, "b.png", "--set", "3=1"], "image b.png is not there. Did you mean 'a.png'?"),
    ([MODEL, "void", "--set", "3=1"], "void is empty (0 bytes); an image is needed. Copy or export it again."),  # noqa: E501
    ([MODEL, "mine", "--set", "3=1"], "mine is a folder; an image file is needed. Name a file in it."),  # noqa: E501
    ([MODEL, "x" * 300, "--set", "3=1"], f"image {'x' * 200}… is not there. Check the path."),
    (["zoo:nothing", "a.png", "--set", "3=1"], f"there is no zoo model named 'nothing'. Known: {', '.join(names('zoo'))}."),  # noqa: E501
    ([f"{HERE}:module", "a.png", "--set", "3=1"], f"edit needs a model with a codebook, whose tokens can be rewritten; {HERE}:module has none. Try zoo:vq, or the folder of a VQModel."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--judges", "small"], "there is no judge 'small'. toy-vq brings no judges. Others are given as package.module:factory."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--judges", f"{JUDGES}s"], f"{JUDGES}s names no factory that can be imported: module 'tests.tasks.toys' has no attribute 'judgess'. Check the name."),  # noqa: E501
    ([MODEL, "a.png", "--set", "3=1", "--judges", f"{HERE}:nothing"], f"{HERE}:nothing returned dict; --judges needs a function that returns judges by name, each from pictures to logits."),  # noqa: E501
    ([*BY_HAND, "--out", "a.png"], "--out a.png is a file; a folder, or a name ending in .html, is needed."),  # noqa: E501
    ([*BY_HAND, "--out", "mine"], f"mine/before.png {NOT_OURS}"),
    ([MODEL, "mine/before.png", "--set", "3=1", "--out", "mine"], "mine/before.png is the picture itself. Choose another --out."),  # noqa: E501
    ([*BY_HAND, "--st", "1"], "Unknown option: --st. Did you mean --set? See `legenda --help`."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[-50:])
def test_bad_input_gets_one_sentence_and_leaves_nothing(here, capsys, words, sentence):
    Path("void").touch()
    Path("mine").mkdir()
    Path("mine/before.png").write_bytes(Path("a.png").read_bytes())
    before = files(here)
    assert edit(*words) == 2
    assert capsys.readouterr() == ("", f"legenda: {sentence}\n")
    assert files(here) == before and sorted(p.name for p in here.iterdir()) == ["a.png", "mine", "void"]  # fmt: skip # noqa: E501
    assert edit(*words, "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"error": sentence}


@pytest.mark.slow
def test_models_without_a_codebook_are_refused(here, capsys):
    Path("vae").mkdir()
    Path("vae/config.json").write_text('{"_class_name": "AsymmetricAutoencoderKL"}')
    assert edit("vae", "a.png", "--set", "3=1") == 2
    assert capsys.readouterr().err == (
        "legenda: vae is a AsymmetricAutoencoderKL, which is not opened here. Give a VQModel, or "
        "fit a codebook to it with legenda.models.fitted.open_autoencoder.\n"
    )
    assert edit("zoo:scenes", "a.png", "--set", "3=1") == 2
    assert capsys.readouterr().err == (
        "legenda: edit needs a model with a codebook, whose tokens can be rewritten; zoo:scenes "
        "has none. Try zoo:vq, or the folder of a VQModel.\n"
    )
    assert sorted(files(here)) == ["a.png", "vae/config.json"]


# ------------------------------------------------------------------------------- zoo:vq


@pytest.fixture
def shipped(monkeypatch):
    """A model that goes by the name of the zoo's, with its judges; none of it is trained."""

    def known():
        torch.manual_seed(0)
        layers = [torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(48, 22)]
        return {"small cnn": torch.nn.Sequential(*layers), "mobilenet": torch.nn.Sequential(*layers)}  # fmt: skip # noqa: E501

    monkeypatch.setattr("legenda.zoo.vq.judges.judges", known)
    monkeypatch.setattr("legenda.zoo.vq.shipped.open_vq", lambda site=None: vq_of_the_zoo())


def vq_of_the_zoo() -> VQ:
    return replace(model(), ref="zoo:vq", name="vq")


def test_the_judges_of_the_zoo_come_by_themselves_and_know_their_names(here, capsys, shipped):
    words = ["zoo:vq", "a.png", "--set", "3=1", *REGION, "--json", "--out", "o.html"]
    assert edit(*words) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["judge"] for one in said["judges"]] == ["small cnn", "mobilenet"]
    assert {one["source"]["class"] for one in said["judges"]} <= set(ZOO_CONCEPTS)
    assert edit(*words, "--judges", "mobilenet") == 0
    (one,) = json.loads(capsys.readouterr().out)["judges"]
    assert one["judge"] == "mobilenet"
    assert edit(*words[:-3], "--judges", "mobilnet") == 2
    assert capsys.readouterr().err == (
        "legenda: there is no judge 'mobilnet'. Did you mean 'mobilenet'? Known: small cnn, "
        "mobilenet. Others are given as package.module:factory.\n"
    )


def test_a_concept_of_the_zoo_is_found_by_its_judges(here, capsys, shipped, monkeypatch):
    monkeypatch.setattr("legenda.cli.edit_models.shipped_extractors", lambda: ["cnn", "resnet"])
    monkeypatch.setattr("legenda.zoo.vq.shipped.concept_model", lambda vq, name: toys.extractor())
    words = ["zoo:vq", "a.png", *AIMED[2:6], "--steps", "5", "--json", "--out", "o.html"]
    assert edit(*words) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["target"]["class"] for one in said["judges"]] == ["horse", "horse"]
    assert edit(*words, "--extractor", "resnt") == 2
    assert json.loads(capsys.readouterr().out)["error"] == (
        "there is no concept model 'resnt': it is no folder here, and no package.module:factory. "
        "Did you mean 'resnet'? zoo:vq ships cnn, resnet."
    )


# ------------------------------------------------------------------------------- whole or not


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def later(count):
    """A disk that is full after so many files."""
    real, done = os.fsync, []

    def sync(handle):
        done.append(handle)
        return full() if len(done) > count else real(handle)

    return sync


@pytest.mark.parametrize(("out", "count"), [("page.html", 0), *(("new/er", n) for n in range(5))])
def test_a_full_disk_leaves_nothing_half_written(here, capsys, monkeypatch, count, out):
    monkeypatch.setattr(os, "fsync", later(count))
    assert edit(*BY_HAND, "--out", out) == 2
    assert capsys.readouterr().err == (
        "legenda: the disk is full: writing failed. Make room and run again.\n"
    )
    assert [p.name for p in here.rglob("*")] == ["a.png"]


@pytest.mark.parametrize("count", range(5))
def test_a_full_disk_leaves_an_older_edit_whole(here, monkeypatch, count):
    assert edit(*BY_HAND) == 0
    before = files(here)
    monkeypatch.setattr(os, "fsync", later(count))
    assert edit(MODEL, "a.png", "--set", "5=1") == 2
    assert files(here) == before and sorted(p.name for p in (here / "legenda-edit").iterdir()) == NAMES  # fmt: skip # noqa: E501


def test_an_older_edit_is_written_over_and_a_link_stays_a_link(here):
    Path("real").mkdir()
    Path("linked").symlink_to("real")
    assert edit(*BY_HAND, "--out", "linked") == 0
    first = files(here / "real")
    assert edit(MODEL, "a.png", "--set", "5=1", "--out", "linked") == 0
    assert Path("linked").is_symlink() and sorted(files(here / "real")) == NAMES
    assert all(files(here / "real")[name] != first[name] for name in NAMES if name != "before.png")


def test_a_link_that_leads_nowhere_yet_is_followed(here):
    Path("linked").symlink_to("later")
    assert edit(*BY_HAND, "--out", "linked") == 0
    assert Path("linked").is_symlink() and sorted(files(here / "later")) == NAMES


def test_an_interrupt_leaves_nothing(here, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    assert edit(*BY_HAND) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert [p.name for p in here.rglob("*")] == ["a.png"]
