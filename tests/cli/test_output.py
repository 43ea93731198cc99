"""Where commands write: never over what is not legenda's, and in any encoding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legenda.cli.output import writable, write
from legenda.errors import BadInput
from legenda.show.page import page
from tests.show.made import made

FULL = Path("/dev/full")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path, *, folder=False):
    with pytest.raises(BadInput) as caught:
        writable(Path(path), folder=folder)
    return str(caught.value)


# ------------------------------------------------------------------------- what is written over


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("out", ["", "."])
def test_an_empty_name_is_refused(here, out, folder):
    assert refusal(out, folder=folder) == (
        "--out names no place. Name a folder, or a page ending in .html."
    )


@pytest.mark.parametrize("folder", [True, False])
def test_a_device_or_a_pipe_is_refused(here, folder):
    os.mkfifo("pipe.html")
    for name in ("/dev/null", "pipe.html"):
        assert refusal(name, folder=folder) == (
            f"--out {name} is a device or a pipe. Name a file or folder of its own."
        )


def test_a_page_ends_in_html(here):
    want = "--out {} is to be a page. Name a page ending in .html."
    assert refusal("thesis.docx") == want.format("thesis.docx")
    assert refusal("page") == want.format("page")
    assert writable(Path("page.HTM")) == Path("page.HTM")


def test_a_page_of_others_is_never_written_over(here):
    Path("mine.html").write_text("<!doctype html><title>About legenda</title>")
    assert refusal("mine.html") == (
        "mine.html is there, and legenda did not write it. Choose another --out."
    )
    Path("site").mkdir()
    Path("mine.html").rename("site/index.html")
    assert refusal("site", folder=True) == (
        "site/index.html is there, and legenda did not write it. Choose another --out."
    )


def test_a_page_of_ours_is_written_over(here):
    Path("site").mkdir()
    write(Path("ours.html"), page([made()]))
    write(Path("site/index.html"), page([made()], "A title of " + 3000 * "x"))
    assert writable(Path("ours.html")) == Path("ours.html")
    assert writable(Path("site"), folder=True) == Path("site")


def test_a_link_stays_a_link(here):
    Path("far").mkdir()
    Path("link.html").symlink_to("far/page.html")
    for title in ("One", "Two"):  # the first finds no target
        assert writable(Path("link.html")) == Path("link.html")
        assert write(Path("link.html"), page([made()], title)) == Path("link.html")
        assert Path("link.html").is_symlink()
        assert f"<h1>{title}</h1>" in Path("far/page.html").read_text()
    assert [p.name for p in Path("far").iterdir()] == ["page.html"]
    Path("far/page.html").write_text("notes")
    assert refusal("link.html").startswith("link.html is there, and legenda did not write it.")


def test_a_name_that_no_file_can_have(here):
    name = 300 * "a" + ".html"
    assert refusal(name) == f"--out {name} cannot be used: File name too long."


# ------------------------------------------------------------------------------------- encodings


def run(*words, stdout=subprocess.PIPE, **env):
    return subprocess.run(
        [sys.executable, "-m", "legenda", *words], stdout=stdout, stderr=subprocess.PIPE, text=True,
        errors="surrogateescape", timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
    )  # fmt: skip


SAY = (
    "from legenda.cli import output; output.lenient(); "
    "output.tell({'β': 'caf\\udce9 猫'}); output.show('β caf\\udce9 猫'); "
    "output.write(output.Path('o.html'), '\\udce9')"
)


def test_nothing_that_an_encoding_lacks_is_an_error(here):
    done = subprocess.run(
        [sys.executable, "-c", SAY], capture_output=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line, words = done.stdout.splitlines()
    assert json.loads(line.decode("ascii")) == {"β": "caf\udce9 猫"}
    assert words == b"? caf? ?"
    assert Path("o.html").read_bytes() == b"?"


def test_main_writes_in_any_encoding(here):
    done = run("zoo", "card", "scenes", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "") and "?" in done.stdout
    done = run("explain", "zoo:scenes", "naïve-β.png", "a", "--json", PYTHONIOENCODING="cp1252")
    assert done.returncode == 2
    assert "naïve-β.png" in json.loads(done.stdout)["error"] and done.stdout.isascii()


# ----------------------------------------------------------------------------------- a full disk


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
@pytest.mark.parametrize("words", [["models"], ["models", "--json"], ["zoo", "card", "photos"]])
def test_a_full_stdout_is_one_sentence(here, words):
    with FULL.open("w") as full:
        done = run(*words, stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        "legenda: the disk is full: writing standard output failed. Make room and run again.\n"
    )


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
def test_a_refusal_on_a_full_stdout_is_still_said(here):
    with FULL.open("w") as full:
        done = run("explain", "zoo:scenes", "no.png", "a", "--json", stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        "legenda: image, folder or file of pairs no.png is not there. Check the path.\n"
    )


# ---------------------------------------------------------------------------------------- models


def test_a_flag_without_a_model_is_refused(here, capsys):
    from legenda.cli import main

    for option in (["--sites"], ["--site", "stem"]):
        assert main(["models", *option]) == 2
        assert capsys.readouterr().err == (
            f"legenda: {option[0]} needs a model, such as zoo:scenes; it got none. Name one.\n"
        )


def test_a_plain_module_is_described_at_a_site(here, capsys):
    from legenda.cli import main

    words = ["models", "tests.toys:plain_net", "--site", "stem.conv"]
    assert main([*words, "--sites", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ref"] == "tests.toys:plain_net@stem.conv"
    assert said["all sites"] == ["stem", "stem.conv", "head", "head.head"]
