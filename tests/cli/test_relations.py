"""`legenda relations` through `main`, on painted pictures and on what ships."""

from xml.etree import ElementTree

import pytest

from legenda.tasks.concept_folder import concept_folder
from tests.cli import concept_world
from tests.cli.concept_world import files, ran, refused, told


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Everything that the four commands make."""
    monkeypatch.chdir(tmp_path)
    return concept_world.world(tmp_path)


def test_a_tree_its_chance_and_what_is_absorbed(here, capsys):
    out, err = ran(capsys, "relations", "a")
    said = " ".join(out.split())
    assert err == "" and "units that do not know of each other would make" in said
    assert "children absorb their parent" in said
    found = concept_folder("a").relations()
    assert found is not None and f"{len(found)} units, {len(found.edges)} edges" in said


def test_json_is_one_line_that_reads_back(here, capsys):
    (said,) = told(capsys, "relations", "a")
    found = concept_folder("a").relations()
    assert found is not None and said["kind"] == "hierarchy"
    assert {(e["child"], e["parent"]) for e in said["edges"]} == found.pairs
    words = concept_folder("a").words()
    assert {one["unit"]: one["name"] for one in said["units"]} == {u: words.get(u) for u in found.active}  # fmt: skip # noqa: E501


def test_files_for_other_programs_are_well_formed(here, capsys):
    ran(capsys, "name", "a", "--correct", "0=a < b & \"c\" 'd' 猫")
    _, err = ran(capsys, "relations", "a", "--svg", "x.svg", "--graphml", "x.graphml")
    assert err == "x.graphml\nx.svg\n"
    drawn, graph = (ElementTree.parse(here / name).getroot() for name in ("x.svg", "x.graphml"))
    assert drawn.tag.endswith("svg") and graph.tag.endswith("graphml")
    assert "a < b & \"c\" 'd' 猫" in "".join(graph.itertext())
    before = files(here)
    ran(capsys, "relations", "a", "--svg", "x.svg", "--graphml", "x.graphml")  # ours: written again
    assert files(here) == before


@pytest.mark.parametrize(("option", "name"), [("--svg", "mine.svg"), ("--graphml", "mine.graphml")])
def test_files_of_others_are_left_alone(here, capsys, option, name):
    (here / name).write_text("<svg/>")
    before = files(here)
    assert refused(capsys, "relations", "a", option, name) == (
        f"{name} is there, and legenda did not write it. Choose another name."
    )
    assert files(here) == before


def test_it_fits_a_screen_and_more_is_shown_where_asked(capsys):
    out, _ = ran(capsys, "relations", "zoo:scenes")
    tree = [line for line in out.splitlines() if line.startswith(("├", "└"))]
    assert 1 <= len(tree) <= 13  # 12 roots, and how many more there are
    few, _ = ran(capsys, "relations", "zoo:scenes", "--depth", "1", "--width", "1", "--roots", "2")
    all_, _ = ran(
        capsys, "relations", "zoo:scenes", "--depth", "9", "--width", "99", "--roots", "999"
    )  # noqa: E501
    assert len(few) < len(out) < len(all_)
    assert "… and" in few and "… and" not in all_


def test_what_ships_is_only_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (said,) = told(capsys, "relations", "zoo:scenes")
    assert said["edges"] and any(one["name"] for one in said["units"])
    for options in (["--share", "0.5"], ["--published"], ["--cycles", "cut"], ["--seed", "0"]):
        assert refused(capsys, "relations", "zoo:scenes", *options) == (
            "zoo:scenes ships with legenda and is only shown. Survey your own to find others."
        )
    ran(capsys, "relations", "zoo:scenes", "--svg", "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--share", "x"], "--share needs a number from 0 to 1; it got 'x'."),
        (["--share", "2"], "--share needs a number from 0 to 1; it got '2'."),
        (["--sure", "-1"], "--sure needs a number from 0 to 1; it got '-1'."),
        (["--least", "0"], "--least needs 1 or more; it got 0."),
        (["--depth", "0"], "--depth needs 1 or more; it got 0."),
        (["--width", "x"], "--width needs a whole number; it got 'x'."),
        (["--roots", "0"], "--roots needs 1 or more; it got 0."),
        (["--seed", "-1"], "--seed needs 0 or more; it got -1."),
        (["--cycles", "x"], "--cycles is merge or cut; it got 'x'."),
        (["--svg", "x.png"], "x.png cannot be written: name a file ending in .svg in a folder that is there."),  # noqa: E501
        (["--graphml", "no/x.graphml"], "no/x.graphml cannot be written: name a file ending in .graphml in a folder that is there."),  # noqa: E501
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(here, capsys, options, message):
    before = files(here)
    assert refused(capsys, "relations", "a", *options) == message
    assert files(here) == before


def test_folders_without_what_it_needs(here, capsys):
    concept_world.shutil.rmtree("a/survey")
    assert refused(capsys, "relations", "a") == (
        "a has no survey yet. Make one with `legenda survey`."
    )
    assert refused(capsys, "relations", "b") == "folder of concepts b is not there. Check the path."
    assert refused(capsys, "relations", "words.txt") == (
        "words.txt is a file; a folder of concepts is needed."
    )
    assert refused(capsys, "relations", "zoo:scene").startswith(
        "no concepts of zoo:scene ship with legenda. Did you mean 'zoo:scenes'"
    )


def test_neurons_have_relations_without_names_or_a_dictionary(here, capsys):
    ran(capsys, "survey", "tests.tasks.palette:model", "pics", "--out", "o")
    out, _ = ran(capsys, "relations", "o")
    assert "0 units, 0 edges" in out  # tokens exclude each other
    assert "absorb" not in out


def test_settings_change_what_is_found(here, capsys):
    (strict,) = told(capsys, "relations", "a", "--least", "100000")
    (loose,) = told(capsys, "relations", "a", "--share", "0.3", "--published", "--cycles", "cut")
    assert strict["edges"] == [] and len(loose["edges"]) > 0


def test_a_dry_run_says_what_would_be_compared_and_writes_nothing(here, capsys):
    before = files(here)
    (said,) = told(capsys, "relations", "a", "--dry-run")
    survey = concept_folder("a").survey()
    assert said["units"] == len(survey) and said["pictures"] == survey.images
    dense = survey.together.toarray()
    upper = sum(dense[i, j] > 0 for i in range(len(dense)) for j in range(i))
    assert said["pairs"] == upper
    out, _ = ran(capsys, "relations", "a", "--dry-run")
    assert "no model is asked" in " ".join(out.split()) and files(here) == before
