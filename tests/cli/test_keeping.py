"""`--atlas` of `legenda latents` and `explain`, and `--into` of `concepts`: results are kept."""

from pathlib import Path

import pytest
from PIL import Image

from legenda.atlas.digest import digests
from legenda.atlas.store import Atlas, loaded
from legenda.cli import main
from legenda.cli.keeping import said_by
from legenda.cli.latent_options import Describer
from legenda.describe.budget import Budget
from legenda.describe.chat import Chat
from legenda.describe.lmm import LMM
from legenda.tasks import latent_nulls
from tests.atlas.made import made
from tests.cli import concept_world
from tests.cli.concept_world import painted, ran, refused
from tests.cli.latent_model import GREY
from tests.cli.run_models import DUAL


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latent_nulls, "enough", lambda alpha: 48)
    (tmp_path / "pics").mkdir()
    for i in range(2):
        Image.new("RGB", (20, 20 + 10 * i), (80 * i, 40, 200)).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def value(query, folder="a"):
    with Atlas(folder) as atlas:
        return atlas.value(query)


def said(folder):
    """What an atlas says, but for how its studies were called for."""
    with Atlas(folder) as atlas:
        return {name: one for name, one in digests(atlas).items() if name != "studies"}


def test_latents_are_kept_as_gather_keeps_them_and_not_found_twice(here, capsys, monkeypatch):
    ran(capsys, "gather", "b", "latents", "--model", GREY)
    out, err = ran(capsys, "latents", GREY, "--atlas", "a")
    assert err == "legenda-latents/index.html\na\n" and "4 have a clear explanation" in out
    assert said("a") == said("b")
    command = value("SELECT command FROM studies")
    assert command == f"legenda latents {GREY} --out=legenda-latents --atlas=a"
    assert command in Path("legenda-latents/index.html").read_text()
    ran(capsys, "latents", GREY, "--atlas", "a")
    ran(capsys, "latents", GREY, "--atlas", "a", "--units", "2", "--rows", "4", "--frames", "4")
    assert value("SELECT count(*) FROM studies") == 2 and value("SELECT count(*) FROM units") == 6


def test_what_is_foretold_or_refused_keeps_nothing(here, capsys):
    ran(capsys, "latents", GREY, "--atlas", "a", "--dry-run")
    assert not Path("a").exists()
    assert refused(capsys, "latents", GREY, "--atlas", "pics") == (
        "pics is there, and is no atlas. Choose a folder of its own."
    )
    assert refused(capsys, "explain", DUAL, "pics", "a car", "--atlas", "pics") == (
        "pics is there, and is no atlas. Choose a folder of its own."
    )
    assert not Path("legenda-latents").exists()


def test_a_describer_is_known_by_what_it_was_asked():
    lmm = LMM(Chat("http://localhost:1/v1", "seer", budget=Budget(None)), samples=3)
    plain = Describer(lambda _: None)
    assert said_by("measured", None, plain) == "measured"
    assert said_by("measured", "zoo:scenes", plain) == "measured, words of zoo:scenes"
    assert said_by("words", None, plain) == "words, words of zoo:photos"
    asked = said_by("lmm", None, Describer(lambda _: None, None, lmm))
    assert asked.startswith("lmm seer, {") and "'samples': 3" in asked and "localhost" not in asked


def test_pairs_are_kept_beside_random_maps(here, capsys):
    words = ("explain", DUAL, "pics", "a car", "--atlas", "a", "--no-score")
    _, err = ran(capsys, *words)
    assert err == "legenda-explain/index.html\na\n"
    ran(capsys, *words)
    with Atlas("a") as atlas:
        rows = atlas.all("SELECT facts, evidence FROM explanations")
        assert [loaded(row["facts"])["sentence"] for row in rows] == ["a car", "a car"]
        assert set(atlas.arrays(rows[0]["evidence"])) >= {"map", "words"}
        assert atlas.value("SELECT count(*) FROM studies WHERE ended IS NOT NULL") == 1
    ran(capsys, *words[:-1])
    scores = "SELECT count(*) FROM scores WHERE control IS NOT NULL AND n > 0"
    assert value(scores) > 0, "each stands beside a random one"
    assert value("SELECT count(*) FROM results WHERE kind = 'faithfulness'") > 0


def test_of_several_pictures_those_that_can_be_read_are_kept(here, capsys):
    (here / "pics" / "2.png").write_bytes(b"no picture")
    ran(capsys, "explain", DUAL, "pics", "a car", "--atlas", "a", "--no-score", code=2)
    assert value("SELECT count(*) FROM pictures") == 2
    refused(capsys, "explain", DUAL, "pics/2.png", "a car", "--atlas", "b")
    assert not Path("b").exists()


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (("--method", "rise"), "--method rise"),
        (("--beta", "2", "--seed", "1"), "--beta and --seed"),
        (("--set", "draws=4", "--site", "1"), "--site and --set"),
    ],
)
def test_what_an_atlas_of_pairs_does_not_hold_is_refused_before_any_work(here, capsys, words, got):
    assert refused(capsys, "explain", "nothing", "pics", "a car", "--atlas", "a", *words) == (
        f"--atlas keeps maps of m2ib as it is by default; it got {got}. Leave that out, or write a "
        "study for `legenda run`, which keeps any method."
    )
    assert not Path("a").exists()


def test_concepts_are_kept_with_the_pictures_that_were_read(here, capsys, monkeypatch):
    monkeypatch.chdir(concept_world.world(here / "world"))
    painted(100).save("ours.png")
    _, err = ran(capsys, "concepts", "ours.png", "--atlas", "a", "--into", "kept")
    assert err == "legenda-concepts.html\nkept\n"
    with Atlas("kept") as atlas:
        assert atlas.value("SELECT count(*) FROM units") == concept_world.UNITS
        assert atlas.value("SELECT count(*) FROM units WHERE state = 'named'") > 0
        asked = "SELECT count(*) FROM readings r JOIN pictures p ON p.id = r.picture WHERE p.source = 'ours.png'"  # noqa: E501
        assert atlas.value(asked) == 1


def test_an_atlas_is_not_taken_for_a_folder_of_concepts(here, capsys):
    made(here / "kept")
    assert refused(capsys, "concepts", "pics/0.png", "--atlas", "kept") == (
        "kept is an atlas, which keeps results; --atlas names whose concepts are looked for, such "
        "as zoo:photos. Say --into kept to keep what is found."
    )


def test_help_tells_of_it(capsys):
    for command, option in (("latents", "--atlas"), ("explain", "--atlas"), ("concepts", "--into")):
        assert main([command, "--help"]) == 0
        assert option in capsys.readouterr().out
