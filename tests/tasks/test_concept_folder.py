import json
from dataclasses import replace
from pathlib import Path

import pytest

from legenda.corpus.pictures import from_source
from legenda.errors import BadInput, Missing, Refused
from legenda.tasks import concept_folder as module
from legenda.tasks.concept_folder import ConceptFolder, Origin, concept_folder, removed
from tests.cli import concept_world

ORIGIN = Origin("zoo:scenes@patches(0.4)", "pics", 0.1, 0)


@pytest.fixture
def made(tmp_path):
    """A folder with everything in it."""
    return ConceptFolder(concept_world.world(tmp_path) / "a")


def refusal(kind, work):
    with pytest.raises(kind) as caught:
        work()
    assert type(caught.value) is kind
    return str(caught.value)


def test_it_remembers_what_its_concepts_are_found_in(tmp_path):
    folder = ConceptFolder(tmp_path / "deep" / "o")
    assert not folder.begun and not folder.fitted
    folder.begin(ORIGIN)
    assert folder.begun and folder.origin == ORIGIN
    folder.begin(replace(ORIGIN, images="moved"))
    assert folder.origin.images == "moved"


@pytest.mark.parametrize(
    "other", [{"model": "zoo:photos@patches(0.6)"}, {"held_out": 0.25}, {"seed": 3}]
)
def test_other_concepts_are_refused(tmp_path, other):
    folder = ConceptFolder(tmp_path)
    folder.begin(ORIGIN)
    asked = replace(ORIGIN, **other)
    assert refusal(BadInput, lambda: folder.begin(asked)) == (
        f"{tmp_path} holds concepts of zoo:scenes@patches(0.4), 0.1 of the pictures held out by "
        f"seed 0; asked for are {asked.model}, {asked.held_out:g} and {asked.seed}. Choose another "
        "--out."
    )
    assert folder.origin == ORIGIN


def test_a_folder_of_somebody_else_is_refused_and_a_kill_is_no_one_else(tmp_path):
    folder = ConceptFolder(tmp_path)
    (tmp_path / ".concepts.json.writing").write_text('{"schema": 1, "ori')  # killed while writing
    folder.begin(ORIGIN)
    assert [p.name for p in tmp_path.iterdir()] == ["concepts.json"]
    (tmp_path / "concepts.json").rename(tmp_path / "mine.json")
    assert refusal(BadInput, lambda: folder.begin(ORIGIN)) == (
        f"{tmp_path} is there, and legenda did not write it. Choose another --out."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)). Make it again."),  # noqa: E501
        ("[]", "is of another legenda. Make it again."),
        ('{"schema": 9}', "is of another legenda. Make it again."),
        ('{"schema": 1}', "does not say what the concepts of {folder} were found in. Fit or survey them again, in another folder."),  # noqa: E501
        ('{"schema": 1, "origin": {"model": "m", "images": "i", "held_out": "x", "seed": 0}}', "does not say what the concepts of {folder} were found in. Fit or survey them again, in another folder."),  # noqa: E501
    ],
)  # fmt: skip
def test_an_origin_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "concepts.json").write_text(text)
    said = refusal(Refused, lambda: ConceptFolder(tmp_path).origin)
    assert said == f"{tmp_path / 'concepts.json'} {message.format(folder=tmp_path)}"


def test_pictures_are_split_by_their_names(tmp_path):
    source = from_source(concept_world.pictures() / "pics")
    train, held = replace(ORIGIN, held_out=0.3).pictures(source)
    keys = {one.key(i) for one in (train, held) for i in range(len(one))}
    assert len(train) + len(held) == len(keys) == 40 and 0 < len(held) < 40
    everything = replace(ORIGIN, held_out=1.0)
    assert refusal(BadInput, lambda: everything.pictures(source)) == (
        "all 40 pictures are held out, at a share of 1. Hold out fewer, or give more pictures."
    )


def test_what_is_not_there_yet_says_how_it_is_made(tmp_path):
    folder = ConceptFolder(tmp_path)
    wanted = {
        "origin": f"{tmp_path} has no concepts yet. Fit them with `legenda fit`.",
        "dictionary": f"{tmp_path} has no dictionary yet. Fit one with `legenda fit`.",
        "survey": f"{tmp_path} has no survey yet. Make one with `legenda survey`.",
        "names": f"{tmp_path} has no names yet. Give them with `legenda name`.",
    }
    for name, message in wanted.items():

        def asked(name=name):
            found = getattr(folder, name)
            return found() if callable(found) else found

        assert refusal(Missing, asked) == message
    assert folder.words() == {} and folder.relations() is None


def test_a_survey_of_other_units_is_refused(made):
    assert len(made.survey(12)) == 12
    assert refusal(Refused, lambda: made.survey(13)) == (
        f"{made.path / 'survey' / 'survey.safetensors'} tells of 12 units, and the dictionary has "
        "13. Survey it again with `legenda survey`."
    )


def test_a_person_s_words_stand_before_computed_ones(made):
    held = {"schema": 1, "corrections": [{"unit": 1, "word": "hub"}, {"unit": 2, "word": None}]}
    (made.path / "corrections.json").write_text(json.dumps(held))
    names, words = made.names(), made.words()
    assert names[1].word == words[1] == "hub" and names[1].by == "a person"
    assert names[2].word is None and 2 not in words


def test_forgetting_leaves_what_a_person_wrote(made):
    (made.path / "corrections.json").write_text('{"schema": 1, "corrections": []}')
    gone = made.forget()
    assert gone[:2] == ["names.json", "relations.json"] and gone[-1] == "survey"
    assert {"concepts.json", "corrections.json", "dictionary.safetensors"} <= {
        path.name for path in made.path.iterdir()
    }
    assert not {*gone} & {path.name for path in made.path.iterdir()} and made.forget() == []
    assert not list(made.path.glob(".*.gone"))


def test_removing_goes_out_of_sight_first(tmp_path, monkeypatch):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "x").write_text("x")
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # killed here
    removed(tmp_path / "rows")
    assert [path.name for path in tmp_path.iterdir()] == [".rows.gone"]
    monkeypatch.undo()
    (tmp_path / "rows").mkdir()
    removed(tmp_path / "rows")
    removed(tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = ConceptFolder(tmp_path)
    folder.write("names.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write("names.json", {"a": float("nan")})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert refusal(Missing, lambda: folder.write("names.json", "other")) == (
        f"{tmp_path / 'names.json'} could not be written: No space left on device. Make room "
        "there, or choose another folder."
    )
    assert [p.name for p in tmp_path.iterdir()] == ["names.json"]
    assert json.loads((tmp_path / "names.json").read_text()) == {"a": 1}


def test_folders_by_the_name_that_a_person_types(tmp_path, monkeypatch):
    assert str(concept_folder("zoo:scenes")) == "zoo:scenes"
    monkeypatch.setitem(module.SHIPPED, "zoo:photos", tmp_path / "none")
    assert refusal(Missing, lambda: concept_folder("zoo:photo")) == (
        "no concepts of zoo:photo ship with legenda. There are those of: zoo:scenes."
    )
    assert refusal(Missing, lambda: concept_folder(tmp_path / "x")) == (
        f"folder of concepts {tmp_path / 'x'} is not there. Check the path."
    )
    (tmp_path / "file").write_text("")
    assert refusal(BadInput, lambda: concept_folder(tmp_path / "file")) == (
        f"{tmp_path / 'file'} is a file; a folder of concepts is needed."
    )
    assert concept_folder(tmp_path).path == tmp_path
