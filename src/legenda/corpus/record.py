"""A record: tensors of a long pass, kept on disk in shards that say when they are damaged.

Each shard is written under another name, brought to the disk, and only then named by its number
and the first letters of its checksum (SHA-256). The manifest comes last, with all checksums and its
own. So a process may be killed at any moment: what has its name is whole, the next run goes on
behind it, and a byte that changes anywhere afterwards is found when it is read.

    about.json                    what is recorded, written first
    00000-1f0c….safetensors       a shard
    manifest.json                 what is recorded, and the checksum of every shard
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from legenda.corpus.durable import WRITING, land, plain, room, sealed, unsealed
from legenda.corpus.images import present
from legenda.corpus.lock import Lock
from legenda.errors import BadInput, Missing, Refused

FORMAT = "record 1"
MANIFEST, ABOUT = "manifest.json", "about.json"
NAMED = re.compile(r"(\d{5,})-([0-9a-f]{16})\.safetensors")

About = Mapping[str, str | int | float | list[Any]]
Report = Callable[[int, int], None]
"""Told how many shards are done, of how many."""


class Recorder:
    """Writes shards one by one, and goes on where another stopped.

    Parameters
    ----------
    folder: where; it is made.
    about: what is recorded: model, corpus, settings. A folder that holds anything else is refused.
    """

    def __init__(self, folder: str | Path, about: About):
        self.folder, self.about = Path(folder), plain(about)
        with room(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.folder)
        self._facts: dict[int, dict[str, Any]] = {}
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back; what is written stays."""
        self._lock.release()

    def has(self, i: int) -> bool:
        """Whether shard i is there, and right."""
        if i not in self._facts:
            right = (facts for path in self._named(i) if (facts := _facts(path)))
            found = next(right, None)
            if found is None:
                return False
            self._facts[i] = found
        return True

    def write(
        self, i: int, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
    ) -> None:
        """Write shard i whole or not at all; `notes` are words that belong to it."""
        self._lock.check()
        held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        about = {"notes": json.dumps(dict(notes or {}), sort_keys=True)}  # one key: one order
        data = safetensors.torch.save(held, about)
        total = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{i:05d}-{total[:16]}.safetensors"
        land(path, data)
        for other in self._named(i):
            if other != path:
                other.unlink()
        self._facts[i] = _described(path, total)

    def read(self, i: int) -> dict[str, Tensor]:
        """Shard i, which is there."""
        if not self.has(i):
            raise Missing(f"{self.folder} has no shard {i} yet. Write it first.")
        return _loaded(self.folder / self._facts[i]["file"], self._facts[i]["sha256"])

    def finish(self, count: int) -> "Record":
        """Write the manifest of shards 0 … count - 1, and give the lock back."""
        absent = [i for i in range(count) if not self.has(i)]
        if absent:
            shown = ", ".join(map(str, absent[:5])) + (" …" if absent[5:] else "")
            raise Missing(
                f"{self.folder} cannot be finished: {len(absent)} of {count} shards are not "
                f"recorded ({shown}). Write them first."
            )
        self._lock.check()
        shards = [self._facts[i] for i in range(count)]
        held = {"format": FORMAT, "about": self.about, "shards": shards}
        land(self.folder / MANIFEST, sealed(held))
        self.close()
        return Record(self.folder)

    def _begin(self) -> None:
        """Refuse a folder that holds something else; sweep what a killed process left."""
        paths = [self.folder / name for name in (MANIFEST, ABOUT)]
        there = [path for path in paths if path.exists()]
        known = [held.get("about") for path in there if (held := unsealed(path)) is not None]
        shards = any(NAMED.fullmatch(path.name) for path in self.folder.iterdir())
        if not known and (there or shards):
            raise Refused(
                f"{self.folder} holds shards, and what they are is damaged or gone "
                f"({', '.join(path.name for path in paths)}). Remove the folder, or choose another."
            )
        other = next((about for about in known if about != self.about), self.about)
        if other != self.about:
            raise Refused(
                f"{self.folder} holds something else: {_difference(other or {}, self.about)}. "
                "Choose another folder, or remove this one."
            )
        for left in self.folder.glob(f"*{WRITING}"):
            left.unlink()
        if unsealed(self.folder / ABOUT) is None:
            land(self.folder / ABOUT, sealed({"format": FORMAT, "about": self.about}))

    def _named(self, i: int) -> list[Path]:
        if i < 0:
            raise BadInput(f"shards are numbered from 0; got {i}.")
        there = self.folder.glob(f"{i:05d}-*.safetensors")
        return sorted(path for path in there if NAMED.fullmatch(path.name))


