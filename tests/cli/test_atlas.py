"""`legenda atlas`: what its commands print, write and refuse."""

import json

import pytest

from legenda.atlas.store import Atlas
from legenda.cli import main
from tests.atlas.made import made


@pytest.fixture
def atlas(tmp_path):
    return str(made(tmp_path / "a"))


def run(capsys, *words):
    """Exit code, the lines of stdout, and those of stderr."""
    code = main(["atlas", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err.splitlines()


def told(capsys, *words):
    """The one JSON line of a command that went well."""
    code, out, _ = run(capsys, *words, "--json")
    assert code == 0 and len(out) == 1
    return json.loads(out[0])


def test_info_counts_units_by_state(capsys, atlas):
    found = told(capsys, "info", atlas)
    assert found["units"] == 11 and found["pictures"] == 6 and found["corrections"] == 0
    assert [one["states"]["named"] for one in found["sets"]] == [1, 5, 1]
    assert [(one["done"], one["explanations"], one["failures"]) for one in found["studies"]] == [
        (True, 2, 0), (False, 7, 1),
    ]  # fmt: skip
    assert found["bytes"]["files"] == 14 and found["bytes"]["database"] > 100_000
    code, out, _ = run(capsys, "info", atlas)
    assert code == 0
    assert "zoo:scenes/matryoshka" in "\n".join(out) and "not finished" in "\n".join(out)


def test_search_lists_what_it_finds(capsys, atlas):
    code, out, _ = run(capsys, "search", atlas, "ca", "--json")
    assert code == 0 and [json.loads(line)["name"] for line in out] == ["cat"]
    code, out, _ = run(capsys, "search", atlas, "--kind", "concept", "--score", 0.65,
                       "--order", "score", "--json")  # fmt: skip
    assert [json.loads(line)["name"] for line in out] == ["animal", "cat"]
    code, out, _ = run(capsys, "search", atlas, "--set", "latents", "--state", "named", "--json")
    assert [json.loads(line)["id"] for line in out] == [1]
    code, out, err = run(capsys, "search", atlas, "--limit", 2, "--offset", 2)
    assert code == 0 and len(out) == 3 and err == ["there are more: --offset 4"]
    code, out, err = run(capsys, "search", atlas, "wolf")
    assert (code, out, err) == (0, [], ["nothing is found."])


def test_a_hostile_name_cannot_steer_the_terminal(capsys, atlas):
    code, out, _ = run(capsys, "search", atlas, "script")
    text = "\n".join(out)
    assert code == 0 and "<script>" in text and "\u202e" not in text
    with Atlas(atlas, write=True) as opened:
        opened.base.execute("UPDATE units SET name = '\x1b[31mred [bold]x[/bold]' WHERE id = 5")
    _, out, _ = run(capsys, "search", atlas, "bold")
    assert "\x1b" not in "\n".join(out) and "[bold]x[/bold]" in "\n".join(out)


def test_rename_and_undo(capsys, atlas):
    said = told(capsys, "rename", atlas, "zoo:vae/latents/1", "slant", "--by", "me")
    assert (said["id"], said["name"], said["by"], said["state"]) == (2, "slant", "me", "named")
    assert run(capsys, "rename", atlas, 2, "tilt")[2] == ["zoo:vae/latents/1 is called 'tilt'"]
    assert run(capsys, "rename", atlas, 2, "--undo")[2] == ["zoo:vae/latents/1 has no name"]
    code, out, err = run(capsys, "rename", atlas, 2, "--undo")
    assert code == 2 and out == []
    assert err == [f"legenda: unit 2 of {atlas} has no name by a person. There is none to undo."]


@pytest.mark.parametrize("words", [("2",), ("2", "x", "--undo")])
def test_rename_takes_a_name_or_undo(capsys, atlas, words):
    code, _, err = run(capsys, "rename", atlas, *words)
    assert code == 2 and err == [
        "legenda: atlas rename takes a name or --undo, and one of them. Give one."
    ]


def test_verify_says_whole_or_names_the_damage(capsys, tmp_path, atlas):
    assert run(capsys, "verify", atlas) == (0, [], [f"{atlas}: whole"])
    (tmp_path / "a" / "tensors" / "x.writing").write_bytes(b"half")
    code, _, err = run(capsys, "verify", atlas)
    assert code == 0 and err == [
        "litter: tensors/x.writing no entry points at it; `legenda atlas gc` sweeps it",
        f"{atlas}: whole",
    ]
    with Atlas(atlas) as opened:
        digest = opened.value("SELECT digest FROM shards WHERE id = 1")
    name = f"tensors/{digest[:2]}/{digest}.safetensors"
    (tmp_path / "a" / name).unlink()
    code, _, err = run(capsys, "verify", atlas)
    assert code == 2 and err[0] == f"damaged: {name} is not there; 2 explanations depend on it"
    assert err[-1] == f"{atlas}: 1 damaged"
    code, out, _ = run(capsys, "verify", atlas, "--json")
    assert code == 2 and json.loads(out[0]) == {
        "where": name, "said": "is not there", "lost": 2, "damage": True,
    }  # fmt: skip


def test_verify_may_migrate(capsys, atlas, monkeypatch):
    from legenda.atlas import schema

    more = ("CREATE TABLE moods (id INTEGER PRIMARY KEY) STRICT;\n", "9.9")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, more))
    monkeypatch.setattr(schema, "SCHEMA", 2)
    code, _, err = run(capsys, "verify", atlas)
    assert code == 2 and "--migrate" in err[0]
    assert run(capsys, "verify", atlas, "--migrate")[0] == 0
    assert run(capsys, "verify", atlas)[0] == 0


