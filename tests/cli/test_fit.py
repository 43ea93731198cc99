"""`legenda fit` through `main`, on painted pictures."""

import json
import shlex

import pytest

from legenda.cli import main
from legenda.dictionaries.storage import open_dictionary
from legenda.tasks.concept_folder import concept_folder
from tests.cli import concept_world
from tests.cli.concept_world import (
    FIT,
    HELD_OUT,
    MODEL,
    NAME,
    PICTURES,
    POSITIONS,
    REF,
    UNITS,
    WIDTH,
    files,
    ran,
    refused,
    told,
)

GIVEN = ["fit", MODEL, "pics", *FIT]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Pictures and words, nothing fitted."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path, whole=False)


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """The same with everything that the four commands make."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path)


def test_a_dictionary_its_measures_and_the_next_command(here, capsys):
    out, err = ran(capsys, *GIVEN, "--out", "ä o")
    lines = out.splitlines()
    assert lines[0] == f"{UNITS} units fitted to 1,332 positions of {PICTURES - HELD_OUT} pictures"
    assert lines[1] == f"on {HELD_OUT} held-out pictures:"
    assert [line.partition(":")[0] for line in lines[2:]] == ["fvu", "l0", "dead", "cosine"]
    assert all("control" in line and "(n " in line for line in lines[2:])
    assert err == f"ä o: survey it with `legenda survey {MODEL} pics --out 'ä o'`\n"
    assert sorted(files(here / "ä o")) == ["concepts.json", "dictionary.safetensors"]
    dictionary, about = open_dictionary(here / "ä o")
    assert dictionary.atoms.shape == (UNITS, WIDTH) and about.model == REF
    assert dictionary.name == "matryoshka" and about.rows == 1332
    assert main(shlex.split(err.split("`")[1])[1:]) == 0  # what it says, runs


def test_json_is_one_line_of_numbers(here, capsys):
    (said,) = told(capsys, *GIVEN, "--out", "o")
    assert said["kind"] == "fit" and said["model"] == REF
    assert said["rows"] == 1332 and said["pictures"] == [PICTURES - HELD_OUT, HELD_OUT]
    assert set(said["figures"]) == {"fvu", "l0", "dead", "cosine"}
    value, low, high, control = said["figures"]["fvu"]
    assert low <= value <= high and value < control


def test_an_interval_of_one_picture_has_no_ends(here, capsys):
    (here / "few").mkdir()
    for name in ("000.png", "001.png"):
        (here / "pics" / name).rename(here / "few" / name)
    few = ["fit", MODEL, "few", *FIT, "--held-out", "0"]
    (said,) = told(capsys, *few, "--out", "o")
    assert said["pictures"] == [2, 0]
    (here / "few" / "001.png").unlink()
    alone = ["fit", MODEL, "few", "--units", "3", "--k", "2", "--kind", "kmeans", "--held-out", "0"]
    (said,) = told(capsys, *alone, "--out", "p")
    assert said["figures"]["fvu"][1:3] == [None, None]
    out, _ = ran(capsys, *alone, "--out", "p")
    assert "on the same pictures, none being held out:" in out and "inf" not in out


def test_a_dry_run_writes_nothing(here, capsys):
    (said,) = told(capsys, *GIVEN, "--dry-run", "--out", "o")
    assert said == {
        "kind": "cost", "pictures": 37, "rows": 1332, "bytes": 1332 * (2 * WIDTH + 6),
        "epochs": 120 * 128 / 1332,
    }  # fmt: skip
    out, err = ran(capsys, *GIVEN, "--dry-run", "--out", "o")
    assert err == "" and " ".join(out.split()) == (
        "37 pictures give 1,332 positions, 0 MB while it is fitted; the steps see each 11.5 times"
    )
    assert sorted(p.name for p in here.iterdir()) == ["pics", "words.txt"]


def test_pictures_that_cannot_be_read_are_listed_and_the_others_are_fitted(here, capsys):
    for name in ("004.png", "020.png"):
        (here / "pics" / name).write_bytes(b"no picture")
    (here / "pics" / "021.png").write_bytes((here / "pics" / "022.png").read_bytes()[:-30])
    *lost, said = told(capsys, *GIVEN, "--out", "o", code=2)
    assert sorted(one["picture"] for one in lost) == ["004.png", "020.png", "021.png"]
    assert said["refused"] == 3 and said["rows"] == POSITIONS * (37 - len(seen(lost)))
    assert (here / "o" / "dictionary.safetensors").is_file()


def seen(lost):
    """Those that were not held out."""
    from legenda.corpus.pictures import _lot

    return [one for one in lost if _lot(one["picture"], 0) >= 0.1]


def test_where_no_held_out_picture_can_be_read_the_others_are_measured(here, capsys):
    from legenda.corpus.pictures import _lot

    held = [p for p in (here / "pics").iterdir() if _lot(p.name, 0) < 0.1]
    assert len(held) == HELD_OUT
    for one in held:
        one.write_bytes(b"no picture")
    *lost, said = told(capsys, *GIVEN, "--out", "o", code=2)
    assert {one["picture"] for one in lost} == {p.name for p in held}
    assert said["figures"]["fvu"][0] < 1.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--units", "x"], "--units needs a whole number; it got 'x'."),
        (["--units", "0"], "--units needs 1 or more; it got 0."),
        (["--per-image", "x"], "--per-image needs a whole number; it got 'x'."),
        (["--per-image", "0"], "--per-image needs 1 or more; it got 0."),
        (["--seed", "-1"], "--seed needs 0 or more; it got -1."),
        (["--lr", "nan"], "--lr needs a number of 0 or more; it got 'nan'."),
        (["--lr", "0"], "a fit needs steps, batch and every of 1 or more, and a rate above 0; it got 120, 128, 250 and 0.0."),  # noqa: E501
        (["--price", "x"], "--price needs a number of 0 or more; it got 'x'."),
        (["--held-out", "1.5"], "--held-out needs a number from 0 to 1; it got '1.5'."),
        (["--held-out", "1"], "all 40 pictures are held out, at a share of 1. Hold out fewer, or give more pictures."),  # noqa: E501
        (["--k", "13"], "MatryoshkaBatchTopK has from 1 to 12 units on at a row, all that it has; it got k=13. Change k, or units."),  # noqa: E501
        (["--groups", "10,x"], "--groups needs numbers with commas between, such as 1,2,3; it got '10,x'."),  # noqa: E501
        (["--groups", "10,10"], "MatryoshkaBatchTopK needs groups of 1 unit or more that sum to its 12 units; it got (10, 10), which sum to 20. Change these."),  # noqa: E501
        (["--groups", ""], "MatryoshkaBatchTopK needs groups of 1 unit or more that sum to its 12 units; it got (), which sum to 0. Change these."),  # noqa: E501
        (["--kind", "mathryoshka"], "there is no dictionary of the kind 'mathryoshka'. Did you mean 'matryoshka'? Known: matryoshka, batch-topk, topk, relu-l1, jumprelu, gated, mp, archetypal, vsae, nested-k, nmf, semi-nmf, kmeans, pca, random."),  # noqa: E501
        (["--units", "1333"], "1333 units need 1333 activations or more; there are 1332. Give more pictures, keep more positions of each, or ask for fewer units."),  # noqa: E501
        (["--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
        (["--out", "words.txt"], "words.txt is a file; a folder is needed."),
        (["--out", "words.txt/o"], "words.txt/o/concepts.json could not be written: Not a directory. Make room there, or choose another folder."),  # noqa: E501
        (["--out", ""], "the folder of the concepts has no name. Name a folder."),
        (["--out", "zoo:photos"], "zoo:photos ships with legenda and is not written to. Name a folder."),  # noqa: E501
    ],
)  # fmt: skip
def test_a_bad_option_is_refused_before_anything_is_written(here, capsys, options, message):
    given = dict(zip(FIT[::2], FIT[1::2], strict=True)) | {"--out": "o"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    assert refused(capsys, *GIVEN[:3], *[w for pair in given.items() for w in pair]) == message
    assert sorted(p.name for p in here.iterdir()) == ["pics", "words.txt"]


@pytest.mark.parametrize(
    ("model", "images", "message"),
    [
        ("zoo:scenez", "pics", "there is no zoo model named 'scenez'. Did you mean 'scenes'? Known: scenes, photos, vq, vae, ddpm."),  # noqa: E501
        ("zoo:scenes@x", "pics", "scenes/image opens at embeddings or at blocks 0 to 3; it got x. Choose one of them."),  # noqa: E501
        (MODEL, "pix", "source of pictures pix is not there. Did you mean 'pics'?"),
        (MODEL, "words.txt", "words.txt ends in '.txt'; pictures come from a folder"),
    ],
)  # fmt: skip
def test_a_model_or_pictures_that_are_not_there(here, capsys, model, images, message):
    assert refused(capsys, "fit", model, images, *FIT, "--out", "o").startswith(message)
    assert not (here / "o").exists()


def test_a_folder_of_somebody_else_is_left_alone(here, capsys):
    (here / "o").mkdir()
    (here / "o" / "dictionary.safetensors").write_text("mine")
    for more in ([], ["--dry-run"]):
        said = refused(capsys, *GIVEN, "--out", "o", *more)
        assert said == "o is there, and legenda did not write it. Choose another --out."
    assert files(here / "o") == {"dictionary.safetensors": b"mine"}


def test_a_folder_of_other_concepts_is_left_alone(fitted, capsys):
    before = files(fitted / "a")
    assert refused(capsys, *GIVEN, "--out", "a", "--held-out", "0.2") == (
        f"a holds concepts of {REF}, 0.1 of the pictures held out by seed 0; asked for are {REF}, "
        "0.2 and 0. Choose another --out."
    )
    assert refused(capsys, "fit", f"{MODEL}@image=read", "pics", *FIT, "--out", "a") == (
        f"a holds concepts of {REF}, 0.1 of the pictures held out by seed 0; asked for are "
        f"{MODEL}@image=read, 0.1 and 0. Choose another --out."
    )
    assert files(fitted / "a") == before


def test_the_same_fit_again_keeps_what_was_made_of_it(fitted, capsys):
    before = {name: data for name, data in files(fitted / "a").items() if name != FILE}
    (said,) = told(capsys, *GIVEN, "--out", "a")
    assert said["forgotten"] == []
    assert {name: data for name, data in files(fitted / "a").items() if name != FILE} == before


FILE = "dictionary.safetensors"


def test_another_fit_forgets_what_told_of_other_units_but_no_person_s_words(fitted, capsys):
    ran(capsys, "name", "a", "--correct", "0=wheel", "--note", "round")
    kept = (fitted / "a" / "corrections.json").read_bytes()
    out, err = ran(capsys, *GIVEN, "--out", "a", "--seed", "1")
    assert "it is another dictionary than before: names.json, relations.json, " in err
    assert "survey told of that one and are gone" in err
    assert set(files(fitted / "a")) >= {"corrections.json", "concepts.json", FILE}
    assert not (fitted / "a" / "survey").exists() and not (fitted / "a" / "names.json").exists()
    assert (fitted / "a" / "corrections.json").read_bytes() == kept
    assert refused(capsys, "name", "a") == ("a has no survey yet. Make one with `legenda survey`.")
    ran(capsys, "survey", MODEL, "pics", "--out", "a")
    ran(capsys, "name", "a", *NAME)
    held = concept_folder("a").corrected()  # at the nearest atom, or kept aside
    assert [one.word for one in (*held.held, *held.orphans)] == ["wheel"]
    said = json.loads((fitted / "a" / "corrections.json").read_text())["corrections"]
    assert [(one["word"], one["note"]) for one in said] == [("wheel", "round")]


def test_neurons_and_tokens_can_be_fitted_too(here, capsys):
    for number, model in enumerate((f"{MODEL}@image=read", "tests.tasks.palette:model")):
        (said,) = told(capsys, "fit", model, "pics", *FIT, "--kind", "topk", "--out", f"{number}")
        assert said["model"] == model


def test_what_is_learned_at_once_has_no_steps(here, capsys):
    given = ["fit", MODEL, "pics", "--units", "8", "--k", "2", "--kind", "kmeans", "--out", "o"]
    (said,) = told(capsys, *given, "--dry-run")
    assert said["epochs"] == 0
    (said,) = told(capsys, *given)
    assert said["figures"]["l0"][0] == 1


def test_rows_are_kept_where_they_are_wanted(here, capsys):
    ran(capsys, *GIVEN, "--out", "o", "--keep-rows")
    assert {name.split("/")[0] for name in files(here / "o")} == {"concepts.json", FILE, "rows"}
    kept = files(here / "o" / "rows")
    fewer = ["90" if word == "120" else word for word in GIVEN]  # other settings, the same rows
    ran(capsys, *fewer, "--out", "o", "--keep-rows")
    assert files(here / "o" / "rows") == kept
