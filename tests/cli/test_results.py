import errno
import json
import os

import pytest
from PIL import Image

from legenda.cli.output import writable, write
from legenda.cli.results import LINES, Results, key
from legenda.cli.settings import numbers, prices, settings_of, sites
from legenda.errors import BadInput

PICTURE = Image.new("RGB", (4, 4))


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_whole_or_absent(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", "whole")
    assert path.read_text() == "whole"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "b.txt", "half")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_leaves_the_lines_before_as_they_were(tmp_path, monkeypatch):
    results = Results(tmp_path / "out")
    results.add("k1", {"source": "a.png"}, PICTURE)
    before = {p.name: p.read_bytes() for p in results.folder.iterdir()}
    calls = []
    monkeypatch.setattr(os, "fsync", lambda fd: full() if calls else calls.append(fd))
    with pytest.raises(OSError, match="No space left"):
        results.add("k2", {"source": "b.png"}, PICTURE)
    assert {p.name: p.read_bytes() for p in results.folder.iterdir()} == before


def test_a_full_disk_at_the_first_result_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    results = Results(tmp_path / "out")
    with pytest.raises(OSError, match="No space left"):
        results.add("k1", {"source": "a.png"}, PICTURE)
    results.tidy()
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_short_is_done_again(tmp_path):
    results = Results(tmp_path)
    for name in ("k1", "k2"):
        results.add(name, {"source": f"{name}.png"}, PICTURE)
    lines = tmp_path / LINES
    lines.write_bytes(lines.read_bytes()[:-9])
    again = Results.at(tmp_path)
    assert list(again.done) == ["k1"]
    again.add("k2", {"source": "k2.png"}, PICTURE)
    said = [json.loads(line)["key"] for line in lines.read_text().splitlines()]
    assert said == ["k1", "k2"]


def test_a_result_without_its_picture_is_done_again(tmp_path):
    made = Results(tmp_path).add("k1", {"source": "a.png"}, PICTURE)
    (tmp_path / made["overlay"]).unlink()
    assert Results.at(tmp_path).done == {}


def test_a_key_knows_picture_sentence_and_settings(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    first = key(path, "a cat", {"beta": 1})
    assert first == key(path, "a cat", {"beta": 1})
    assert len({first, key(path, "a dog", {"beta": 1}), key(path, "a cat", {"beta": 2})}) == 3
    path.write_bytes(b"two")
    assert key(path, "a cat", {"beta": 1}) != first


def test_places_that_cannot_be_written_are_refused_first(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BadInput) as said:
        writable(file, folder=True)
    assert str(said.value) == (
        f"--out {file} is a file; a folder, or a name ending in .html, is needed."
    )
    with pytest.raises(BadInput) as said:
        writable(tmp_path / "no" / "a.html", folder=False)
    assert str(said.value) == (
        f"--out {tmp_path}/no/a.html lies in {tmp_path}/no, which is no folder. Make it first."
    )
    assert writable(tmp_path / "new" / "er", folder=True)


def test_results_of_others_are_never_added_to(tmp_path):
    lines = tmp_path / LINES
    lines.write_text('{"mine": 1}\n')
    with pytest.raises(BadInput) as said:
        Results.at(tmp_path)
    assert str(said.value) == (
        f"{lines} is there, and legenda did not write it. Choose another --out."
    )
    lines.write_text('{"ke')
    assert Results.at(tmp_path).done == {}, "our own first line, cut short"


def test_settings_are_read_as_typed():
    assert settings_of(["draws=4", "per=entry", "antithetic=False"], beta=0.3, seed=None) == {
        "draws": 4, "per": "entry", "antithetic": False, "beta": 0.3,
    }  # fmt: skip
    assert numbers("0.3,1", "--beta") == [0.3, 1.0] and numbers(None, "--beta") == [None]
    assert sites("0,1") == ["0", "1"] and sites("image=1,text=0") == ["image=1,text=0"]
    assert sites("image=1;image=2") == ["image=1", "image=2"] and sites(None) == [None]
    assert prices("0.3,1") == [0.3, 1.0] and prices(None) == [None]
    assert prices("image=1,text=0.1;image=2") == [{"image": 1.0, "text": 0.1}, {"image": 2.0}]
    with pytest.raises(BadInput) as said:
        settings_of(["draws"])
    assert str(said.value) == "--set needs NAME=VALUE, such as draws=4; it got 'draws'."
    with pytest.raises(BadInput) as said:
        numbers("1;2", "--beta")
    assert str(said.value) == (
        "--beta needs numbers with commas between, such as 1,2,3; it got '1;2'."
    )
