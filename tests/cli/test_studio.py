import json
import sys

import pytest

from legenda import cli
from legenda.atlas.store import Atlas
from legenda.cli.studio import port_of
from legenda.errors import BadInput
from tests.atlas.made import made


@pytest.fixture(autouse=True)
def there(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "studio", "The studio.")


@pytest.fixture
def served(monkeypatch):
    """What would be served, and where; nobody waits for Ctrl-C."""
    found = []

    def serve(app, made_):
        found.append((app, made_.getsockname()))
        made_.close()
        app.studio.close()

    monkeypatch.setattr("legenda.studio.serve.serve", serve)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("atlas") / "a")


def refused(capsys, *words):
    assert cli.main(["studio", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.removeprefix("legenda: ").strip()


def test_the_address_is_said_and_nobody_else_is_served(folder, served, capsys):
    assert cli.main(["studio", str(folder), "--port", "0"]) == 0
    ((app, (host, port)),) = served
    out, err = capsys.readouterr()
    assert host == "127.0.0.1" and port > 0
    assert out == f"http://127.0.0.1:{port}/\n"
    assert err == (
        f"{folder} is served at http://127.0.0.1:{port}/ to this machine alone. Ctrl-C stops it.\n"
    )
    assert not app.studio.how.edit and not app.studio.atlas.write


def test_json_for_programs(folder, served, capsys):
    assert cli.main(["studio", str(folder), "--port=0", "--json", "--edit"]) == 0
    ((app, (_, port)),) = served
    assert json.loads(capsys.readouterr()[0]) == {"url": f"http://127.0.0.1:{port}/", "edit": True}
    assert app.studio.how.edit and app.studio.atlas.write


def test_options_reach_the_studio(folder, served, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    words = ["--model", "zoo:vq", "--model=a.b:c", "--host", "localhost", "--open"]
    assert cli.main(["studio", str(folder), "--port=0", "--against", str(folder), *words]) == 0
    ((app, (_, port)),) = served
    assert app.studio.how.models == ("zoo:vq", "a.b:c")
    assert isinstance(app.studio.how.against, Atlas)
    assert shown == [f"http://127.0.0.1:{port}/"]


def test_what_cannot_be_served(folder, tmp_path, capsys):
    assert refused(capsys, tmp_path, "--port=0") == (
        f"there is no atlas at {tmp_path}: it has no atlas.db. Make one with `legenda demo` or "
        "`legenda run`, or name another folder."
    )
    assert refused(capsys, tmp_path / "new", "--edit", "--port=0").startswith("there is no atlas")
    assert not (tmp_path / "new").exists(), "looking makes no atlas"
    assert refused(capsys, folder, "--host", "0.0.0.0") == (
        "the studio listens on this machine alone, so that nobody else reads or changes the atlas; "
        "0.0.0.0 is open to others. Leave --host out, and use an SSH tunnel from afar."
    )
    assert refused(capsys, folder, "--device", "cuda:99").startswith("there is no device 'cuda:99'")


@pytest.mark.parametrize("closed", ["", "atlas.db", "tensors"])
def test_what_cannot_be_written_is_not_opened_to_edit(folder, closed, served, monkeypatch, capsys):
    import os

    # root may write anything, so that rights alone would tell nothing here
    monkeypatch.setattr(os, "access", lambda path, how: path != folder / closed or how != os.W_OK)
    assert refused(capsys, folder, "--edit", "--port=0") == (
        f"{folder / closed} cannot be written, so that nothing could be kept. Leave --edit out, or "
        "copy the atlas to where you may change it."
    )
    assert not served
    assert cli.main(["studio", str(folder), "--port=0"]) == 0, "looking goes on"


def test_a_taken_port_is_said(folder, capsys):
    from legenda.studio.serve import bound

    with bound("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        assert refused(capsys, folder, "--port", port) == (
            f"port {port} of 127.0.0.1 cannot be used: address already in use. Choose another with "
            "--port, or 0 for a free one."
        )


@pytest.mark.parametrize("typed", ["x", "-1", "65536", "1e3", "", "٣", "9" * 30])
def test_what_is_no_port(typed):
    with pytest.raises(BadInput) as wrong:
        port_of(typed)
    assert str(wrong.value) == (
        f"--port needs a number from 0 to 65535, 0 for a free one; it got {typed!r}."
    )
    assert (port_of(None), port_of("0"), port_of("65535")) == (8377, 0, 65535)


def test_without_its_packages_it_says_how_to_get_them(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert refused(capsys, folder) == (
        "the studio needs uvicorn, which is not installed. Run pip install 'legenda[studio]'; "
        "`legenda report` makes the same pages as one file without it."
    )


def test_a_newer_atlas_is_refused(tmp_path, capsys):
    import sqlite3

    folder = made(tmp_path / "a")
    base = sqlite3.connect(folder / "atlas.db")
    base.execute("PRAGMA user_version = 99")
    base.commit()
    base.close()
    assert "has schema 99; this legenda reads up to" in refused(capsys, folder, "--port=0")