def test_gc_says_what_it_would_sweep(capsys, tmp_path, atlas):
    litter = tmp_path / "a" / "tensors" / "x.writing"
    litter.write_bytes(b"half")
    assert run(capsys, "gc", atlas, "--dry-run")[2] == [
        "would sweep 0 pieces of evidence, 1 files, 4 bytes"
    ]
    assert litter.exists()
    assert told(capsys, "gc", atlas) == {
        "evidence": 0, "shards": 0, "litter": 1, "bytes": 4, "dry": False,
    }  # fmt: skip
    assert not litter.exists()


def test_merge_says_what_came_in(capsys, tmp_path, atlas):
    other = str(made(tmp_path / "b", pictures=7, seed=1))
    code, _, err = run(capsys, "merge", atlas, other, "--into", tmp_path / "c")
    assert code == 0 and len(err) == 2 and err[0].startswith(f"{atlas}: 2 models, 3 sets, 11 units")
    assert told(capsys, "merge", other, "--into", tmp_path / "c")["added"]["units"] == 0
    code, _, err = run(capsys, "merge", tmp_path / "none", "--into", tmp_path / "d")
    assert code == 2 and "there is no atlas at" in err[0]
    assert not (tmp_path / "d").exists(), "nothing is written where a source is missing"
    code, _, err = run(capsys, "merge", "--into", tmp_path / "d")
    assert code == 2 and err == [
        "legenda: atlas merge needs an atlas to read; it got none. Name one or more."
    ]


def test_export_and_import(capsys, tmp_path, atlas):
    assert run(capsys, "export", atlas, "--parquet", tmp_path / "p")[0] == 0
    file = tmp_path / "n.json"
    assert told(capsys, "export", atlas, "--neuronpedia", file) == {"written": str(file)}
    assert told(capsys, "import", tmp_path / "b", tmp_path / "p")["added"]["units"] == 11
    assert told(capsys, "import", tmp_path / "c", file)["added"]["units"] == 11
    assert told(capsys, "import", tmp_path / "b", file)["added"]["units"] == 0
    assert run(capsys, "verify", tmp_path / "b")[0] == run(capsys, "verify", tmp_path / "c")[0] == 0