class Record:
    """Finished shards, by number; each is checked when it is first read."""

    def __init__(self, folder: str | Path):
        self.folder = present(folder, "record")
        manifest = self.folder / MANIFEST
        if not manifest.is_file():
            raise Missing(f"{self.folder} has no {MANIFEST}: {self._why()}")
        held = unsealed(manifest)
        if held is None or held.get("format") != FORMAT:
            raise Refused(
                f"{manifest} is damaged, or of another version of legenda. Record into the same "
                "folder again: shards that are right are kept."
            )
        self.about: dict[str, Any] = held["about"]
        self.digest: str = held["sha256"][:16]
        self._shards: list[dict[str, Any]] = held["shards"]
        self._checked: set[int] = set()

    def __repr__(self) -> str:
        return f"Record({str(self.folder)!r}, {len(self)} shards, {self.digest})"

    def __len__(self) -> int:
        return len(self._shards)

    def shapes(self, i: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors of shard i, from the manifest: nothing is read."""
        return {name: tuple(shape) for name, shape in self._shard(i)["shapes"].items()}

    def read(self, i: int) -> dict[str, Tensor]:
        """Shard i."""
        shard = self._shard(i)
        found = _loaded(
            self.folder / shard["file"], None if i in self._checked else shard["sha256"]
        )
        self._checked.add(i)
        return found

    def notes(self, i: int) -> dict[str, str]:
        """The words that were written with shard i, from the manifest."""
        return dict(self._shard(i)["notes"])

    def verify(self, report: Report | None = None) -> list[str]:
        """The names of files that are damaged or absent: every byte is read."""
        sound = unsealed(self.folder / ABOUT) or {}
        bad = [] if sound.get("about") == self.about else [ABOUT]
        for i, shard in enumerate(self._shards):
            facts = _facts(self.folder / shard["file"])
            if facts is None or facts["sha256"] != shard["sha256"]:
                bad.append(shard["file"])
            if report:
                report(i + 1, len(self))
        return bad

    def _why(self) -> str:
        if (self.folder / ABOUT).is_file():
            return "its recording was not finished. Run it again; it goes on where it stopped."
        return "it is no record. Name a folder that a recording was written to."

    def _shard(self, i: int) -> dict[str, Any]:
        if not 0 <= i < len(self):
            raise BadInput(f"shard {i} is not in {self.folder}, which has {len(self)} from 0.")
        return self._shards[i]


def _loaded(path: Path, total: str | None) -> dict[str, Tensor]:
    """The tensors of a shard, whose checksum is to be `total`."""
    try:
        data = path.read_bytes()
        if total is None or hashlib.sha256(data).hexdigest() == total:
            return safetensors.torch.load(data)
        what = "is damaged: its checksum is another"
    except FileNotFoundError:
        what = "is not there"
    except (OSError, SafetensorError) as problem:
        what = f"cannot be read ({problem})"
    raise Refused(
        f"{path} {what}. Record into the same folder again: only this shard is computed anew."
    )


def _facts(path: Path) -> dict[str, Any] | None:
    """What the manifest says of a shard; None where it is absent, or its name is not its sum."""
    try:
        with path.open("rb") as file:
            total = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    if not path.name.endswith(f"-{total[:16]}.safetensors"):
        return None
    return _described(path, total)


def _described(path: Path, total: str) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in sorted(file.keys())}
        notes = json.loads((file.metadata() or {}).get("notes", "{}"))
    return {"file": path.name, "sha256": total, "shapes": shapes, "notes": notes}


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    differ = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
    said = [f"{key} is {there.get(key)!r} there and {here.get(key)!r} here" for key in differ]
    return ", ".join(said[:3]) + (f", and {len(said) - 3} more differ" if said[3:] else "")
