"""`legenda atlas rename | gc | merge`: commands that write into an atlas that is there."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from legenda.cli.gather import ours
from legenda.cli.output import say, tell
from legenda.errors import BadInput

if TYPE_CHECKING:
    from legenda.atlas.store import Atlas

Flag = Annotated[bool, Parameter(negative="")]


def existing(path: Path) -> "Atlas":
    """An atlas that is there, opened for writing."""
    from legenda.atlas.place import there
    from legenda.atlas.schema import FILE
    from legenda.atlas.store import Atlas

    if not there(path / FILE):
        Atlas(path).close()  # which says that there is none
    return Atlas(path, write=True)


def rename(
    path: Path,
    unit: str,
    name: str | None = None,
    /,
    *,
    by: str = "",
    undo: Flag = False,
    json: Flag = False,
) -> int:
    """Give a unit your own name, which stands above any other and outlives reruns.

    Parameters
    ----------
    path
        The folder of the atlas.
    unit
        Its id, or model/dictionary/number.
    name
        What it is called from now on.
    by
        Who says so.
    undo
        Take the last name by a person back.
    json
        One JSON line.
    """
    from legenda.atlas import corrections

    if undo == (name is not None):
        raise BadInput("atlas rename takes a name or --undo, and one of them. Give one.")
    with existing(path) as opened, opened.writing():
        number = corrections.unit_of(opened, unit)
        if name is None:
            corrections.undo(opened, number)
        else:
            corrections.rename(opened, number, name, by)
        said = corrections.said_of(opened, number)
    if json:
        tell(dict(said))
    else:
        now = f"is called {said['name']!r}" if said["name"] else "has no name"
        say(f"{said['address']} {now}")
    return 0


def gc(path: Path, /, *, dry_run: Flag = False, json: Flag = False) -> int:
    """Sweep what nobody points at: tensors and files, never units or names.

    Parameters
    ----------
    path
        The folder of the atlas, while no study is written into it.
    dry_run
        Only say what would go.
    json
        One JSON line.
    """
    from legenda.atlas.gc import sweep
    from legenda.atlas.store import Atlas
    from legenda.cli.atlas_words import size

    with Atlas(path) if dry_run else existing(path) as opened:
        found = sweep(opened, dry=dry_run)
    if json:
        tell(asdict(found) | {"dry": dry_run})
        return 0
    say(
        f"{'would sweep' if dry_run else 'swept'} {found.evidence} pieces of evidence, "
        f"{found.shards + found.litter} files, {size(found.bytes)}"
    )
    return 0


def merge(*paths: Path, into: Path, json: Flag = False) -> int:
    """Bring several atlases together; the order does not matter.

    Parameters
    ----------
    paths
        The folders to read.
    into
        The folder to write: a new one, or an atlas that is there.
    json
        One JSON line per atlas.
    """
    from legenda.atlas.merge import merge
    from legenda.atlas.store import Atlas

    if not paths:
        raise BadInput("atlas merge needs an atlas to read; it got none. Name one or more.")
    sources = [Atlas(path) for path in paths]  # each is looked at before anything is written
    ours(into)
    with Atlas(into, write=True) as opened:
        for source in sources:
            found = merge(opened, source)
            source.close()
            if json:
                tell({"source": source.folder.name, **asdict(found)})
                continue
            added = ", ".join(f"{n} {table}" for table, n in found.added.items() if n)
            say(f"{source.folder}: {added or 'nothing new'}")
            for sentence in found.conflicts:
                say(f"note: {sentence}")
    return 0
