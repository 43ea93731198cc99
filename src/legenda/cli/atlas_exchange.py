"""`legenda atlas export | import`: what goes out to other programs, and what comes back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from legenda.cli.gather import ours
from legenda.cli.output import say, tell
from legenda.errors import BadInput

Flag = Annotated[bool, Parameter(negative="")]


def export(
    path: Path,
    /,
    *,
    parquet: Path | None = None,
    neuronpedia: Path | None = None,
    saelens: Path | None = None,
    set_: Annotated[str | None, Parameter(name="--set")] = None,
    json: Flag = False,
) -> int:
    """Write an atlas for other programs: tables, features, or a dictionary.

    Parameters
    ----------
    path
        The folder of the atlas.
    parquet
        A new folder: one file per table, nothing lost.
    neuronpedia
        A file ending in .json: features, explanations, and maps of activations.
    saelens
        A new folder: the weights of one dictionary, as SAELens opens them.
    set_
        Which dictionary, for --saelens: its id, model/dictionary, or dictionary.
    json
        One JSON line.
    """
    from legenda.atlas.store import Atlas

    chosen = [one for one in (parquet, neuronpedia, saelens) if one is not None]
    if len(chosen) != 1 or (saelens is None) != (set_ is None):
        raise BadInput(
            "atlas export takes one of --parquet FOLDER, --neuronpedia FILE, or --saelens FOLDER "
            "with --set. Give one."
        )
    with Atlas(path) as opened:
        if parquet is not None:
            from legenda.atlas.export_parquet import export_parquet

            export_parquet(opened, parquet)
        elif neuronpedia is not None:
            from legenda.atlas.export_neuronpedia import export_neuronpedia

            export_neuronpedia(opened, _named(neuronpedia))
        elif saelens is not None and set_ is not None:
            from legenda.atlas.export_dictionary import export_saelens
            from legenda.atlas.sets import set_of

            export_saelens(opened, set_of(opened, set_), saelens)
    if json:
        tell({"written": str(chosen[0])})
    else:
        say(f"written: {chosen[0]}")
    return 0


def import_(path: Path, source: Path, /, *, json: Flag = False) -> int:
    """Bring back what `export --parquet` or `export --neuronpedia` wrote.

    Parameters
    ----------
    path
        The folder of the atlas: a new one, or one that is there.
    source
        The folder of tables, or the file of features.
    json
        One JSON line.
    """
    from legenda.atlas.import_neuronpedia import import_neuronpedia
    from legenda.atlas.importing import import_parquet
    from legenda.atlas.store import Atlas

    if not source.exists():
        raise BadInput(f"{source} is not there. Give what `legenda atlas export` wrote.")
    ours(path)
    with Atlas(path, write=True) as opened:
        bring = import_parquet if source.is_dir() else import_neuronpedia
        found = bring(opened, source)
    if json:
        tell({"source": source.name, **asdict(found)})
        return 0
    added = ", ".join(f"{n} {table}" for table, n in found.added.items() if n)
    say(f"{source}: {added or 'nothing new'}")
    for sentence in found.conflicts:
        say(f"note: {sentence}")
    return 0


def _named(path: Path) -> Path:
    """A file that may be written: not one of others."""
    if path.suffix.lower() != ".json":
        raise BadInput(f"--neuronpedia {path} is to be a file of JSON. Name one ending in .json.")
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"--neuronpedia {path} is or lies in no folder. Name a file in a folder.")
    if path.exists() and b'"format": "legenda-neuronpedia"' not in path.read_bytes()[:100]:
        raise BadInput(f"{path} is there, and legenda did not write it. Choose another file.")
    return path
