"""Sweeping an atlas: what nobody points at is taken away, and nothing else.

Swept are evidence that no explanation, exemplar, reading or result points at, files of tensors that
hold no other, and files that no entry names, such as a killed process leaves behind. Units, names
and corrections are never touched, and what an atlas says stays the same (`content_digest`).
Entries go first, in one transaction, and files only afterwards: a kill in between leaves litter,
which the next sweep takes. While a study is being written, what it has kept but not yet used would
be taken for litter; so sweep when none runs.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from legenda.atlas.references import USED, pointed
from legenda.atlas.shards import place_of
from legenda.atlas.store import Atlas
from legenda.atlas.verify import litter


@dataclass(frozen=True)
class Swept:
    """What was taken away, or would be.

    Parameters
    ----------
    evidence, shards, litter: how many pieces, how many files of them, how many files of none.
    bytes: what the files take on disk; a larger value frees more.
    """

    evidence: int
    shards: int
    litter: int
    bytes: int


def sweep(atlas: Atlas, *, dry: bool = False) -> Swept:
    """Take away what nobody points at; with `dry`, only say what that is."""
    unused = _unused(atlas)
    if dry:
        return _told(atlas, unused, _idle(atlas, unused))
    with atlas.writing() as base:  # no one else writes while this is looked at
        unused = _unused(atlas)
        idle = _idle(atlas, unused)
        said = _told(atlas, unused, idle)
        base.executemany("DELETE FROM evidence WHERE id = ?", [(one,) for one in unused])
        base.executemany("DELETE FROM shards WHERE digest = ?", [(one,) for one in idle])
    with atlas.writing():  # a file that a writer has just named has its entry by now
        for path in litter(atlas):
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
    return said


def _unused(atlas: Atlas) -> list[int]:
    rows = atlas.all(f"WITH {USED} SELECT id FROM evidence WHERE id NOT IN (SELECT id FROM used)")
    return sorted({row[0] for row in rows} - pointed(atlas, "evidence"))


def _idle(atlas: Atlas, unused: list[int]) -> list[str]:
    """Files that hold nothing that is used."""
    gone = set(unused)
    entries = atlas.each("SELECT id, shard FROM evidence")
    held = {shard for evidence, shard in entries if evidence not in gone}
    return [d for i, d in atlas.all("SELECT id, digest FROM shards ORDER BY id") if i not in held]


def _told(atlas: Atlas, unused: list[int], idle: list[str]) -> Swept:
    loose, files = litter(atlas), [place_of(atlas.folder, digest) for digest in idle]
    return Swept(len(unused), len(idle), len(loose), sum(map(_size, [*loose, *files])))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
