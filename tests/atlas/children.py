"""Processes that write into one atlas, so that they can be killed, starved or made to wait."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    Said,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_set, put_study, put_units
from legenda.atlas.writer import Writer
from legenda.errors import LegendaError

ROOT = Path(__file__).parents[2]


def entry(number: int, unit: int | None = None, side: int = 16) -> ExplanationEntry:
    """An explanation whose content follows from its number."""
    lot = torch.Generator().manual_seed(number)
    seen = EvidenceEntry("attribution", {"map": torch.rand(side, side, generator=lot)})
    said = (Said(f"name {number}", "made", 0.5),)
    return ExplanationEntry(f"key {number}", f"unit {number}", "Made", unit, None, seen, said)


def opened(path: str | Path, units: int = 1) -> tuple[Atlas, int, list[int]]:
    """An atlas with a study and some units: (atlas, study, units)."""
    atlas = Atlas(path, write=True)
    with atlas.writing():
        model = put_model(atlas, ModelEntry("made:model", "model"))
        found = put_set(atlas, SetEntry(model, "latents", "latent", units))
        ids = put_units(atlas, (UnitEntry(found, i, f"latent {i}") for i in range(units)))
        study = put_study(atlas, StudyEntry("made", "Made up", {"seed": 0}))
    return atlas, study, ids


def fill(
    path: str, first: str, count: str, side: str = "16", pause: str = "0", hold: str = "0.05"
) -> None:
    """Write explanations, those that are not there, a few at a time."""
    atlas, study, units = opened(path)
    told("ready")
    with atlas, Writer(atlas, study, hold=float(hold)) as writer:
        for i in range(int(first), int(first) + int(count)):
            if f"key {i}" not in atlas:
                writer.add(entry(i, units[0], int(side)))
                time.sleep(float(pause))


def starve(path: str, most: str) -> None:
    """Write until a file may grow no more; say how that went."""
    import resource
    import signal

    opened(path)[0].close()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
    said(path)


def drown(path: str, most: str) -> None:
    """The same in a file system of its own that is full; also that it opens while it is."""
    Path(path).mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={most}", "none", path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        told(json.dumps({"skip": "mounting is not allowed"}))
        return
    opened(f"{path}/atlas")[0].close()
    (Path(path) / "ballast").write_bytes(b"." * 1_300_000)
    said(f"{path}/atlas")
    with Atlas(f"{path}/atlas") as atlas:
        told(json.dumps(state(atlas)))
    (Path(path) / "ballast").unlink()
    fill(f"{path}/atlas", "0", "20", "64", hold="0")
    with Atlas(f"{path}/atlas") as atlas:
        told(json.dumps(state(atlas)))


def look(path: str) -> None:
    """Make a folder really read-only, read it, and try to write."""
    for words in (["--bind", path, path], ["-o", "remount,ro,bind", path]):
        subprocess.run(["mount", *words], check=True)
    for write in (False, True):
        try:
            with Atlas(path, write=write) as atlas:
                told(json.dumps(state(atlas)))
        except LegendaError as problem:
            told(json.dumps({"error": str(problem)}))


def said(path: str) -> None:
    """Write too much, and print the error."""
    try:
        fill(path, "0", "400", "64", hold="0")
        told(json.dumps({"error": None}))
    except LegendaError as problem:
        told(json.dumps({"error": str(problem)}))


def state(atlas: Atlas) -> dict:
    """What an atlas holds, and what is wrong with it."""
    from legenda.atlas.verify import verify

    return {
        "explanations": atlas.value("SELECT count(*) FROM explanations"),
        "described": atlas.value("SELECT count(*) FROM descriptions"),
        "evidence": atlas.value("SELECT count(*) FROM evidence"),
        "damage": [vars(one) for one in verify(atlas) if one.damage],
    }


def told(line: str) -> None:
    """A line for the process that watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def hold(path: str, seconds: str) -> None:
    """Take the right to write, and keep it for a while."""
    with opened(path)[0] as atlas, atlas.writing():
        told("held")
        time.sleep(float(seconds))


def started(name: str, *words: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A process that runs one of these."""
    command = [*before, sys.executable, "-m", "tests.atlas.children", name, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))
    globals()[sys.argv[1]](*sys.argv[2:])
