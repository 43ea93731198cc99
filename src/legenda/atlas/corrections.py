"""A person's names for units. They stand above what legenda says, and outlive every rerun.

A unit is given by its id in the atlas, or by its address `model/dictionary/number`, where the model
is its reference or its name. What legenda says of the unit is kept beneath, and comes back when a
correction is undone.
"""

from collections.abc import Mapping
from typing import Any

from legenda.atlas.pack import clean, now
from legenda.atlas.store import Atlas
from legenda.errors import BadInput, near

LONGEST = 200
"""Letters that a person's name may have."""
DIGITS = 19
"""So many are no number of a row any more."""
ADDRESSES = """SELECT u.id, m.ref || '/' || s.dictionary AS address, m.site FROM units u
  JOIN sets s ON s.id = u.set_id JOIN models m ON m.id = s.model
  WHERE u.number = ? AND ? IN (m.ref || '/' || s.dictionary, m.name || '/' || s.dictionary)
  ORDER BY u.id"""


def rename(atlas: Atlas, unit: int, name: str, by: str = "", at: str | None = None) -> None:
    """Give a unit a person's name; `at` is when they did, now unless said."""
    name = " ".join(clean(name).split())
    if not name:
        raise BadInput("a name needs a letter; it got none. Give a name, or --undo the last one.")
    if len(name) > LONGEST:
        raise BadInput(f"a name has up to {LONGEST} letters; it got {len(name)}. Give a shorter.")
    with atlas.writing() as base:
        row = base.execute("SELECT state FROM units WHERE id = ?", (unit,)).fetchone()
        if row is None:
            raise BadInput(_unknown(atlas, str(unit)))
        base.execute(
            "INSERT INTO corrections (unit, name, by, at, state) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET name = excluded.name, by = excluded.by, at = excluded.at",
            (unit, name, clean(by), at or now(), row[0]),
        )
        base.execute("UPDATE units SET name = ?, state = 'named' WHERE id = ?", (name, unit))


def undo(atlas: Atlas, unit: int) -> str:
    """Take a person's name back; the name that legenda gives, empty where it has none."""
    with atlas.writing() as base:
        row = base.execute("SELECT state FROM corrections WHERE unit = ?", (unit,)).fetchone()
        if row is None:
            raise BadInput(
                f"unit {unit} of {atlas.folder} has no name by a person. There is none to undo."
            )
        base.execute("DELETE FROM corrections WHERE unit = ?", (unit,))
        base.execute("UPDATE units SET name = said, state = ? WHERE id = ?", (row[0], unit))
        return base.execute("SELECT said FROM units WHERE id = ?", (unit,)).fetchone()[0]


def unit_of(atlas: Atlas, given: str) -> int:
    """The id of a unit that is given by id or by address."""
    if given.isdecimal():
        number = int(given) if len(given) < DIGITS else -1
        if atlas.one("SELECT 1 FROM units WHERE id = ?", number) is None:
            raise BadInput(_unknown(atlas, given))
        return number
    where, _, number = given.rpartition("/")
    if not where or not number.isdecimal() or len(number) >= DIGITS:
        raise BadInput(
            f"a unit is given by its id, or as model/dictionary/number; it got {given!r}. "
            "`legenda atlas search` lists both."
        )
    found = atlas.all(ADDRESSES, int(number), clean(where))
    if not found:
        raise BadInput(_unknown(atlas, given))
    if len(found) > 1:
        ids = " or ".join(f"{row['id']} (site {row['site'] or '-'})" for row in found[:4])
        raise BadInput(f"{given} is {len(found)} units of {atlas.folder}. Say which by id: {ids}.")
    return found[0]["id"]


def said_of(atlas: Atlas, unit: int) -> Mapping[str, Any]:
    """The name of a unit, where it lies, and who gave it."""
    row = atlas.one(
        """SELECT u.id, m.ref || '/' || s.dictionary || '/' || u.number AS address, u.name, u.said,
           u.state, c.by FROM units u JOIN sets s ON s.id = u.set_id JOIN models m ON m.id = s.model
           LEFT JOIN corrections c ON c.unit = u.id WHERE u.id = ?""",
        unit,
    )
    return dict(row) if row else {}


def _unknown(atlas: Atlas, given: str) -> str:
    sets = atlas.all(
        "SELECT m.ref || '/' || s.dictionary, s.size FROM sets s JOIN models m ON m.id = s.model"
    )
    if given.isdecimal():
        return f"{atlas.folder} has no unit {given}. `legenda atlas search` lists ids."
    where = given.rpartition("/")[0]
    sizes = {row[0]: row[1] for row in sets}
    if where in sizes:
        return f"{where} of {atlas.folder} has {sizes[where]} units; there is no {given}."
    hint = near(where, sizes)
    return f"{atlas.folder} has no unit {given}.{hint} `legenda atlas info` lists what it has."
