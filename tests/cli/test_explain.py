"""`legenda explain` on folders and lists: equal pictures, resumption, settings as typed."""

import json
import shutil

import pytest
from PIL import Image

from legenda.cli import main
from legenda.zoo.scenes import draw
from legenda.zoo.scenes.render import photograph
from tests.models.test_opening import saved_dual

FAST = ["--no-score", "--steps", "1", "--json"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Four pictures, the first two of them equal."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "d"
    folder.mkdir()
    for name, seed in (("1", 5), ("2", 5), ("3", 6), ("4", 7)):
        Image.fromarray(photograph(draw(seed))).save(folder / f"{name}.png")
    return folder


def explained(capsys, *words):
    assert main(["explain", "zoo:scenes", *words, *FAST]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


@pytest.mark.parametrize("out", ["o", "o.html"])
def test_equal_pictures_shift_nothing(pictures, capsys, out):
    together = explained(capsys, "d", "a green tree", "--out", out)
    assert [p["source"] for p in together] == [f"d/{i}.png" for i in (1, 2, 3, 4)]
    for pair in together:
        (alone,) = explained(capsys, pair["source"], "a green tree", "--out", "alone.html")
        assert pair["figures"]["cosine"] == pytest.approx(alone["figures"]["cosine"], abs=1e-5)
    again = explained(capsys, "d", "a green tree", "--out", out)
    assert [p["figures"]["cosine"] for p in again] == [p["figures"]["cosine"] for p in together]


def test_an_equal_picture_keeps_its_own_name(pictures, capsys):
    explained(capsys, "d/1.png", "a tree", "--out", "o")
    (found,) = explained(capsys, "d/2.png", "a tree", "--out", "o")
    assert found["source"] == "d/2.png" and " d/2.png " in found["command"]
    assert len((pictures.parent / "o" / "results.jsonl").read_text().splitlines()) == 1


def test_another_model_in_the_same_place_is_another_result(tmp_path, pictures, capsys):
    def cosine():
        assert main(["explain", "m", "d/1.png", "a red house", "--out", "o", *FAST]) == 0
        return json.loads(capsys.readouterr().out)["figures"]["cosine"]

    from safetensors.torch import load_file, save_file

    saved_dual(tmp_path / "m")
    first = cosine()
    assert cosine() == first
    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights["visual_projection.weight"] = -weights["visual_projection.weight"]
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    assert cosine() == pytest.approx(-first, abs=1e-5)


def test_a_sentence_with_odd_separators_is_done_once(pictures, capsys):
    sentence = "a tree\u2028and a\x85house"
    for _ in range(2):
        explained(capsys, "d/1.png", sentence, "--out", "o")
    assert (pictures.parent / "o" / "results.jsonl").read_text().count("\n") == 1


def test_a_file_name_that_is_no_text(pictures, capsys):
    shutil.copy(pictures / "4.png", bytes(pictures) + b"/caf\xe9.png")
    found = explained(capsys, "d", "a tree", "--out", "o")
    assert found[-1]["source"].startswith("d/caf") and len(found) == 5


def test_a_sentence_that_looks_like_an_option_is_quoted_by_the_command(pictures, capsys):
    (pictures.parent / "l.jsonl").write_text('{"image": "d/1.png", "text": "--json"}\n')
    (found,) = explained(capsys, "l.jsonl", "--out", "o.html")
    assert found["command"].endswith(" -- zoo:scenes d/1.png --json")


def test_the_line_is_told_of_a_lone_pair_too(pictures, capsys):
    (pictures / "1.png").write_bytes(b"no picture")
    (pictures.parent / "l.jsonl").write_text('{"image": "d/1.png", "text": "a"}\n')
    assert main(["explain", "zoo:scenes", "l.jsonl"]) == 2
    assert capsys.readouterr().err.startswith("legenda: line 1: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "1.5"], "--steps needs a whole number; it got '1.5'."),
        (["--seed", "9" * 20], f"--seed needs a whole number; it got '{'9' * 20}'."),
        (["--beta", "inf"], "m2ib needs a finite number for beta; it got inf."),
        (["--set", "lr=nan"], "m2ib needs a finite number for lr; it got nan."),
        (["--set", "smooth=abc"], "m2ib needs a finite number for smooth; it got 'abc'."),
        (["--beta", "3", "--set", "beta=2"], "beta is given twice; give it once."),
    ],
)
def test_settings_are_checked_before_anything_is_opened(pictures, capsys, words, sentence):
    assert main(["explain", "zoo:scenes", "d/1.png", "a", *words]) == 2
    assert capsys.readouterr().err == f"legenda: {sentence}\n"
    assert not (pictures.parent / "legenda-explain").exists()


def test_a_sweep_takes_a_setting_once(pictures, capsys):
    words = ["--steps", "5,10", "--set", "steps=7"]
    assert main(["sweep", "zoo:scenes", "d/1.png", "a", *words]) == 2
    assert capsys.readouterr().err == (
        "legenda: steps is given twice, by --steps and by --set; give it once.\n"
    )
