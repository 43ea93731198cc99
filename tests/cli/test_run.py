"""`legenda run` through `main`, and in processes that are interrupted or find a full disk."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from legenda import cli
from legenda.atlas.digest import content_digest
from legenda.atlas.store import Atlas, loaded
from legenda.tasks import run_gather
from legenda.tasks.run_file import EXAMPLE, read_run
from tests.cli.latent_model import GREY, TASKS
from tests.cli.run_models import BARE, CLASSIFIER, DUAL, SLOW

ROOT = Path(__file__).parents[2]
AT = '[atlas]\npath = "a"\n'
EXPLAIN = f'[study]\nkind = "explain"\nmodel = "{DUAL}"\nimages = "pics"\ntargets = ["a house", "a boat"]\n'  # noqa: E501
QUICK = "[explain]\nmethod = 'occlusion'\n"
UNITS = f'[study]\nkind = "units"\nmodel = "{GREY}"\n[describe]\nmethod = "measured"\npool = 64\n'
SLOWLY = f'[study]\nkind = "units"\nmodel = "{SLOW}"\n[explain]\nmethod = "traversal"\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three pictures; the command is there, whoever registers it."""
    monkeypatch.setitem(cli.COMMANDS, "run", "Run a study that is written down, into an atlas.")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pics").mkdir()
    for i in range(3):
        Image.new("RGB", (20, 10 + 10 * i), (80 * i, 40, 200)).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def ran(capsys, text, *words, code=0):
    Path("s.toml").write_text(text)
    assert cli.main(["run", "s.toml", *words]) == code
    return capsys.readouterr()


def refused(capsys, text, *words):
    out, err = ran(capsys, text, *words, code=2)
    assert not out and err.startswith("legenda: ")
    return err.removeprefix("legenda: ").rstrip("\n")


def rows(query, folder="a"):
    with Atlas(folder) as atlas:
        return [tuple(row) for row in atlas.all(query)]


def digest(folder="a"):
    with Atlas(folder) as atlas:
        return content_digest(atlas)


# ------------------------------------------------------------------------ kinds of studies


def test_sentences_are_explained_in_pictures(here, capsys):
    out, err = ran(capsys, EXPLAIN + QUICK + "[[score]]\nmethod = 'deletion'\nsteps = 2\n" + AT)
    assert out == "6 done, 0 held already, 0 failed\n" and err == "a\n"
    found = rows(
        "SELECT e.target, p.source, e.by FROM explanations e JOIN pictures p ON p.id = e.picture"
    )  # noqa: E501
    assert sorted(found) == sorted(
        (f"similar to {text!r}", f"{i}.png", "Occlusion")
        for i in range(3) for text in ("a house", "a boat")
    )  # fmt: skip
    with Atlas("a") as atlas:
        one = atlas.one(
            "SELECT e.* FROM explanations e JOIN pictures p ON p.id = picture AND source = '0.png'"
        )  # noqa: E501
        evidence = atlas.one("SELECT * FROM evidence WHERE id = ?", one["evidence"])
        arrays = atlas.arrays(one["evidence"])
        picture = atlas.one("SELECT * FROM pictures WHERE id = ?", one["picture"])
    facts = loaded(evidence["facts"])
    assert evidence["kind"] == "attribution" and arrays["map"].shape == (4, 4)
    assert facts["words"] == ["a", "house"] and arrays["words"].shape == (2,)
    assert facts["grid"] == [4, 4] and facts["frame"] == [0, 0, picture["width"], picture["height"]]
    assert (
        loaded(one["facts"])["sentence"] == "a house" and -1 <= loaded(one["facts"])["cosine"] <= 1
    )  # noqa: E501
    ((model, site),) = rows("SELECT ref, site FROM models")
    assert (model, site) == ("tiny-clip", "image=1,text=1")
    scores = rows("SELECT value, low, control, n FROM scores")
    assert len(scores) == 6
    assert all(low is None and control is not None and n == 1 for _, low, control, n in scores)


def test_captions_are_explained_each_in_its_own_picture(here, capsys):
    (here / "pics" / "metadata.csv").write_text("file_name,label\n0.png,a house\n1.png,a tree\n")
    text = EXPLAIN.replace('["a house", "a boat"]', '"captions"') + QUICK + AT
    out, err = ran(capsys, text, code=2)
    assert out == "2 done, 0 held already, 1 failed\n"
    assert err == "legenda: 2.png: 2.png has no caption. Give sentences as targets.\na\n"
    assert rows("SELECT e.target, p.caption FROM explanations e JOIN pictures p ON p.id = e.picture") == [  # noqa: E501
        ("similar to 'a house'", "a house"), ("similar to 'a tree'", "a tree"),
    ]  # fmt: skip


