"""Dictionaries in the layouts of others: SAELens, dictionary_learning, overcomplete, and CFM.

Each is read into a `SparseAutoencoder` that gives the codes its own package gives, up to rounding:
who does not subtract b from x gets an offset that makes up for it, who keeps a unit at its very
threshold gets the next threshold down. Files may hold tensors and JSON. A pickled module is
refused, since to open one is to run what it says.
"""

from pathlib import Path

from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.foreign import record_of, tensors_of
from legenda.dictionaries.layout_dictionary_learning import AXES, read_dictionary_learning
from legenda.dictionaries.layout_overcomplete import KINDS, read_overcomplete
from legenda.dictionaries.layout_saelens import RECORD, WEIGHTS, read_saelens, write_saelens
from legenda.errors import BadInput, Missing, near

__all__ = ["LAYOUTS", "read_foreign", "write_saelens"]

LAYOUTS = ("saelens", "dictionary_learning", "overcomplete", "cfm")
STATE, SETTINGS = "ae.pt", "config.json"


def read_foreign(
    path: Path,
    layout: str | None = None,
    *,
    kind: str | None = None,
    k: int | None = None,
    threshold: float | None = None,
    dense: bool = False,
    name: str | None = None,
) -> SparseAutoencoder:
    """Read a dictionary of another package; what its files do not say is given by name.

    Parameters
    ----------
    path: the file, or the folder that holds it.
    layout: one of `LAYOUTS`, or None to look at the files.
    kind: the class in its package, where neither its settings nor its names tell.
    k: how many units are on at a row, for overcomplete, whose files do not say.
    threshold: the `running_threshold` of overcomplete's BatchTopKSAE.
    dense: everything above 0 is on, which CFM calls `use_threshold=False`.
    name: what it is called in addresses; the layout unless given.
    """
    if layout is not None and layout not in LAYOUTS:
        raise BadInput(
            f"there is no layout {layout!r}.{near(layout, LAYOUTS)} Known: {', '.join(LAYOUTS)}."
        )
    folder = path if path.is_dir() else path.parent
    if layout == "saelens" or (layout is None and _is_saelens(path)):
        return read_saelens(folder, name or "saelens")
    weights = tensors_of(_state(path))
    if layout is None:
        layout = "overcomplete" if _is_overcomplete(weights, kind) else "dictionary_learning"
    if layout == "overcomplete":
        return read_overcomplete(weights, kind, k, threshold, name or layout)
    if layout == "cfm":
        kind = kind or "MatryoshkaBatchTopKSAE"
    record = record_of(folder / SETTINGS)
    return read_dictionary_learning(weights, record, kind, dense, name or layout)


def _is_saelens(path: Path) -> bool:
    if path.is_dir():
        return (path / WEIGHTS).is_file() and (path / RECORD).is_file()
    return path.name == WEIGHTS and (path.parent / RECORD).is_file()


def _is_overcomplete(weights: dict, kind: str | None) -> bool:
    if any(n.startswith("dictionary.") for n in weights):
        return True
    return kind in KINDS and kind not in AXES


def _state(path: Path) -> Path:
    """The file of weights in a folder: `ae.pt`, or the only one there is."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise Missing(f"{path} is not there. Give the file of a dictionary, or its folder.")
    if (path / STATE).is_file():
        return path / STATE
    held = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".pt", ".pth"))
    if len(held) != 1:
        names = ", ".join(p.name for p in held) or "none"
        raise BadInput(
            f"{path} should hold one file of weights; it holds {len(held)}: {names}. Give the file."
        )
    return held[0]
