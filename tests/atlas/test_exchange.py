"""What goes out comes back, and what others wrote is looked at before it is believed."""
# ruff: noqa: E501

import base64
import json
import sys

import pyarrow.parquet as parquet
import pytest
import torch

from legenda.atlas.corrections import rename
from legenda.atlas.digest import digests
from legenda.atlas.export_neuronpedia import export_neuronpedia
from legenda.atlas.export_parquet import TABLES, export_parquet
from legenda.atlas.import_neuronpedia import import_neuronpedia
from legenda.atlas.importing import import_parquet
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.errors import BadInput, Missing
from tests.atlas.made import made

KEPT = {"models", "sets", "units", "corrections", "pictures", "studies", "exemplars", "descriptions"}  # fmt: skip
"""What a file of features brings back whole."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = made(tmp_path_factory.mktemp("exchange") / "a")
    with Atlas(path, write=True) as atlas:
        rename(atlas, 2, "mine", "me")
        rename(atlas, 5, "tabby", "me")
        yield atlas


@pytest.fixture
def empty(tmp_path):
    with Atlas(tmp_path / "back", write=True) as atlas:
        yield atlas


def test_parquet_loses_nothing(tmp_path, source, empty):
    written = export_parquet(source, tmp_path / "p")
    assert [path.name for path in written] == [f"{table}.parquet" for table in TABLES]
    found = import_parquet(empty, tmp_path / "p")
    assert digests(empty) == digests(source) and verify(empty) == []
    assert found.added["units"] == 11 and found.added["corrections"] == 2
    assert not any(import_parquet(empty, tmp_path / "p").added.values())


def test_parquet_can_be_read_and_joined_by_others(tmp_path, source):
    export_parquet(source, tmp_path / "p")
    units = parquet.read_table(tmp_path / "p" / "units.parquet").to_pylist()
    assert {row["id"]: row["name"] for row in units}[5] == "tabby"
    assert {type(row["certainty"]) for row in units} == {float, type(None)}
    rows = parquet.read_table(tmp_path / "p" / "exemplars.parquet").to_pylist()
    assert {row["unit"] for row in rows} <= {row["id"] for row in units}
    assert parquet.read_table(tmp_path / "p" / "evidence.parquet").column_names == [
        "id", "key", "kind", "facts", "tensors",
    ]  # fmt: skip


def test_parquet_goes_to_a_new_folder(tmp_path, source):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput) as caught:
        export_parquet(source, tmp_path)
    assert str(caught.value) == f"--parquet {tmp_path} is there and not empty. Name a new folder."
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_pyarrow_it_says_what_to_install(tmp_path, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Missing) as caught:
        export_parquet(source, tmp_path / "p")
    assert str(caught.value) == (
        "Parquet needs pyarrow, which is not installed. Install it: pip install legenda[data]."
    )
    assert not (tmp_path / "p").exists()


def altered(folder, table, change):
    """Change the rows of an exported table."""
    path = folder / f"{table}.parquet"
    held = parquet.read_table(path)
    rows = held.to_pylist()
    change(rows)
    parquet.write_table(type(held).from_pylist(rows, held.schema), path)


def set_(row, **fields):
    return lambda rows: rows[row].update(fields)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
CHEATS = {
    "a state that is none": ("units", set_(0, state="happy"), "CHECK constraint failed"),
    "a unit of no set": ("units", set_(0, set_id=99), "FOREIGN KEY constraint failed"),
    "a unit twice": ("units", set_(0, number=1), "UNIQUE constraint failed"),
    "no JSON": ("units", set_(0, facts="{"), "Expecting property name"),
    "not finite": ("units", set_(0, facts='{"a": NaN}'), "an atlas keeps finite numbers only"),
    "a list for facts": ("units", set_(0, facts="[1]"), "it does not hold what an atlas holds"),
    "a script for a picture": ("pictures", set_(0, data=SVG, media="image/svg+xml"), "a picture is of the type 'image/svg+xml'; an atlas takes image/png, image/jpeg, image/webp, image/gif only."),
    "a script in a picture": ("pictures", set_(0, data=SVG), "is not what it says. Export it again."),
    "a size that is not its own": ("pictures", set_(0, width=10**6), "is not what it says. Export it again."),
    "tensors that are none": ("evidence", set_(0, tensors=b"\x80\x04pickle"), "is damaged ("),
    "another's tensors": ("evidence", lambda rows: rows[0].update(tensors=rows[1]["tensors"]), "is not what its key says. Export it again."),
    "evidence that is not there": ("explanations", set_(0, evidence=99), "FOREIGN KEY constraint failed"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "change", "said"), CHEATS.values(), ids=CHEATS.keys())
def test_a_table_that_cheats_is_refused_whole(tmp_path, source, empty, table, change, said):
    export_parquet(source, tmp_path / "p")
    altered(tmp_path / "p", table, change)
    before = digests(empty)
    with pytest.raises(BadInput) as caught:
        import_parquet(empty, tmp_path / "p")
    assert str(caught.value).startswith(f"{tmp_path / 'p'} cannot be imported: ")
    assert said in str(caught.value)
    assert digests(empty) == before and not list(empty.folder.rglob("*.safetensors"))


def test_a_table_that_is_none_is_named(tmp_path, source, empty):
    export_parquet(source, tmp_path / "p")
    path = tmp_path / "p" / "units.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput) as caught:
        import_parquet(empty, tmp_path / "p")
    assert str(caught.value).startswith(f"{path} cannot be read as Parquet (")
    path.unlink()
    with pytest.raises(BadInput) as caught:
        import_parquet(empty, tmp_path / "p")
    assert str(caught.value) == (
        f"{path} is not there. Give the folder that `export --parquet` wrote."
    )
    parquet.write_table(parquet.read_table(tmp_path / "p" / "models.parquet"), path)
    with pytest.raises(BadInput) as caught:
        import_parquet(empty, tmp_path / "p")
    assert str(caught.value) == (
        f"{path} has the columns id, ref, name, site, revision, digest, card; an atlas has id, "
        "set_id, number, label, state, name, said, why, certainty, low, high, score, facts. "
        "Export it again with this legenda."
    )


def test_features_come_back(tmp_path, source, empty):
    path = export_neuronpedia(source, tmp_path / "n.json")
    import_neuronpedia(empty, path)
    ours, theirs = digests(source), digests(empty)
    same = {table for table in ours if ours[table] == theirs[table]}
    assert same == KEPT and verify(empty) == []
    again = export_neuronpedia(empty, tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob("*.writing"))


def test_maps_are_spatial_and_come_back_bit_by_bit(tmp_path, source, empty):
    path = export_neuronpedia(source, tmp_path / "n.json")
    features = json.loads(path.read_text())["features"]
    feature = next(f for f in features if f["layer"] == "patches" and f["index"] == "1")
    assert feature["modelId"] == "zoo:scenes" and feature["explanations"][0]["description"] == "cat"
    asked = "SELECT evidence FROM exemplars x JOIN units u ON u.id = x.unit WHERE u.name = 'tabby'"
    maps = source.arrays(source.value(asked))["maps"]
    values = [one["values"] for one in feature["activations"]]
    assert torch.equal(torch.tensor(values), maps) and maps.shape == (4, 6, 6)
    assert [one["maxValue"] for one in feature["activations"]] == [1.0, 0.9, 0.8, 0.7]
    import_neuronpedia(empty, path)
    assert torch.equal(empty.arrays(empty.value(asked))["maps"], maps)


def first_picture(file):
    return file["pictures"][0]


FAKES = {
    "not JSON": (lambda f: "{", "the file: Invalid JSON"),
    "another format": (lambda f: f.update(format="x"), "format: Input should be 'legenda-neuronpedia'"),
    "a newer version": (lambda f: f.update(version=2), "version: Input should be 1"),
    "an unknown field": (lambda f: f.update(extra=1), "extra: Extra inputs are not permitted"),
    "a word for a number": (lambda f: f["features"][3].update(score="high"), "features.3.score: Input should be a valid number"),
    "no index": (lambda f: f["features"][3].update(index="-1"), "features.3.index: '-1' is no number of a unit."),
    "no source": (lambda f: f["features"][3].update(source=7), "features.3 points at number 7 of 3."),
    "from behind": (lambda f: f["features"][3].update(source=-1), "features.3 points at number -1 of 3."),
    "no picture": (lambda f: f["features"][3]["activations"][0].update(picture=99), "features.3 points at number 99 of 6."),
    "ragged maps": (lambda f: f["features"][3]["activations"][0].update(values=[[1.0], [1.0, 2.0]]), "features.3.activations: the maps have different sizes."),
    "a state that is none": (lambda f: f["features"][3].update(state="happy"), "CHECK constraint failed"),
    "no base64": (lambda f: first_picture(f).update(data="%%"), "is no base64."),
    "a script": (lambda f: first_picture(f).update(data=base64.b64encode(SVG).decode()), "is not what it says."),
    "a long name": (lambda f: f["features"][0].update(correction={"name": "x" * 999, "by": "", "at": ""}), "a name has up to 200 letters"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), FAKES.values(), ids=FAKES.keys())
def test_a_file_that_cheats_is_refused_whole(tmp_path, source, empty, change, said):
    path = export_neuronpedia(source, tmp_path / "n.json")
    file = json.loads(path.read_text())
    text = change(file)
    path.write_text(text if isinstance(text, str) else json.dumps(file))
    before = digests(empty)
    with pytest.raises(BadInput) as caught:
        import_neuronpedia(empty, path)
    assert str(caught.value).startswith(f"{path} cannot be imported: ")
    assert said in str(caught.value)
    assert digests(empty) == before