def test_classes_are_explained_by_a_method_that_needs_to_know_the_pictures(here, capsys):
    text = f'[study]\nkind = "explain"\nmodel = "{CLASSIFIER}"\nimages = "pics"\ntargets = [0, 3]\n'
    ran(capsys, text + "[explain]\nmethod = 'm2ib'\nsteps = 2\n" + AT)
    facts = [loaded(row[0]) for row in rows("SELECT facts FROM explanations")]
    assert len(facts) == 6 and "3 pictures of the study" in facts[0]["method"]
    assert {row[0] for row in rows("SELECT target FROM explanations")} == {"logit 0", "logit 3"}


def test_latents_are_named_for_what_they_do(here, capsys):
    out, _ = ran(capsys, UNITS + AT)
    assert out == "6 done, 0 held already, 0 failed\n"
    names = dict(rows("SELECT number, said FROM units"))
    states = dict(rows("SELECT number, state FROM units"))
    starts = {"x": "horizontal position", "y": "vertical position", "size": "size", "object_brightness": "brightness of the object"}  # fmt: skip # noqa: E501
    for latent, attribute in TASKS.items():
        assert names[latent].startswith(starts[attribute]), names
    assert states[4] == "abstained" and states[5] == "inactive"
    assert rows("SELECT kind, count(*) FROM evidence GROUP BY kind") == [("sheet", 6)]


def test_units_are_explained_in_all_pictures_at_once(here, capsys):
    text = f'[study]\nkind = "units"\nmodel = "{CLASSIFIER}"\nimages = "pics"\ntargets = [2]\n'
    ran(
        capsys,
        text + "[explain]\nmethod = 'occlusion'\n[[score]]\nmethod = 'deletion'\nsteps = 2\n" + AT,
    )  # noqa: E501
    found = rows(
        "SELECT target, evidence IS NULL, n FROM explanations LEFT JOIN scores ON id = explanation"
    )
    assert found == [("neuron 2", 0, None)] * 3 + [("neuron 2", 1, 3)]
    sources = rows("SELECT source FROM explanations e JOIN pictures p ON p.id = picture")
    assert sources == [("0.png",), ("1.png",), ("2.png",)]
    frames = [loaded(row[0])["frame"] for row in rows("SELECT facts FROM evidence ORDER BY id")]
    assert frames[1] == [0, 0, 100, 100]  # 20 × 20 pixels, five times as large to be seen
    assert rows("SELECT number, state, facts FROM units") == [(2, "unread", '{"score":"deletion"}')]


def test_latents_as_a_kind_of_their_own(here, capsys):
    text = (
        f'[study]\nkind = "latents"\nmodel = "{GREY}"\n[settings]\nrows = 6\nfresh = 2\npool = 32\n'  # noqa: E501
    )
    out, err = ran(capsys, text + AT)
    assert out == "" and err == "a\n"
    assert rows("SELECT count(*) FROM units") == [(6,)]
    before = digest()
    (line,) = ran(capsys, text + AT, "--json").out.splitlines()
    assert json.loads(line) == {"kind": "study", "study": 1, "atlas": "a"} and digest() == before


# ------------------------------------------------------------------------ again


def test_again_does_nothing_and_says_so(here, capsys):
    ran(capsys, EXPLAIN + QUICK + AT)
    before = digest()
    assert ran(capsys, EXPLAIN + QUICK + AT).out == "0 done, 6 held already, 0 failed\n"
    assert digest() == before and rows("SELECT count(*) FROM studies") == [(1,)]


def test_events_say_what_became_of_each_target(here, capsys):
    lines = [
        json.loads(line) for line in ran(capsys, EXPLAIN + QUICK + AT, "--json").out.splitlines()
    ]  # noqa: E501
    assert [line["n"] for line in lines[:-1]] == list(range(1, 7)) and lines[0]["of"] == 6
    assert lines[0]["target"] == "similar to 'a house' in 0.png" and lines[0]["state"] == "done"
    assert lines[0]["eta"] > 0 and lines[-2]["eta"] == 0
    assert lines[-1] == {"kind": "study", "study": 1, "atlas": "a", "done": 6}


