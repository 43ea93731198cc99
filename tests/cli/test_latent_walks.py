"""`legenda latents` of a diffusion model through `main`: its directions, and what it refuses."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from legenda.cli import main
from tests.cli.latent_model import GREY
from tests.describe.server_process import running
from tests.tasks.walk_world import PLANTED, SHIPPED

QUICK = ["--rows", "3", "--frames", "4", "--directions", "3"]


@pytest.fixture(scope="module")
def server():
    with running("tests.describe.chat_server") as url:
        yield url


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(capsys, *words, code=0):
    assert main(["latents", *words]) == code
    return capsys.readouterr()


def told(capsys, *words, code=0):
    (line,) = ran(capsys, *words, "--json", code=code)[0].splitlines()
    return json.loads(line)


def test_directions_are_studied_as_latents_are(here, capsys):
    out, err = ran(capsys, PLANTED, *QUICK)
    assert err == "legenda-latents/index.html\n"
    flat = " ".join(out.split())  # lines are as long as the terminal
    assert flat.startswith("planted: of 3 units, 3 have a clear explanation, 0 have none, and 0 ")
    assert "Each unit was moved alone, from seeds of noise, and measurement said" in flat
    assert "went through the same: of 3 wholly random ones 0 are named (95 %: 0 to 56 %)" in flat
    made = sorted(str(p.relative_to(here)) for p in here.rglob("*") if p.is_file())
    assert made == [f"legenda-latents/{n}" for n in ("index.html", "latents.json", "sheets/unit-000.png", "sheets/unit-001.png", "sheets/unit-002.png")]  # fmt: skip # noqa: E501
    said = json.loads(Path("legenda-latents/latents.json").read_text("utf-8"))
    assert [u["answer"]["attribute"] for u in said["units"]] == ["y", "x", "size"]
    assert [u["label"] for u in said["units"]] == ["direction 0", "direction 1", "direction 2"]
    walked = said["walked"]
    assert (walked["site"], walked["time"], walked["seeds"]) == ("mid_block", 1.0, 8)
    assert [(lot["kind"], lot["named"], lot["count"]) for lot in walked["by_lot"]] == [
        ("random", 0, 3), ("smooth", 0, 3),
    ]  # fmt: skip
    assert said["anchors"] == "seeds of noise" and said["settings"]["pool"] == "64"


def test_the_page_says_how_directions_were_found_and_what_makes_it_again(here, capsys):
    ran(capsys, PLANTED, *QUICK, "--time", "1", "--seed", "2", "--units", "1", "--out", "o.html")
    text = Path("o.html").read_text("utf-8")
    assert "shared by 8 seeds of noise that begin no row" in text
    assert "directions of the same length by lot went through the same" in text
    command = f"legenda latents {PLANTED} --units=1 --directions=3 --time=1 --rows=3 --frames=4 --seed=2 --out=o.html"  # fmt: skip # noqa: E501
    assert command in text
    assert main(shlex.split(command)[1:]) == 0
    assert Path("o.html").read_text("utf-8") == text


def test_rows_and_frames_of_a_diffusion_model_are_fewer_unless_given(here, capsys):
    words = [PLANTED, "--directions", "2", "--dry-run"]
    assert ran(capsys, *words)[0] == "2 units, 392 frames; no language model is asked\n"
    assert 392 == (2 * (8 + 4) + 4 * 8) * 7
    assert told(capsys, *words, "--rows", "5", "--frames", "4")["frames"] == (2 * 9 + 4 * 5) * 4
    assert list(here.iterdir()) == []


def test_a_model_with_latents_says_nothing_of_directions(here, capsys):
    said = told(capsys, GREY, "--rows", "3", "--frames", "4", "--units", "2", "--out", "o.html")
    assert "walked" not in said
    assert "by lot" not in Path("o.html").read_text("utf-8")


def test_pictures_are_inverted(here, capsys):
    (here / "pics").mkdir()
    for i in range(16):
        picture = Image.new("RGB", (40, 40))
        picture.paste((200, 90, 40), (4 + i % 9, 6 + i % 7, 18 + i % 11, 20 + i % 7))
        picture.save(here / "pics" / f"{i:02d}.png")
    said = told(capsys, PLANTED, *QUICK, "--images", "pics", "--out", "o.html")
    assert said["anchors"] == "pictures, inverted" and len(said["units"]) == 3


def test_a_language_model_is_asked_about_directions_by_lot_too(server, here, capsys):
    words = [PLANTED, "--rows", "3", "--frames", "4", "--directions", "2", "--describer", "lmm", "--samples", "2", "--lmm-model", "sure", "--lmm-url", server]  # fmt: skip # noqa: E501
    questions = 2 * (2 + 4)
    cost = told(capsys, *words, "--nulls", "2", "--dry-run")
    assert (cost["calls"], cost["nulls"]) == (questions + 2 * 2, 2) and list(here.iterdir()) == []
    said = told(capsys, *words, "--nulls", "0", "--threshold", "0.5", "--out", "f")
    assert said["calls"] == questions
    lots = [lot["named"] for lot in said["walked"]["by_lot"]]
    assert min(lots) >= 1 and [u["verdict"] for u in said["units"]] == ["named"] * 2, lots


def test_directions_are_named_by_p_values_as_well(here, capsys):
    said = told(capsys, PLANTED, *QUICK, "--conformal", "--out", "o.html")
    assert [u["verdict"] for u in said["units"]] == ["named"] * 3
    assert [lot["named"] for lot in said["walked"]["by_lot"]] == [0, 0]


ABOUT = "is about models that decode in one pass; planted is studied along directions that it has itself. Leave it out."  # noqa: E501
NONE = "is about diffusion models; tests.cli.latent_model:grey is none. Leave it out, or name directions that were found in its latents with --dictionary."  # noqa: E501
REFUSED: list[tuple[list[str], str]] = [
    ([PLANTED, "--span", "0.5"], f"--span {ABOUT}"),
    ([PLANTED, "--values", "published"], f"--values {ABOUT}"),
    ([PLANTED, "--move", "add"], f"--move {ABOUT}"),
    ([PLANTED, "--dictionary", "nowhere"], f"--dictionary {ABOUT}"),
    ([PLANTED, "--directions", "0"], "--directions needs 1 or more; it got 0."),
    ([PLANTED, "--directions", "4000"], "Pullback was asked for 4000 directions of pictures with 3072 numbers. Ask for fewer."),  # noqa: E501
    ([PLANTED, "--time", "2"], "--time needs a number from 0 to 1; it got '2'."),
    ([PLANTED, "--time", "0.5"], "a diffusion model is opened at a share of its 10 times, at least one of its steps and at most 1; it got time=0.5, steps=1. Choose others."),  # noqa: E501
    ([PLANTED, "--units", "5"], "unit 5 is not in planted/directions, which has 5 units, numbered from 0. Choose one of them."),  # noqa: E501
    ([PLANTED, "--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
    ([GREY, "--directions", "3"], f"--directions {NONE}"),
    ([GREY, "--time", "1"], f"--time {NONE}"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[-40:])
def test_bad_input_gets_one_sentence_and_leaves_nothing(here, capsys, words, sentence):
    assert ran(capsys, *words, code=2) == ("", f"legenda: {sentence}\n")
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_the_shipped_model_is_studied(here, capsys):
    said = told(capsys, SHIPPED, "--directions", "1", "--rows", "2", "--frames", "4", "--out", "o.html")  # fmt: skip # noqa: E501
    assert (said["model"], said["ref"], said["walked"]["site"]) == ("ddpm", "zoo:ddpm", "mid_block")
    assert said["units"][0]["effect"] > said["walked"]["by_lot"][0]["effect"]
    assert said["walked"]["converged"] and said["settings"]["steps"] == "4"
