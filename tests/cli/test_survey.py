"""`legenda survey` through `main`, on painted pictures."""

import os
import shlex

import pytest

from legenda.cli import main
from legenda.corpus.unit_survey import UnitSurvey
from tests.cli import concept_world
from tests.cli.concept_world import (
    FIT,
    HELD_OUT,
    MODEL,
    PICTURES,
    POSITIONS,
    REF,
    UNITS,
    files,
    killed,
    ran,
    refused,
    spoilt,
    told,
)

GIVEN = ["survey", MODEL, "pics"]
SURVEY = "survey/survey.safetensors"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Everything that the four commands make."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Pictures and words alone."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path, whole=False)


def shard(folder):
    (one,) = (folder / "survey").glob("0*.safetensors")
    return one


def test_units_of_the_dictionary_and_the_next_command(here, capsys):
    out, err = ran(capsys, *GIVEN, "--out", "a")
    seen = PICTURES - HELD_OUT
    assert f"{seen} pictures, {seen * POSITIONS:,} positions, {UNITS} units, " in out
    assert err == "a: name its units with `legenda name a`\n"
    found = UnitSurvey.load(here / "a" / SURVEY)
    assert found.images == seen and found.address == "colours/patches/matryoshka"
    assert "000.png" in found.keys or "001.png" in found.keys


def test_json_lines_say_each_unit(here, capsys):
    head, *units = told(capsys, *GIVEN, "--out", "a")
    found = UnitSurvey.load(here / "a" / SURVEY)
    assert head["units"] == len(units) == UNITS and head["refused"] == 0
    assert [one["positions"] for one in units] == found.active.tolist()
    for one in units:
        assert one["interval"][0] <= one["share"] <= one["interval"][1]


@pytest.mark.parametrize(
    ("model", "what"),
    [(f"{MODEL}@image=read", "its neurons"), ("tests.tasks.palette:model", "the tokens of its codebook")],  # noqa: E501
)  # fmt: skip
def test_without_a_dictionary_it_says_what_it_surveys(bare, capsys, model, what):
    out, err = ran(capsys, "survey", model, "pics", "--out", "o")
    assert err == f"o has no dictionary; the units of {model} are {what}\no\n"
    assert f"{PICTURES} pictures" in out
    assert not (bare / "o" / "dictionary.safetensors").exists()
    assert refused(capsys, "name", "o", "--words", "words.txt") == (
        f"naming needs a model whose patches meet sentences; {model} has none. Fit concepts to "
        "the patches of a dual encoder, such as zoo:photos@patches."
    )


def test_pictures_that_cannot_be_read_are_listed_and_counted(bare, capsys):
    ran(capsys, "fit", MODEL, "pics", *FIT, "--held-out", "0", "--out", "o")
    whole = told(capsys, *GIVEN, "--out", "o")
    before = UnitSurvey.load(bare / "o" / SURVEY)
    for name in ("004.png", "020.png"):
        (bare / "pics" / name).write_bytes(b"no picture")
    with_fewer = ["survey", MODEL, "pics", "--out", "p"]
    (bare / "o" / "survey").rename(bare / "o" / "first")
    said = told(capsys, *GIVEN, "--out", "o", code=2)
    errors, lines = [one for one in said if "error" in one], [s for s in said if "error" not in s]
    assert [one["picture"] for one in errors] == ["004.png", "020.png"]
    assert errors[0]["error"].startswith("pics/004.png is not an image that legenda reads")
    assert lines[0]["images"] == PICTURES - 2 and lines[0]["refused"] == 2
    found = UnitSurvey.load(bare / "o" / SURVEY)
    assert [key for key, _ in found.refused] == ["004.png", "020.png"]
    assert found.active.sum() < before.active.sum() and whole[0]["refused"] == 0
    assert main([*with_fewer, "--strict"]) == 2
    assert "pics/004.png is not an image" in capsys.readouterr().err
    assert not (bare / "p" / SURVEY).exists()


def test_no_picture_at_all(bare, capsys):
    for one in (bare / "pics").iterdir():
        one.write_bytes(b"no picture")
    ran(capsys, *GIVEN, "--out", "o", "--dry-run", code=0)
    _, err = ran(capsys, *GIVEN, "--out", "o", code=2)
    assert err.splitlines()[-1].startswith(
        "legenda: None of the 40 pictures can be read. The first: pics/000.png is not an image"
    )
    (bare / "empty").mkdir()
    said = refused(capsys, "survey", MODEL, "empty", "--out", "e")
    assert said.startswith("empty has no images; a file ending in one of ")
    assert not (bare / "e").exists()