def test_nothing_is_written_by_a_dry_run(here, capsys):
    assert ran(capsys, EXPLAIN + QUICK + AT, "--dry-run").out == "6 to do, 0 held already\n"
    assert not (here / "a").exists()
    ran(capsys, EXPLAIN + QUICK + AT)
    (here / "pics" / "9.png").write_bytes(b"no picture")
    more = EXPLAIN.replace('"a boat"', '"a boat", "a tree"') + QUICK + AT
    out = ran(capsys, more, "--dry-run").out
    assert out == "3 to do, 6 held already, 1 pictures cannot be read\n"
    said = json.loads(ran(capsys, more, "--dry-run", "--json").out)
    assert said == {"kind": "plan", "targets": 12, "todo": 3, "held": 6, "unreadable": 1}
    latents = f'[study]\nkind = "latents"\nmodel = "{GREY}"\n' + AT
    assert ran(capsys, latents, "--dry-run").out == f"the latents of {GREY}, into a\n"


def test_a_picture_that_cannot_be_read_is_a_failure_until_it_can(here, capsys):
    good = (here / "pics" / "1.png").read_bytes()
    (here / "pics" / "1.png").write_bytes(b"no picture")
    out, err = ran(capsys, EXPLAIN + QUICK + AT, code=2)
    assert out == "4 done, 0 held already, 1 failed\n"
    assert err.startswith("legenda: 1.png: ") and "is not an image that legenda reads" in err
    ((target, reason, tries),) = rows("SELECT target, reason, tries FROM failures")
    assert (target, tries) == ("1.png", 1) and "is not an image that legenda reads" in reason
    out, err = ran(capsys, EXPLAIN + QUICK + AT, code=2)
    assert out == "0 done, 4 held already, 1 failed\n"
    assert err == "1 failed before: see to them, and run again with --retry\na\n"
    ran(capsys, EXPLAIN + QUICK + AT, "--retry", code=2)
    assert rows("SELECT tries FROM failures") == [(2,)]
    (here / "pics" / "1.png").write_bytes(good)
    assert ran(capsys, EXPLAIN + QUICK + AT).out == "2 done, 4 held already, 0 failed\n"
    ran(capsys, EXPLAIN + QUICK + '[atlas]\npath = "b"\n')
    assert not rows("SELECT * FROM failures") and digest("a") == digest("b")


def test_the_atlas_is_beside_the_file_or_where_it_is_asked_for(here, capsys, monkeypatch):
    (here / "deep").mkdir()
    (here / "deep" / "s.toml").write_text(UNITS + AT)
    assert cli.main(["run", "deep/s.toml"]) == 0 and (here / "deep" / "a" / "atlas.db").is_file()
    assert cli.main(["run", "deep/s.toml", "--atlas", "b"]) == 0 and (here / "b").is_dir()
    assert digest("deep/a") != digest("b")  # the command says it
    assert rows("SELECT command FROM studies", "b") == [("legenda run s.toml --atlas b",)]


def test_the_example_is_printed_and_runs_as_it_is(here, capsys):
    assert cli.main(["run", "--example"]) == 0
    assert capsys.readouterr().out == EXAMPLE
    (here / "s.toml").write_text(EXAMPLE)
    assert read_run("s.toml").said.atlas.path == "study.atlas"


# ------------------------------------------------------------------------ refusals


def test_what_is_missing_is_said(here, capsys):
    assert cli.main(["run"]) == 2
    assert capsys.readouterr().err == (
        "legenda: run needs a study, such as study.toml. `legenda run --example` prints one.\n"
    )
    assert cli.main(["run", "absent.toml"]) == 2
    assert capsys.readouterr().err == "legenda: study absent.toml is not there. Check the path.\n"
    assert refused(capsys, EXPLAIN + QUICK) == (
        "s.toml names no atlas. Give it an [atlas] with a path, or say --atlas FOLDER."
    )
    assert refused(capsys, EXPLAIN + "limmit = 3\n" + AT).startswith(
        "s.toml, line 6: [study] has no field 'limmit'. Did you mean 'limit'?"
    )
    assert not (here / "a").exists()


def test_a_programme_is_told_what_was_refused(here, capsys):
    out, err = ran(capsys, EXPLAIN + QUICK, "--json", code=2)
    assert json.loads(out)["error"] == err.removeprefix("legenda: ").rstrip("\n")


