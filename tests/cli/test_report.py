"""`legenda report`."""
# ruff: noqa: E501

import json

import pytest

from legenda.cli.report import report
from legenda.errors import BadInput
from tests.atlas.made import made


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return made(tmp_path_factory.mktemp("cli") / "squares.atlas")


def test_it_writes_one_page_and_says_so(atlas, tmp_path, capsys):
    out = tmp_path / "all.html"
    assert report(atlas, out=out) == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"{out}: 11 units, {out.stat().st_size / 1e6:.1f} MB\n"
    assert out.read_text("utf-8").startswith("<!doctype html>")
    assert report(atlas, out=out) == 0, "its own page may be written over"


def test_programs_are_told_what_was_written(atlas, tmp_path, capsys):
    out = tmp_path / "some.html"
    assert report(atlas, out=out, units="3", json=True) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["kind"], told["out"], told["units"], told["of"]) == ("report", str(out), 3, 11)
    assert told["bytes"] == out.stat().st_size and told["seconds"] > 0 and said.err == ""
    report(atlas, out=out, units="3")
    assert capsys.readouterr().err.startswith(f"{out}: 3 of 11 units, ")


def test_the_page_is_opened_where_asked(atlas, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    report(atlas, out=tmp_path / "x.html", open_=True)
    assert opened == [(tmp_path / "x.html").resolve().as_uri()]


@pytest.mark.parametrize("units,said", [
    ("0", "--units shows at least one unit; it got 0. Leave it out for 1000."),
    ("-3", "--units shows at least one unit; it got -3. Leave it out for 1000."),
    ("many", "--units needs a whole number; it got 'many'."),
])  # fmt: skip
def test_no_units_are_refused(atlas, tmp_path, units, said):
    with pytest.raises(BadInput) as refused:
        report(atlas, out=tmp_path / "x.html", units=units)
    assert str(refused.value) == said and not (tmp_path / "x.html").exists()


def test_places_that_cannot_be_written_are_refused_before_any_work(atlas, tmp_path):
    other = tmp_path / "other.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(BadInput) as refused:
        report(atlas, out=other)
    assert (
        str(refused.value)
        == f"{other} is there, and legenda did not write it. Choose another --out."
    )
    with pytest.raises(BadInput) as refused:
        report(atlas, out=tmp_path / "page.txt")
    assert (
        str(refused.value)
        == f"--out {tmp_path}/page.txt is to be a page. Name a page ending in .html."
    )
    assert other.read_text() == "<p>mine</p>"


def test_a_folder_without_an_atlas_is_refused(tmp_path):
    with pytest.raises(BadInput) as refused:
        report(tmp_path, out=tmp_path / "x.html")
    assert str(refused.value) == (
        f"there is no atlas at {tmp_path}: it has no atlas.db. Make one with `legenda demo` or "
        "`legenda run`, or name another folder."
    )
    assert list(tmp_path.iterdir()) == []
