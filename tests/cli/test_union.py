import json

import pytest
from PIL import Image

from legenda.atlas.entries import StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_study
from legenda.cli import main, union
from legenda.cli.union_words import beside, headline, place, short
from legenda.tasks import union_behind_atlas, union_zoo
from tests.tasks import token_world

TINY = union_zoo.LITTLE._replace(close_ups=40, draws=2)
VQ = "tests.tasks.token_world:model"


def run(capsys, *words):
    code = main(["union", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def refusal(capsys, *words):
    code, out, said = run(capsys, *words)
    assert (code, out) == (2, "")
    return said.removeprefix("legenda: ").strip()


def test_shipped_tokens_are_weighed_and_paired(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(union_zoo, "LITTLE", TINY)
    place = tmp_path / "a.atlas"
    code, out, said = run(capsys, place, "nats", "--quick", "--json")
    assert code == 0
    (line,) = map(json.loads, out.splitlines())
    assert (line["kind"], line["result"]) == ("result", "importance")
    assert line["content"]["agreement"][0]["value"] > line["content"]["agreement"][0]["control"]
    assert said.endswith(f"{place}: look at it with `legenda report {place}`\n")
    code, out, _ = run(capsys, place, "together", "--quick")
    assert code == 0
    assert out.startswith("Which tokens of zoo:vq are found together\ncontrol ")
    assert "pairs above chance" in out
    with Atlas(place) as atlas:
        assert [r[0] for r in atlas.all("SELECT kind FROM studies")] == ["nats", "together"]
        assert atlas.value("SELECT count(*) FROM units") == 512
        commands = [r[0] for r in atlas.all("SELECT command FROM studies")]
        assert commands == ["legenda union ATLAS nats", "legenda union ATLAS together"]


def test_tokens_of_a_model_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(union, "FEW", 2)
    token_world.world(tmp_path, 40)
    labels, pictures = tmp_path / "labels.csv", tmp_path / "pictures"
    given = (f"--model={VQ}", f"--images={pictures}", f"--labels={labels}", "--quick", "--json")
    for what, kind in (("together", "together"), ("moved", "nulls"), ("nats", "importance")):
        code, out, _ = run(capsys, tmp_path / "a", what, *given)
        assert code == 0
        assert json.loads(out)["result"] == kind
    with Atlas(tmp_path / "a") as atlas:
        assert atlas.value("SELECT count(*) FROM sets") == 1
        assert atlas.value("SELECT count(*) FROM explanations WHERE by = 'TokenDoses'") > 0


def test_pairs_of_ones_own_go_behind_their_maps(tmp_path, capsys, monkeypatch):
    asked = {}

    def fake(atlas, folder, pictures, sentences, **more):
        asked.update(folder=folder, names=[p.source for p in pictures], said=sentences, **more)
        return put_study(atlas, StudyEntry("behind", "x", {}))

    monkeypatch.setattr(union_behind_atlas, "gather_behind", fake)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    table = tmp_path / "pairs.csv"
    table.write_text("image,text\na.png,a red car\nc.png,a lie\nb.png,a blue ring\n")
    code, out, said = run(
        capsys, tmp_path / "x", "behind", "--model=zoo:scenes", f"--pairs={table}", "--seed=3"
    )
    assert (code, out) == (2, "")
    assert "c.png" in said
    assert asked["names"] == ["a.png", "b.png"]
    assert asked["said"] == ["a red car", "a blue ring"]
    assert (asked["folder"], asked["seeds"], asked["seed"]) == ("zoo:scenes", (0, 1, 2), 3)
    table.write_text("image,text\nc.png,a lie\n")
    found = refusal(capsys, tmp_path / "x", "behind", "--model=zoo:scenes", f"--pairs={table}")
    assert found.endswith(f"{table} names no picture that can be read. Give some.")


def test_a_picture_that_cannot_be_read_is_told_and_the_others_go_on(tmp_path, capsys):
    token_world.world(tmp_path, 40)
    (tmp_path / "pictures" / "3.png").write_bytes(b"no picture")
    code, out, said = run(
        capsys, tmp_path / "a", "together", f"--model={VQ}", f"--images={tmp_path / 'pictures'}",
        f"--labels={tmp_path / 'labels.csv'}", "--json",
    )  # fmt: skip
    assert code == 2
    assert json.loads(out)["content"]["pictures"] == 39
    assert "3.png" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("nuts",),
            "union takes all, behind, nats, together, moved, names, faithful; it got 'nuts'. Did "
            "you mean 'nats'?",
        ),
        (
            ("names", "--model=x"),
            "--model is about behind and nats and together and moved, not about names. Leave it "
            "out, or say `legenda union ATLAS behind`.",
        ),
        (
            ("behind", "--labels=x.csv"),
            "--labels is about nats and together and moved, not about behind. Leave it out, or say "
            "`legenda union ATLAS nats`.",
        ),
        (
            ("nats", "--labels=x.csv"),
            "--labels needs the --model that it is for; without one, the models that ship are "
            "asked about pictures of their own.",
        ),
        (
            ("behind", "--model=zoo:scenes"),
            "behind of a model of yours needs --pairs as well. Give it.",
        ),
        (("nats", "--seed=-1"), "--seed needs 0 or more; it got -1."),
        (("nats", "--device=moon"), None),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path, capsys, words, said):
    found = refusal(capsys, tmp_path / "a", *words)
    assert said is None or found == said
    assert not (tmp_path / "a").exists()


def test_the_folder_of_somebody_else_is_refused(tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "mine.png")
    found = refusal(capsys, tmp_path, "nats")
    assert found == f"{tmp_path} is there, and is no atlas. Choose a folder of its own."


def test_a_model_without_tokens_is_refused(tmp_path, capsys):
    token_world.world(tmp_path, 12)
    found = refusal(
        capsys, tmp_path / "a", "together", "--model=zoo:scenes",
        f"--labels={tmp_path / 'labels.csv'}", f"--images={tmp_path / 'pictures'}",
    )  # fmt: skip
    assert found == (
        "together needs a model with a codebook, whose tokens can be read; zoo:scenes has none. "
        "Try zoo:vq, or the folder of a VQModel."
    )


def test_a_number_stands_with_its_interval_beside_lots():
    held = {"question": "is it", "value": 0.9, "low": 0.8, "high": 1.0, "control": 0.25, "n": 12}
    assert headline(held) == "is it: 0.9 [0.8, 1]; by lot 0.25 (n 12)"
    held = {"kind": "token", "silent": 0.95, "low": 0.9, "high": 0.97, "n": 100, "coverage": 0.1}
    assert headline(held) == "silent on nothing: 0.95 [0.9, 0.97] (n 100)"
    assert beside(held) == "kind token, coverage 0.1"
    assert headline({"better": "higher"}) == ""
    assert beside({"better": "higher", "table": []}) == "better higher"


def test_what_matters_of_a_table_comes_first():
    assert sorted(["n", "zebra", "value", "system"], key=place) == ["system", "value", "n", "zebra"]


def test_values_are_short():
    assert [short(v) for v in (True, None, 0.12345, 7, "x")] == ["yes", "–", "0.123", "7", "x"]