def test_an_atlas_that_cannot_be_written(here, capsys):
    (here / "a").write_text("")
    text = "an atlas is a folder; a is a file. Name another."
    assert refused(capsys, UNITS + AT) == text
    said = refused(capsys, UNITS, "--atlas", "/proc/atlas")
    assert said.startswith("the atlas /proc/atlas cannot be made: ")
    (here / "a").unlink()
    (here / "a").mkdir()
    (here / "a" / "atlas.db").write_bytes(b"no tables" * 999)
    assert refused(capsys, UNITS + AT).startswith("a/atlas.db is no ")


def test_models_that_do_not_suit(here, capsys):
    text = f'[study]\nkind = "explain"\nmodel = "{BARE}"\nimages = "pics"\ntargets = [0]\n'
    lacks = (
        "A study of pictures needs a model that says how it takes them; "
        "conv-tensor-sequence has none. Wrap it in a `legenda.models.seeing.Seeing` with its "
        "preprocessing."
    )
    assert refused(capsys, text + "[explain]\nmethod = 'm2ib'\n" + AT) == (
        f"none of the pictures of the study can be looked at: {lacks}"
    )
    out, err = ran(capsys, text + "[explain]\nmethod = 'random'\n" + AT, code=2)
    assert out == "0 done, 0 held already, 3 failed\n"
    assert err.splitlines()[0] == f"legenda: 0.png: {lacks}" and len(err.splitlines()) == 4
    for i in range(3, 9):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(here / "pics" / f"{i}.png")
    out, err = ran(capsys, text + "[explain]\nmethod = 'random'\n", "--atlas", "c", code=2)
    assert out == "0 done, 0 held already, 9 failed\n" and len(err.splitlines()) == 7
    assert err.splitlines()[-2:] == ["and 4 more, which the atlas holds with their reasons", "c"]
    text = UNITS.replace(GREY, CLASSIFIER)
    out, err = ran(capsys, text, "--atlas", "b", code=2)
    assert err.startswith("legenda: a study of latents needs a model that decodes; ")


def test_a_kind_that_this_version_lacks(here, capsys, monkeypatch):
    monkeypatch.setitem(run_gather.GATHER, "tokens", "legenda.tasks.absent:gather_tokens")
    assert refused(capsys, '[study]\nkind = "tokens"\nmodel = "zoo:vq"\n' + AT) == (
        "s.toml, line 2: studies of the kind tokens cannot be run by this version. Install a newer "
        "one."
    )


# ------------------------------------------------------------------------ real processes

CODE = "import sys; from legenda import cli; cli.COMMANDS.setdefault('run', ''); sys.exit(cli.main(sys.argv[1:]))"  # noqa: E501


def process(*words, **options):
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", CODE, "run", "s.toml", *words], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (450_000, 450_000))


def test_interrupted_or_on_a_full_disk_it_goes_on_when_it_is_run_again(here, capsys):
    (here / "s.toml").write_text(SLOWLY)
    stopped = process("--atlas", "a", "--json")
    full = process("--atlas", "full", preexec_fn=limited)
    assert stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate()
    assert (stopped.returncode, err) == (130, "interrupted\n")
    out, err = full.communicate()
    assert full.returncode == 2 and not out
    assert err.startswith("legenda: ") and "Make room" in err and err.count("\n") == 1
    done = rows("SELECT count(*) FROM explanations", "a")[0][0]
    assert 0 < done < 6 and not rows("SELECT * FROM explanations", "full")
    ran(capsys, SLOWLY, "--atlas", "a")
    ran(capsys, SLOWLY, "--atlas", "full")
    ran(capsys, SLOWLY, "--atlas", "whole")
    with (
        Atlas("a", write=True) as one,
        one.writing() as base,
    ):  # the commands differ, as they should
        base.execute("UPDATE studies SET command = ''")
    for other in ("full", "whole"):
        with Atlas(other, write=True) as one, one.writing() as base:
            base.execute("UPDATE studies SET command = ''")
    assert digest("a") == digest("full") == digest("whole")


def test_where_a_study_cannot_begin_no_empty_atlas_is_left(here, capsys):
    said = refused(capsys, UNITS.replace(":grey", ":nope") + AT)
    assert "names no factory that can be imported" in said and not Path("a").exists()
    said = refused(capsys, UNITS, "--atlas", "pics")
    assert said == "pics is there, and is no atlas. Choose a folder of its own."
    assert sorted(path.name for path in Path("pics").iterdir()) == ["0.png", "1.png", "2.png"]