ONE = (
    "legenda: atlas export takes one of --parquet FOLDER, --neuronpedia FILE, or --saelens FOLDER "
    "with --set. Give one."
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [(), ("--parquet", "p", "--neuronpedia", "n.json"), ("--saelens", "s"),
     ("--parquet", "p", "--set", "latents")],
)  # fmt: skip
def test_export_takes_one_thing(capsys, tmp_path, monkeypatch, atlas, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "export", atlas, *words)
    assert code == 2 and err == [ONE]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_of_others_is_not_written_over(capsys, tmp_path, atlas):
    mine = tmp_path / "mine.json"
    mine.write_text('{"mine": 1}')
    code, _, err = run(capsys, "export", atlas, "--neuronpedia", mine)
    assert code == 2 and err == [
        f"legenda: {mine} is there, and legenda did not write it. Choose another file."
    ]
    assert mine.read_text() == '{"mine": 1}'
    code, _, err = run(capsys, "export", atlas, "--neuronpedia", tmp_path / "n.txt")
    assert code == 2 and err == [
        f"legenda: --neuronpedia {tmp_path / 'n.txt'} is to be a file of JSON. Name one ending "
        "in .json."
    ]
    code, _, err = run(capsys, "export", atlas, "--neuronpedia", tmp_path / "no" / "n.json")
    assert code == 2 and err == [
        f"legenda: --neuronpedia {tmp_path / 'no' / 'n.json'} is or lies in no folder. Name a "
        "file in a folder."
    ]
    code, _, err = run(capsys, "import", tmp_path / "b", tmp_path / "none")
    assert code == 2 and err == [
        f"legenda: {tmp_path / 'none'} is not there. Give what `legenda atlas export` wrote."
    ]
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "words",
    [("info",), ("search",), ("rename", "1", "x"), ("verify",), ("verify", "--migrate"), ("gc",)],
    ids=" ".join,
)
def test_where_there_is_no_atlas_none_is_made(capsys, tmp_path, words):
    code, _, err = run(capsys, words[0], tmp_path / "none", *words[1:])
    assert code == 2 and err == [
        f"legenda: there is no atlas at {tmp_path / 'none'}: it has no atlas.db. Make one with "
        "`legenda demo` or `legenda run`, or name another folder."
    ]
    assert not (tmp_path / "none").exists()


def test_an_atlas_is_not_made_among_the_things_of_others(capsys, tmp_path, atlas):
    mine = tmp_path / "pictures"
    mine.mkdir()
    (mine / "1.png").write_bytes(b"mine")
    run(capsys, "export", atlas, "--parquet", tmp_path / "out")
    for words in (("merge", atlas, "--into", mine), ("import", mine, tmp_path / "out")):
        code, _, err = run(capsys, *words)
        assert code == 2 and err == [
            f"legenda: {mine} is there, and is no atlas. Choose a folder of its own."
        ]
    assert [path.name for path in mine.iterdir()] == ["1.png"]


def test_where_merging_or_importing_fails_no_empty_atlas_is_left(capsys, tmp_path, atlas):
    (tmp_path / "none").mkdir()
    code, _, err = run(capsys, "import", tmp_path / "b", tmp_path / "none")
    assert code == 2 and "models.parquet is not there" in err[0]
    next((tmp_path / "a" / "tensors").rglob("*.safetensors")).write_bytes(b"half")
    code, _, err = run(capsys, "merge", atlas, "--into", tmp_path / "b")
    assert code == 2 and "cannot be merged" in err[0]
    assert not (tmp_path / "b").exists()


def test_scores_stand_beside_what_chance_gives(capsys, atlas):
    with Atlas(atlas, write=True) as opened:
        opened.base.execute("""UPDATE units SET score = (SELECT value FROM scores WHERE
          explanation = 1 LIMIT 1), facts = json_object('score', (SELECT name FROM scores WHERE
          explanation = 1 LIMIT 1)) WHERE id = 1""")
        score, control = opened.one(
            "SELECT value, control FROM scores WHERE explanation = 1 LIMIT 1"
        )
    code, out, _ = run(capsys, "search", atlas, "--set", "latents", "--state", "named", "--json")
    (row,) = map(json.loads, out)
    assert code == 0 and (row["score"], row["control"]) == (score, control)
    _, out, _ = run(capsys, "search", atlas, "--set", "latents", "--state", "named")
    assert out[0].endswith("score  by chance")
    assert out[1].split()[-2:] == [f"{score:.2f}", f"{control:.2f}"]
    code, _, err = run(capsys, "search", atlas, "--certainty", "nan")
    assert code == 2 and err == [
        "legenda: the least certainty is a number; it got nan. Leave it out for all."
    ]


def test_one_thing_is_said_in_the_singular(capsys, tmp_path, atlas):
    run(capsys, "rename", atlas, "1", "mine")
    _, out, _ = run(capsys, "info", atlas)
    said = " ".join(" ".join(out).split())
    assert "11 units of 3 dictionaries, 6 pictures" in said and "1 name by a person" in said
