"""A tiny world for the commands about concepts: painted pictures, and a model that sees colours.

A patch says its colour, and a word says the colour that it names, in one space; so a dictionary
finds the colours, and naming has right answers. What takes longest is made once in a process.
"""

import atexit
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

import numpy as np
import torch
from PIL import Image
from torch import nn

from legenda.cli import main
from legenda.corpus.view_box import Preprocess
from legenda.models.dual import Dual
from legenda.models.module import ModuleModel
from tests import toys

COLOURS = {
    "red": (230, 20, 20), "green": (20, 200, 30), "blue": (20, 40, 230), "yellow": (240, 220, 20),
    "cyan": (0, 230, 230), "pink": (250, 160, 200), "orange": (250, 130, 0),
    "purple": (150, 20, 200),
}  # fmt: skip
MODEL, REF = "tests.cli.concept_world:model", "tests.cli.concept_world:model@patches(0.2)"
PICTURES, UNITS, HELD_OUT, SIDE, CELL, WIDTH = 40, 12, 3, 48, 8, 16
POSITIONS = (SIDE // CELL) ** 2
FIT = f"--units {UNITS} --k 2 --steps 120 --per-image all --batch 128 --lr 0.01".split()
NAME = ["--words", "words.txt", "--level", "0", "--tells", "0"]


def said(colour: torch.Tensor) -> torch.Tensor:
    """What a colour (… 3), from -1 to 1, is in the space that is shared."""
    lot = torch.Generator().manual_seed(0)
    way = torch.randn(3, WIDTH, generator=lot)
    return torch.tanh(colour @ way + torch.randn(WIDTH, generator=lot) / 2)


class Sees(nn.Module):
    """Each cell says its mean colour."""

    def __init__(self):
        super().__init__()
        self.read = nn.AvgPool2d(CELL)
        self.place = nn.Parameter(torch.zeros(1))

    def dense(self, x: torch.Tensor) -> torch.Tensor:
        return said(self.read(x).flatten(2).mT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x).mean(1)


class Reads(nn.Module):
    """A sentence says the colours that it names; other words say next to nothing."""

    def __init__(self, vocabulary: dict[str, int]):
        super().__init__()
        lot = torch.Generator().manual_seed(1)
        table = 0.1 * torch.randn(max(vocabulary.values()) + 1, WIDTH, generator=lot)
        for word, colour in COLOURS.items():
            for name in (word, f"{word}</w>"):
                if name in vocabulary:
                    table[vocabulary[name]] = said(torch.tensor(colour) / 127.5 - 1)
        self.table = nn.Embedding.from_pretrained(table)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids).mean(1)


@cache
def model() -> Dual:
    words = toys.tiny_dual("clip").words
    view = Preprocess((SIDE, SIDE))
    x, ids = toys.pixels(1, SIDE), words(["a red car"])
    image = ModuleModel(
        Sees().eval(), "read", name="colours/image", ref=f"{MODEL}/image", example=x
    )  # noqa: E501
    text = ModuleModel(
        Reads(toys.words().get_vocab()).eval(), "table", name="colours/text", ref=f"{MODEL}/text",
        example=ids,
    )  # fmt: skip
    return Dual(image, text, view, words, "colours", MODEL)


def painted(seed: int) -> Image.Image:
    """A picture of three colours, in whole cells."""
    lot = np.random.default_rng(seed)
    ground, first, second = lot.choice(list(COLOURS.values()), 3, replace=False)
    cells = np.empty((SIDE // CELL, SIDE // CELL, 3), np.uint8)
    cells[:] = ground
    y, x = lot.integers(0, 3, 2)
    cells[y : y + 3, x : x + 2] = first
    cells[y + 2 : y + 4, x + 2 : x + 4] = second
    return Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1))


def passing(name: str) -> Path:
    """A folder that is gone when the process ends."""
    place = Path(mkdtemp(prefix=name))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


@cache
def pictures() -> Path:
    """A folder with `pics` and `words.txt`; it is not to be changed."""
    place = passing("legenda-pictures-")
    (place / "pics").mkdir()
    for i in range(PICTURES):
        painted(i).save(place / "pics" / f"{i:03d}.png")
    (place / "words.txt").write_text("\n".join([*COLOURS, "car", "house", "sea"]))
    return place


@cache
def made() -> Path:
    """The same with `a`: fitted, surveyed, named and related, from within the folder."""
    place = passing("legenda-concepts-") / "world"
    shutil.copytree(pictures(), place)
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
    shutil.copytree(made() if whole else pictures(), folder, dirs_exist_ok=True)
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
