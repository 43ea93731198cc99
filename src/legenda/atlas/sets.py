"""Finding one dictionary of an atlas by what a person calls it."""

from legenda.atlas.store import Atlas
from legenda.errors import BadInput, near

SETS = """SELECT s.id, m.ref || '/' || s.dictionary AS address, s.size, s.card, m.ref, m.site
  FROM sets s JOIN models m ON m.id = s.model ORDER BY s.id"""


def set_of(atlas: Atlas, given: str) -> int:
    """The id of a set that is given by id, by model/dictionary, or by its dictionary alone."""
    rows = atlas.all(SETS)
    found = [
        row["id"]
        for row in rows
        if given in (str(row["id"]), row["address"], row["address"].rpartition("/")[2])
    ]
    if len(found) == 1:
        return found[0]
    known = {row["address"]: row["id"] for row in rows}
    if found:
        ids = " or ".join(map(str, found))
        raise BadInput(f"{given} is {len(found)} sets of {atlas.folder}. Say which by id: {ids}.")
    raise BadInput(
        f"{atlas.folder} has no set {given!r}.{near(given, known)} It has: {', '.join(known)}."
    )
