"""`legenda zoo train`: what would train nothing is refused before anything is written."""

from pathlib import Path

import pytest

from legenda.cli import main
from legenda.errors import BadInput
from legenda.zoo.scenes.recipe import new_model, save, train

BATCH = "training needs at least one batch of 128 images; it got images={} and batch=128. Ask for more images."  # noqa: E501
REFUSED = [
    ("images", 0, BATCH.format(0)),
    ("images", -128, BATCH.format(-128)),
    ("images", 127, BATCH.format(127)),
    ("workers", 0, "training needs at least one worker that paints; it got workers=0. Give 1."),
    ("workers", -1, "training needs at least one worker that paints; it got workers=-1. Give 1."),
    ("seed", -1, "training needs a seed of 0 or more; it got seed=-1. Give 0."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_what_would_train_nothing_is_refused(tmp_path, monkeypatch, capsys, name, value, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["zoo", "train", "scenes", f"--{name}={value}"]) == 2
    assert capsys.readouterr().err == f"legenda: {sentence}\n"
    with pytest.raises(BadInput) as caught:
        train(tmp_path / "made", **{name: value})
    assert str(caught.value) == sentence
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_a_folder_of_others_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("index.html").write_text("mine")
    assert main(["zoo", "train", "scenes", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"legenda: {tmp_path / 'index.html'} is there, and legenda did not write it. "
        "Choose another --out.\n"
    )


def test_a_model_may_be_named_as_a_reference(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["zoo", "train", "zoo:scenes", "--images", "0"]) == 2
    assert capsys.readouterr().err == f"legenda: {BATCH.format(0)}\n"


def test_saving_is_silent(tmp_path, capfd):
    save(new_model(), tmp_path)
    assert capfd.readouterr().err == ""
    assert (tmp_path / "model.safetensors").exists()


def test_a_folder_without_a_run_is_not_written_to(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"mine")
    assert main(["zoo", "train", "scenes", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"legenda: --out {tmp_path} holds no run to go on with. Name an empty or new folder.\n"
    )
    assert (tmp_path / "model.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("option", ["images", "workers"])
def test_photos_takes_no_option_of_scenes(tmp_path, capsys, option):
    assert main(["zoo", "train", "photos", "--out", str(tmp_path), f"--{option}", "9"]) == 2
    assert capsys.readouterr().err == (
        f"legenda: zoo train photos takes no --{option}: it sees every pair. Leave it out.\n"
    )
    assert not list(tmp_path.iterdir())
