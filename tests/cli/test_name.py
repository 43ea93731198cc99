"""`legenda name` through `main`, on painted pictures."""

import json

import pytest

from legenda.cli import main
from tests.cli import concept_world
from tests.cli.concept_world import COLOURS, MODEL, NAME, UNITS, files, ran, refused, told


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Everything that the four commands make."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path)


def words(folder):
    return {one["unit"]: one["word"] for one in json.loads((folder / "names.json").read_text())["names"]}  # fmt: skip # noqa: E501


def corrections(folder):
    return json.loads((folder / "corrections.json").read_text("utf-8"))["corrections"]


def test_units_get_the_colours_they_are_and_the_next_command(here, capsys):
    out, err = ran(capsys, "name", "a", *NAME)
    assert f"of {UNITS} units have a name; on held-out pictures a name tells its patches" in " ".join(out.split())  # fmt: skip # noqa: E501
    assert "inf" not in out and "nan" not in out
    assert err == "a: relate its units with `legenda relations a`\n"
    called = [word for word in words(here / "a").values() if word]
    assert called and set(called) <= set(COLOURS)


def test_json_has_a_line_for_each_unit(here, capsys):
    said = told(capsys, "name", "a", *NAME)
    assert [one["unit"] for one in said] == list(range(UNITS))
    assert {one["unit"]: one["word"] for one in said} == words(here / "a")


def test_the_same_names_again(here, capsys):
    before = (here / "a" / "names.json").read_bytes()
    ran(capsys, "name", "a", *NAME)
    assert (here / "a" / "names.json").read_bytes() == before


def test_a_person_s_word_holds_whatever_is_computed(here, capsys):
    (said,) = told(capsys, "name", "a", "--correct", "0=Räder > 3 猫", "--note", "round")
    assert (said["unit"], said["word"], said["by"], said["reason"]) == (0, "Räder > 3 猫", "a person", "round")  # fmt: skip # noqa: E501
    for method in ("vanilla", "family", "centred", "contrastive"):
        named = told(capsys, "name", "a", *NAME, "--method", method)
        assert named[0]["word"] == "Räder > 3 猫" and named[0]["by"] == "a person"
    assert words(here / "a")[0] != "Räder > 3 猫"  # what is computed stays what it was
    assert [(one["unit"], one["word"], one["note"]) for one in corrections(here / "a")] == [(0, "Räder > 3 猫", "round")]  # fmt: skip # noqa: E501


def test_a_correction_is_taken_back(here, capsys):
    own = words(here / "a")[0]
    ran(capsys, "name", "a", "--correct", "0=wheel", "--correct", "1=sail")
    (said,) = told(capsys, "name", "a", "--correct", "0=")
    assert said["word"] == own and [one["unit"] for one in corrections(here / "a")] == [1]
    _, err = ran(capsys, "name", "a", "--correct", "0=")
    assert err == "there is no correction of unit 0 to take back\n"
    out, _ = ran(capsys, "name", "a", "--correct", "1=mast")
    assert "mast (a person)" in out and len(corrections(here / "a")) == 1


def test_taking_back_leaves_what_holds_for_no_unit(here, capsys):
    place = here / "a" / "corrections.json"
    place.write_text('{"schema": 1, "corrections": [{"unit": 0, "word": "x", "atom": "gone"}]}')
    _, err = ran(capsys, "name", "a", "--correct", "0=")
    assert "there is no correction of unit 0 to take back" in err
    assert "the correction 0=x holds for no unit of this dictionary; it is kept aside" in err
    ran(capsys, "name", "a", "--correct", "0=wheel")
    ran(capsys, "name", "a", "--correct", "0=")
    assert [one["word"] for one in corrections(here / "a")] == ["x"]


@pytest.mark.parametrize("given", ["3", "=x", f"{UNITS}=x", "-1=x", "x=3", "9" * 30 + "=x"])
def test_a_correction_of_no_unit(here, capsys, given):
    before = files(here)
    assert refused(capsys, "name", "a", f"--correct={given}", "--correct", "0=fine") == (
        f"--correct needs UNIT=WORD, with a unit below {UNITS}; it got {given!r}."
    )
    assert files(here) == before


@pytest.mark.parametrize("command", [["name", "a", *NAME], ["name", "a", "--correct", "0=x"], ["relations", "a"]])  # fmt: skip # noqa: E501
def test_corrections_that_a_hand_broke_are_left_as_they_are(here, capsys, command):
    (here / "a" / "corrections.json").write_text('{"schema": 1, "corrections": [\n')
    before = files(here)
    assert refused(capsys, *command) == (
        "a/corrections.json is not JSON at line 2, column 1: Expecting value. Mend that line; "
        "nothing in the file was changed."
    )
    assert files(here) == before


