"""`legenda edit` of a model with latents: what it writes, what it says, and what it refuses."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legenda.cli import main
from legenda.models.vae import from_module
from legenda.tasks.latent_edit import LatentStep, moved
from tests.cli.latent_model import BLIND, COLOUR, GREY, grey

NAMES = ["after.png", "before.png", "difference.png", "edit.json", "index.html"]
STEPS = ["--set", "0=+1.5", "--steer", "1=-1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with one picture in it."""
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (64, 64))
    picture.paste((180, 180, 180), (10, 20, 30, 40))
    picture.save("a.png")
    return tmp_path


def edit(*words):
    return main(["edit", *words])


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def read(path):
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_a_folder_holds_page_pictures_and_record(here, capsys):
    assert edit(GREY, "a.png", *STEPS) == 0
    out, err = capsys.readouterr()
    assert err == "legenda-edit/index.html\n"
    said = json.loads(Path("legenda-edit/edit.json").read_text("utf-8"))
    assert " changed most, by " in out and said["edit"] == "set 0=+1.5, then steer 1=-1"
    folder = here / "legenda-edit"
    assert sorted(files(folder)) == NAMES
    vae = from_module(grey(), ref=GREY)
    with Image.open("a.png") as opened:
        x = vae.pixels([opened.copy()])
    found = moved(vae, x, [LatentStep(0, 1.5), LatentStep(1, -1.0, True)])
    for name, dose in (("before", 0), ("after", -1)):
        wanted = (found.doses[dose].permute(1, 2, 0) * 255).round().byte().numpy()
        assert np.array_equal(read(folder / f"{name}.png"), wanted)
    before, after = said["latents"]["before"], said["latents"]["after"]
    assert after[0] == 1.5 and after[1] == pytest.approx(before[1] - 1) and after[2:] == before[2:]
    changed = {one["attribute"]: one for one in said["changes"]}
    assert changed["x"]["spreads"] > 1 and changed["y"]["spreads"] < -0.5
    assert said["n"] == 1 and said["control"]["n"] == 16 and len(said["doses"]) == 7


def test_a_page_alone_and_one_json_object(here, capsys):
    assert edit(COLOUR, "a.png", *STEPS, "--out", "o.html", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["of"] == "latents" and sorted(files(here)) == ["a.png", "o.html"]


def test_the_same_seed_gives_the_same_bytes(here):
    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        assert edit(GREY, "a.png", *STEPS, "--seed", seed, "--out", name) == 0
    one, two, three = (files(here / name) for name in ("one", "two", "three"))
    assert one == two and one["after.png"] == three["after.png"]
    assert one["edit.json"] != three["edit.json"], "the control is drawn by the seed"


def test_the_command_in_the_record_makes_it_again(here, capsys):
    assert edit(GREY, "a.png", *STEPS, "--seed", "4", "--json", "--out", "one.html") == 0
    first = capsys.readouterr().out
    again = shlex.split(json.loads(first)["command"])
    assert again[:2] == ["legenda", "edit"]
    assert main([*again[1:], "--json", "--out", "two.html"]) == 0
    assert capsys.readouterr().out == first


def test_steering_by_nothing_changes_no_pixel(here, capsys):
    assert edit(GREY, "a.png", "--steer", "2=0") == 0
    made = files(here / "legenda-edit")
    assert made["before.png"] == made["after.png"]
    assert capsys.readouterr().out == "Nothing that is measured changed.\n"


def about(option):
    return f"{option} is about tokens; grey has latents. Use --set UNIT=VALUE or --steer UNIT=VALUE."  # fmt: skip # noqa: E501


REFUSED: list[tuple[list[str], str]] = [
    ([GREY, "a.png"], "an edit of latents needs --set UNIT=VALUE or --steer UNIT=VALUE; got none."),
    ([GREY, "a.png", *STEPS, "--region", "all"], about("--region")),
    ([GREY, "a.png", "--toward", "concept=horse"], about("--toward")),
    ([GREY, "a.png", *STEPS, "--prior-weight", "1"], about("--prior-weight")),
    ([GREY, "a.png", "--set", "6=1"], "latent 6 is not in grey, which has 6. Choose one from 0 to 5."),  # noqa: E501
    ([GREY, "a.png", "--set=-1=1"], "--set needs UNIT=VALUE, the number of a latent and how much, such as 3=+2; it got '-1=1'."),  # noqa: E501
    ([GREY, "a.png", "--set", "3"], "--set needs UNIT=VALUE, the number of a latent and how much, such as 3=+2; it got '3'."),  # noqa: E501
    ([GREY, "a.png", "--steer", "3=much"], "--steer needs UNIT=VALUE, the number of a latent and how much, such as 3=+2; it got '3=much'."),  # noqa: E501
    ([GREY, "a.png", "--set", "3=inf"], "a latent is set to a finite number; got inf. Give a number."),  # noqa: E501
    ([GREY, "a.png", *STEPS, "--seed", "-1"], "--seed needs 0 or more; it got -1."),
    ([GREY, "b.png", *STEPS], "image b.png is not there. Did you mean 'a.png'?"),
    ([GREY, "a.png", *STEPS, "--out", "mine"], "mine/before.png is there, and legenda did not write it. Choose another --out."),  # noqa: E501
    ([BLIND, "a.png", "--set", "0=1"], f"edit needs a model with a codebook, whose tokens can be rewritten; {BLIND} has none. Try zoo:vq, or the folder of a VQModel."),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[-40:])
def test_bad_input_gets_one_sentence_and_leaves_nothing(here, capsys, words, sentence):
    Path("mine").mkdir()
    Path("mine/before.png").write_bytes(b"mine")
    before = files(here)
    assert edit(*words) == 2
    assert capsys.readouterr() == ("", f"legenda: {sentence}\n")
    assert files(here) == before
    assert edit(*words, "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"error": sentence}


def test_a_model_with_latents_says_what_it_is(here, capsys):
    assert main(["models", COLOUR, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["latents"] == "6, one vector for a picture"
    assert said["pictures"].startswith("32 × 32 pixels") and "reference" not in said
