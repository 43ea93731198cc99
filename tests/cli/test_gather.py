import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from legenda.atlas.entries import ExplanationEntry, StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_study
from legenda.atlas.writer import Writer
from legenda.cli import COMMANDS, gather_words, main
from legenda.cli import demo as demo_file
from legenda.cli.gather import checked
from legenda.cli.gather_words import names, plain, told, warning
from legenda.errors import BadInput
from legenda.tasks import atlas_zoo, latent_nulls, union_zoo
from tests.atlas.made import made
from tests.tasks import token_world
from tests.tasks.atlas_world import VAE, VQ

EMPTY = {"model": None, "images": None, "labels": None, "text": None}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(COMMANDS, "gather", "Bring what models can say into one atlas.")
    monkeypatch.setattr(latent_nulls, "enough", lambda alpha: 48)
    return tmp_path


def refused(capsys, *words):
    assert main(["gather", *words]) == 2
    return capsys.readouterr().err.strip()


def said_in_text(renderable):
    from io import StringIO

    from rich.console import Console

    held = StringIO()
    Console(file=held, width=200, highlight=False, markup=False).print(renderable)
    return held.getvalue()


def test_latents_of_a_model_land_in_an_atlas(here, capsys):
    assert main(["gather", "a.atlas", "latents", "--model", VAE, "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["kind"] == "gather" and said["atlas"] == "a.atlas" and err == "a.atlas\n"
    assert said["studies"]["latents"]["title"] == "What the latents of discs do"
    one = said["sets"][0]
    assert one["units"] == 8 == sum(one["states"].values()) and one["states"]["named"] >= 3
    sure = [found["certainty"] for found in one["surest"]]
    assert sure == sorted(sure, reverse=True) and len(sure) == 3
    assert main(["gather", "a.atlas", "latents", "--model", VAE, "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "discs latents" in shown and "surest of discs latents: " in shown
    with Atlas("a.atlas") as atlas:
        assert atlas.value("SELECT count(*) FROM studies") == 1


def test_tokens_of_a_model_land_beside_them(here, capsys):
    token_world.world(here, 24)
    words = ["--model", VQ, "--images", "pictures", "--labels", "labels.csv", "--quick", "--json"]
    assert main(["gather", "a.atlas", "tokens", *words]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sets"][0]["kind"] == "token" and said["sets"][0]["states"]["unread"] == 23
    assert not Path("a.atlas/work").exists()


def test_pairs_are_explained_and_one_that_cannot_be_read_is_told(here, capsys):
    token_world.painted(token_world.grids(1)[0][0]).resize((96, 96)).save("1.png")
    Path("2.png").write_bytes(b"no picture")
    Path("pairs.csv").write_text("image,text\n1.png,a red circle\n2.png,a blue square\n")
    words = ["agreement", "--model", "zoo:scenes", "--images", "pairs.csv", "--quick", "--json"]
    assert main(["gather", "a.atlas", *words]) == 2
    out, err = capsys.readouterr()
    assert "2.png" in err and list(json.loads(out)["studies"]) == ["agreement"]
    with Atlas("a.atlas") as atlas:
        assert atlas.value("SELECT count(*) FROM explanations WHERE picture IS NOT NULL") == 1
    assert refused(capsys, "a.atlas", *words[:-3], "2.png", "--text", "a").startswith("legenda: ")


def test_concepts_of_a_folder_are_asked_for_by_name(here, monkeypatch, capsys):
    asked = []

    def concepts(atlas, ref, *, images, settings, device, report):
        asked.append((ref, images, settings.unnamed, device))
        return put_study(atlas, StudyEntry("concepts", "a", {}))

    monkeypatch.setattr("legenda.tasks.atlas_concepts.gather_concepts", concepts)
    words = ["gather", "a.atlas", "concepts", "--model", "mine", "--images", "cats"]
    assert main([*words, "--quick"]) == 0 == main(words)
    assert asked == [("mine", "cats", 1, "cpu"), ("mine", "cats", 4, "cpu")]
    capsys.readouterr()


LATENTS = ["a", "latents"]
SHIPPED = (
    "--images needs the --model that it is for; without one, the models that ship are asked about "
    "pictures of their own."
)
REFUSED = {
    ("a", "latent"): "gather takes zoo, latents, tokens, concepts, agreement; it got 'latent'. "
    "Did you mean 'latents' or 'agreement' or 'tokens'?",
    ("a", "--model", "zoo:vae"): "--model is about latents and tokens and concepts and agreement, "
    "not about zoo. Leave it out, or say `legenda gather ATLAS latents`.",
    (*LATENTS, "--text", "a cat"): "--text is about agreement, not about latents. Leave it out, "
    "or say `legenda gather ATLAS agreement`.",
    (*LATENTS, "--images", "x"): SHIPPED,
    ("a", "tokens", "--model", "zoo:vq", "--images", "x"): "tokens of a model of yours need "
    "--labels as well. Give it.",
    ("a", "agreement", "--model", "zoo:scenes"): "agreement of a model of yours needs --images as "
    "well. Give it.",
    (*LATENTS, "--model", "zoo:vae", "--device", "cuda:77"): "there is no device 'cuda:77' here. "
    "Choose one of: cpu",
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_told(here, capsys, words):
    assert refused(capsys, *words).startswith(f"legenda: {REFUSED[words]}")


def test_a_folder_of_others_is_left_alone(here, capsys):
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert refused(capsys, "mine") == (
        "legenda: mine is there, and is no atlas. Choose a folder of its own."
    )
    assert [p.name for p in Path("mine").iterdir()] == ["letter.txt"]


def test_what_is_asked_without_a_model_is_shipped(here, monkeypatch, capsys):
    asked = []

    def zoo(atlas, what, amount, **_):
        asked.append((what, amount))
        return {}

    monkeypatch.setattr(atlas_zoo, "gather_zoo", zoo)
    assert main(["gather", "a.atlas", "--quick"]) == 0
    assert main(["gather", "a.atlas", "tokens"]) == 0
    assert asked == [((), atlas_zoo.LITTLE), (("tokens",), atlas_zoo.WHOLE)]
    capsys.readouterr()


def test_an_empty_request_is_the_zoo():
    checked("zoo", EMPTY)
    with pytest.raises(BadInput):
        checked("zoo", {**EMPTY, "labels": Path("x")})


def test_a_summary_counts_names_and_warns(tmp_path):
    made(tmp_path / "a")
    with Atlas(tmp_path / "a", write=True) as atlas:
        said = plain(atlas, {"latents": 1})
        assert said["warning"] == "" and said["studies"]["latents"]["seconds"] == 4.0
        assert [s["states"]["named"] for s in said["sets"]] == [1, 5, 1]
        assert [u["certainty"] for u in said["sets"][1]["surest"]] == [0.75, 0.65, 0.6]
        study = put_study(atlas, StudyEntry("a", "a", {}))
        pair = ExplanationEntry("x", "x", "M2IB", None, 1, None, facts={"sentence": "a boat", "flagged": True, "standing": -1.0, "warning": "hardly"})  # fmt: skip # noqa: E501
        with Writer(atlas, study) as writer:
            writer.add(replace(pair, key="y", facts={**pair.facts, "standing": 0.5, "sentence": "a car"}))  # fmt: skip # noqa: E501
            writer.add(pair)
        expected = "'a boat' does not match picture 0 (squares, number 0): hardly."
        assert warning(atlas) == expected
        text = said_in_text(told(plain(atlas, {})))
        assert f"Not to be believed: {expected}" in text and "\u202e" not in text
        assert re.search(r"zoo:vae latents +1 +1 +1 +– +–", text)
        assert "surest of zoo:vae latents: size, small to large 0.90 [0.80, 0.95]" in text


def test_names_without_an_interval_are_named_all_the_same():
    assert names([{"name": "a\u202eb", "certainty": 0.5, "interval": [None, None]}]) == "a b 0.50"
    assert gather_words.SUREST == 3


def test_the_demo_shows_what_is_there(here, monkeypatch, capsys):
    made(here / "legenda-demo.atlas")
    monkeypatch.setattr(atlas_zoo, "gather_zoo", lambda atlas, what, amount, report: {"latents": 1})
    asked = []
    monkeypatch.setattr(
        union_zoo, "union_zoo", lambda atlas, what, amount, report: asked.extend(what)
    )
    assert main(["demo"]) == 0
    assert tuple(asked) == union_zoo.WHAT
    out, err = capsys.readouterr()
    assert "zoo:scenes concepts" in out and "legenda gather MY.atlas latents" in out
    assert "legenda studio legenda-demo.atlas" in out
    assert err.splitlines() == [str(here / "legenda-demo.atlas"), str(here / "legenda-demo.html")]
    page = Path("legenda-demo.html").read_text("utf-8")
    assert "<script>alert(1)" not in page
    assert main(["demo", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kind"] == "demo" and said["page"] == "legenda-demo.html"
    assert all(len(line) <= 80 for line in demo_file.NEXT.splitlines())


def test_the_demo_writes_over_nothing_of_others(here, capsys):
    Path("other.atlas").mkdir()
    Path("other.atlas/letter.txt").write_text("dear")
    assert main(["demo", "--out", "other.html"]) == 2
    assert "other.atlas is there, and is no atlas" in capsys.readouterr().err
    Path("page.html").write_text("mine")
    assert main(["demo", "--out", "page.html"]) == 2
    assert Path("page.html").read_text() == "mine" and not Path("page.atlas").exists()


@pytest.mark.slow
def test_the_whole_demo(here, monkeypatch, capsys):
    monkeypatch.setattr(union_zoo, "WHAT", ("behind", "nats"))  # the rest has tests of its own
    assert main(["demo", "--json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert [s["kind"] for s in said["sets"]] == ["concept", "latent", "token"]
    assert all(one["states"]["named"] >= 3 and len(one["surest"]) == 3 for one in said["sets"])
    assert set(said["studies"]) == {"concepts", "agreement", "latents", "tokens"}
    assert "does not match" in said["warning"]
    page = Path("legenda-demo.html").read_text("utf-8")
    assert not re.search(r"(src|href)=\"https?:", page) and len(page) < 20_000_000
    assert err.splitlines()[-1] == str(here / "legenda-demo.html")


def test_where_nothing_can_be_gathered_no_empty_atlas_is_left(here, capsys):
    assert "there is no model 'none/'" in refused(capsys, "a", "latents", "--model", "none/")
    assert not Path("a").exists()
    made(here / "a")
    before = sorted(path for path in (here / "a").rglob("*"))
    refused(capsys, "a", "latents", "--model", "none/")
    assert sorted(path for path in (here / "a").rglob("*")) == before
