"""A dictionary of an atlas in the layout of SAELens, as far as its weights are at hand.

An atlas holds what units mean, not what they are made of. Where the weights lie is what the card of
the set says, under `weights`: a file of legenda's, beside the atlas or anywhere.
"""

from pathlib import Path

from legenda.atlas.sets import SETS
from legenda.atlas.store import Atlas, loaded
from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.layout_saelens import write_saelens
from legenda.dictionaries.storage import open_dictionary
from legenda.errors import BadInput, Missing, Refused, Unsupported


def export_saelens(atlas: Atlas, set_id: int, folder: Path) -> Path:
    """Write the dictionary of a set so that SAELens opens it, into a new or empty folder."""
    row = next(row for row in atlas.all(SETS) if row["id"] == set_id)
    said, address = loaded(row["card"]).get("weights"), row["address"]
    if not isinstance(said, str) or not said:
        raise Missing(
            f"{address} of {atlas.folder} does not say where its weights lie: its card has no "
            "`weights`. Export the dictionary where it was fitted, with `write_saelens`."
        )
    near_by = atlas.folder / said
    dictionary, about = open_dictionary(near_by if near_by.exists() else Path(said))
    if not isinstance(dictionary, SparseAutoencoder):
        raise Unsupported(
            "SAELens", "an encoder and a decoder", address, "Keep it with `save_dictionary`."
        )
    if len(dictionary.atoms) != row["size"]:
        raise Refused(
            f"{address} has {row['size']} units; its weights at {said} have "
            f"{len(dictionary.atoms)}. Give the card of the set the weights that were explained."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"--saelens {folder} is there and not empty. Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_saelens(folder, dictionary, about)
    return folder
