"""A tiny world for the commands about concepts: drawn scenes, a few words, a dictionary of 32.

What takes seconds is made once in a process and copied by tests that change it.
"""

import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from legenda.cli import main
from legenda.zoo.scenes.concept_pictures import TRAIN, DrawnScenes

MODEL, PICTURES, UNITS, HELD_OUT = "zoo:scenes", 40, 32, 3
WORDS = "car house tree boat red blue green yellow wheel window grass sea snow sand roof sail".split()  # noqa: E501
NAME = ["--words", "words.txt", "--level", "0", "--tells", "0"]
FIT = ["--units", str(UNITS), "--k", "3", "--steps", "30", "--per-image", "all", "--batch", "256"]


@cache
def scenes() -> Path:
    """A folder with `pics` and `words.txt`; it is not to be changed."""
    place = Path(mkdtemp(prefix="legenda-scenes-"))
    (place / "pics").mkdir()
    drawn = DrawnScenes(TRAIN, PICTURES)
    for i in range(PICTURES):
        drawn.open(i).save(place / "pics" / f"{i:03d}.png")
    (place / "words.txt").write_text("\n".join(WORDS))
    return place


@cache
def made() -> Path:
    """The same with `a`: fitted, surveyed, named and related, from within the folder."""
    place = Path(mkdtemp(prefix="legenda-concepts-")) / "world"
    shutil.copytree(scenes(), place)
    before = Path.cwd()
    os.chdir(place)
    try:
        for words in (
            ["fit", MODEL, "pics", *FIT, "--out", "a"],
            ["survey", MODEL, "pics", "--out", "a"],
            ["name", "a", *NAME],
            ["relations", "a"],
        ):
            assert main(words) == 0, words
    finally:
        os.chdir(before)
    return place


def world(folder: Path, whole: bool = True) -> Path:
    """A copy that a test may change."""
    shutil.copytree(made() if whole else scenes(), folder, dirs_exist_ok=True)
    return folder


def ran(capsys, *words: str, code: int = 0) -> tuple[str, str]:
    """What a command says, on stdout and on stderr."""
    capsys.readouterr()
    got = main(list(words))
    out, err = capsys.readouterr()
    assert got == code, (words, out, err)
    return out, err


def told(capsys, *words: str, code: int = 0) -> list[dict]:
    """The JSON lines of a command: ASCII, and no numbers that JSON lacks."""
    out, _ = ran(capsys, *words, "--json", code=code)
    assert out.isascii() and out.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in out.splitlines()]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def refused(capsys, *words: str) -> str:
    """The one sentence of a command that is refused."""
    out, err = ran(capsys, *words, code=2)
    assert out == "" and err.startswith("legenda: ") and err.count("\n") == 1, (out, err)
    return err.removeprefix("legenda: ").strip()


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def spoilt(path: Path, at: int = -40) -> None:
    """One byte of a file changes."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def killed(work: Callable[[], Any], at: int) -> bool:
    """Work in a process that is killed (−9) when it syncs, renames or removes a file for the
    `at`-th time; whether it came so far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks among threads
        child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    try:
        counted = iter(range(at - 1))

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                if next(counted, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **named)

            return call

        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            setattr(owner, name, step(getattr(owner, name)))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        work()
    finally:
        os._exit(0)