def test_names_that_a_hand_broke(here, capsys):
    (here / "a" / "names.json").write_text('{"schema": 1, "names": [')
    said = refused(capsys, "name", "a", "--correct", "0=x")
    assert said == "a/names.json is not JSON at line 1. Name the units again."
    ran(capsys, "name", "a", *NAME)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--words", "w.txt"], "word list w.txt is not there. Did you mean 'words.txt'?"),
        (["--words", "pics"], "pics is no word list: a .txt with a word a line or a .csv is needed."),  # noqa: E501
        (["--method", "centered"], "names are given by vanilla, family, centred, contrastive; it got 'centered'. Did you mean 'centred' or 'contrastive'?"),  # noqa: E501
        (["--level", "x"], "--level needs a number from 0 to 1; it got 'x'."),
        (["--level", "1"], "Abstention needs a level from 0 to below 1 and at least one draw; it got level=1.0, draws=2048."),  # noqa: E501
        (["--tells", "2"], "--tells needs a number from 0 to 1; it got '2'."),
        (["--seed", "-1"], "--seed needs 0 or more; it got -1."),
        (["--images", "pix"], "source of pictures pix is not there. Did you mean 'pics'?"),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(here, capsys, options, message):
    before = files(here)
    given = dict(zip(NAME[::2], NAME[1::2], strict=True)) | dict(zip(*[iter(options)] * 2, strict=True))  # fmt: skip # noqa: E501
    assert refused(capsys, "name", "a", *[w for pair in given.items() for w in pair]) == message
    assert files(here) == before


def test_folders_without_what_it_needs(here, capsys):
    assert refused(capsys, "name", "b") == "folder of concepts b is not there. Check the path."
    assert refused(capsys, "name", "pics") == (
        "pics has no concepts yet. Fit them with `legenda fit`."
    )
    assert refused(capsys, "name", "words.txt") == "words.txt is a file; a folder is needed."
    assert refused(capsys, "name", "zoo:scenes", "--correct", "0=x") == (
        "zoo:scenes ships with legenda and is not written to. Name a folder."
    )
    concept_world.shutil.rmtree("a/survey")
    assert refused(capsys, "name", "a", *NAME) == (
        "a has no survey yet. Make one with `legenda survey`."
    )
    (here / "a" / "names.json").unlink()
    assert refused(capsys, "name", "a", "--correct", "0=x") == (
        "a has no names yet. Give them with `legenda name`."
    )
    assert not (here / "a" / "corrections.json").exists()


def test_pictures_that_have_moved(here, capsys):
    (here / "pics").rename(here / "elsewhere")
    said = refused(capsys, "name", "a", *NAME)
    assert said == (
        "source of pictures pics is not there. Check the path. Say where the pictures are now with "
        "--images."
    )
    before = (here / "a" / "names.json").read_bytes()
    ran(capsys, "name", "a", *NAME, "--images", "elsewhere")
    assert (here / "a" / "names.json").read_bytes() == before


@pytest.mark.parametrize("spoilt", [1, 3])
def test_held_out_pictures_that_cannot_be_read_are_listed(here, capsys, spoilt):
    from legenda.tasks.concept_folder import concept_folder

    _, held = concept_folder("a").origin.pictures()
    names = [held.key(i) for i in range(len(held))][:spoilt]
    for name in names:
        (here / "pics" / name).write_bytes(b"no picture")
    said = told(capsys, "name", "a", *NAME, code=2)
    assert [one["picture"] for one in said if "error" in one] == names
    assert sum("word" in one for one in said) == UNITS
    out, _ = ran(capsys, "name", "a", *NAME, code=2)
    assert ("on held-out pictures" in out.replace("\n", " ")) == (spoilt < 3)


def test_a_survey_of_other_units_is_refused(here, capsys):
    fewer = ["fit", MODEL, "pics", "--units", "6", "--k", "2", "--kind", "kmeans", "--out", "o"]
    assert main(fewer) == 0
    (here / "o" / "dictionary.safetensors").replace(here / "a" / "dictionary.safetensors")
    assert refused(capsys, "name", "a", *NAME).endswith(
        "a/survey/survey.safetensors tells of 12 units, and the dictionary has 6. Survey it again "
        "with `legenda survey`."
    )


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(here, capsys):
    before = files(here)
    (said,) = told(capsys, "name", "a", *NAME, "--dry-run")
    count = len((here / "words.txt").read_text("utf-8").split())
    assert said["kind"] == "cost" and said["words"] == count and said["pictures"] >= 1
    assert said["sentences"] >= said["words"] and said["seconds"] > 0
    out, _ = ran(capsys, "name", "a", *NAME, "--dry-run")
    assert f"{count} words in" in out and files(here) == before