def test_a_dry_run_writes_nothing(here, capsys):
    before = files(here)
    (cost,) = told(capsys, *GIVEN, "--out", "a", "--dry-run")
    assert cost["pictures"] == 37 and cost["timed"] == 32 and cost["bytes"] > 0
    out, _ = ran(capsys, *GIVEN, "--out", "a", "--dry-run")
    assert out.startswith("37 pictures would take about")
    ran(capsys, *GIVEN, "--out", "new", "--dry-run")
    assert files(here) == before and not (here / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--floor", "x"], "--floor needs a number of 0 or more; it got 'x'."),
        (["--floor", "-1"], "--floor needs a number of 0 or more; it got '-1'."),
        (["--top", "0"], "--top needs 1 or more; it got 0."),
        (["--per-image", "1.5"], "--per-image needs a whole number; it got '1.5'."),
        (["--workers", "0"], "--workers needs 1 or more; it got 0."),
        (["--out", "words.txt"], "words.txt is a file; a folder is needed."),
        (["--out", "zoo:scenes"], "zoo:scenes ships with legenda and is not written to. Name a folder."),  # noqa: E501
        (["--out", "pics"], "pics is there, and legenda did not write it. Choose another --out."),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(here, capsys, options, message):
    before = files(here)
    assert refused(capsys, *GIVEN, *options) == message
    assert files(here) == before


def test_another_model_than_the_folder_s(here, capsys):
    before = files(here)
    other = f"{MODEL}@image=read"
    assert refused(capsys, "survey", other, "pics", "--out", "a") == (
        f"the dictionary in a was fitted to {REF}; it got {other}. Name that model, or another "
        "folder."
    )
    assert files(here) == before


def test_a_dictionary_of_another_width(here, capsys):
    ran(capsys, "fit", "tests.tasks.palette:model", "pics", *FIT, "--kind", "topk", "--out", "o")
    (here / "o" / "dictionary.safetensors").replace(here / "a" / "dictionary.safetensors")
    assert refused(capsys, *GIVEN, "--out", "a").startswith("the dictionary in a was fitted to tests.tasks")  # fmt: skip # noqa: E501


def test_a_damaged_file_is_named_and_made_anew(here, capsys):
    whole = files(here / "a")
    assert told(capsys, *GIVEN, "--out", "a", "--verify") == [
        {"kind": "verified", "files": 1, "damaged": []}
    ]
    name = shard(here / "a").name
    spoilt(shard(here / "a"))
    (said,) = told(capsys, *GIVEN, "--out", "a", "--verify", code=2)
    assert said["damaged"] == [name]
    out, err = ran(capsys, *GIVEN, "--out", "a", "--verify", code=2)
    assert out == "1 files, 1 damaged or absent\n" and err == (
        f"legenda: a/survey/{name} is damaged or absent. Survey again: only it is made anew.\n"
    )
    assert refused(capsys, "relations", "a") == (
        f"a/survey/{name} is damaged: its checksum is another. Record into the same folder "
        "again: only this shard is computed anew."
    )
    ran(capsys, *GIVEN, "--out", "a")
    assert files(here / "a") == whole


def test_verify_where_nothing_is(here, capsys):
    said = refused(capsys, *GIVEN, "--out", "nowhere", "--verify")
    assert said == "nowhere has no survey yet. Make one with `legenda survey`."


def test_what_is_recorded_is_not_computed_again(here, capsys, monkeypatch):
    from legenda.corpus.picture_pass import PicturePass

    before = files(here / "a")
    monkeypatch.setattr(PicturePass, "one", lambda *_: pytest.fail("it was recorded"))
    ran(capsys, *GIVEN, "--out", "a")
    assert files(here / "a") == before


def test_retrained_weights_are_noticed(here, capsys, monkeypatch):
    net = concept_world.model().image.module
    monkeypatch.setattr(net.place, "data", net.place.data + 1)
    said = refused(capsys, *GIVEN, "--out", "a")
    assert said.startswith(f"a/survey holds something else: model is '{REF} ")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked to be killed")
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(here, capsys):
    whole = files(here / "a")
    for part in ("survey", "exemplars.webp", "exemplars.json", "names.json", "relations.json"):
        place = here / "a" / part
        concept_world.shutil.rmtree(place) if place.is_dir() else place.unlink()
    kills = 0
    for at in (1, 2, 3, 5, 7, 8):
        kills += killed(lambda: main([*GIVEN, "--out", "a"]), at)
    assert kills >= 5
    ran(capsys, *GIVEN, "--out", "a")
    after = files(here / "a")
    assert {k: v for k, v in whole.items() if k in after} == after and SURVEY in after


def test_the_command_it_names_runs(here, capsys):
    _, err = ran(capsys, *GIVEN, "--out", "a")
    words = shlex.split(err.split("`")[1])[1:]
    ran(capsys, *words, "--words", "words.txt", "--level", "0", "--tells", "0")


def test_workers_and_the_order_of_reading_change_nothing(here, capsys):
    first = (here / "a" / SURVEY).read_bytes()
    concept_world.shutil.rmtree(here / "a" / "survey")
    ran(capsys, *GIVEN, "--out", "a", "--workers", "1")
    assert (here / "a" / SURVEY).read_bytes() == first
