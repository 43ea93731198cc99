"""How the rows of one atlas find their like in another.

Every table says by which columns a row is recognised, what it says, and where it points. Row
numbers are translated on the way, and never compared: what is compared is content, with names in
place of numbers (`references`), so that the outcome does not depend on who came first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from legenda.atlas.references import named, repointed
from legenda.atlas.store import Atlas
from legenda.errors import BadInput

POINTERS = {
    "models": "model", "units": "unit", "pictures": "picture", "evidence": "evidence",
    "studies": "study", "sets": "set",
}  # fmt: skip
"""Table → what a row of it is called where it is pointed at."""
TABLES = {pointer: table for table, pointer in POINTERS.items()}


class Numbers(dict[int, int]):
    """Row numbers of the source → those of the atlas."""

    def at(self, number: int) -> int:
        """The number here; a source whose rows point nowhere is refused."""
        if number not in self:
            raise BadInput(
                f"the atlas to merge is damaged: a row points at row {number}, which is gone. "
                "`legenda atlas verify` says what is lost."
            )
        return self[number]


@dataclass(frozen=True)
class Kind:
    """A table and how its rows are told apart.

    Parameters
    ----------
    table: its name.
    unique: the columns by which a row is recognised.
    content: the columns that say something; the greater content holds.
    points: column → table that it points at.
    first: columns of which the larger decides before all content does.
    times: column → `min` or `max`, for what is never content.
    """

    table: str
    unique: tuple[str, ...]
    content: tuple[str, ...]
    points: Mapping[str, str] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    times: Mapping[str, str] = field(default_factory=dict)


MODELS = Kind("models", ("ref", "site", "digest"), ("name", "revision", "card"))
SETS = Kind("sets", ("model", "dictionary", "digest"), ("kind", "size", "card"), {"model": "models"})  # noqa: E501 # fmt: skip
PICTURES = Kind(
    "pictures", ("digest",), ("source", "caption", "width", "height", "media", "data")
)  # fmt: skip
STUDIES = Kind(
    "studies", ("key",), ("kind", "title", "settings", "provenance", "command"),
    times={"began": "min", "ended": "max", "seconds": "max"},
)  # fmt: skip
EXPLANATIONS = Kind(
    "explanations", ("key",), ("study", "unit", "picture", "target", "by", "evidence", "facts"),
    {"study": "studies", "unit": "units", "picture": "pictures", "evidence": "evidence"},
)  # fmt: skip
RELATIONS = Kind(
    "relations", ("study", "kind", "one", "other"),
    ("value", "low", "high", "n", "control", "facts"),
    {"study": "studies", "one": "units", "other": "units"}, ("n",),
)  # fmt: skip
READINGS = Kind(
    "readings", ("picture", "set_id"), ("evidence",),
    {"picture": "pictures", "set_id": "sets", "evidence": "evidence"},
)  # fmt: skip
RESULTS = Kind("results", ("study", "kind", "key"), ("title", "content"), {"study": "studies"})
FAILURES = Kind(
    "failures", ("study", "target"), ("reason",), {"study": "studies"},
    times={"tries": "max", "at": "max"},
)  # fmt: skip
PARTS = ("descriptions", "scores")


def bring(kind: Kind, into: Atlas, source: Atlas, ids: Mapping[str, Numbers]) -> Numbers:
    """Bring the rows of a table in; where each of them now is."""
    numbers, match = Numbers(), " AND ".join(f"{one} = ?" for one in kind.unique)
    asked = f"SELECT * FROM {kind.table} WHERE {match}"
    for row in source.each(f"SELECT * FROM {kind.table}"):
        new = {c: _moved(kind, c, row[c], ids) for c in (*kind.unique, *kind.content, *kind.times)}
        there = into.one(asked, *(new[c] for c in kind.unique))
        taken = there is None or _weight(kind, source, row) > _weight(kind, into, there)
        number = _kept(kind, into, new, there, taken)
        if "id" in row.keys():  # noqa: SIM118 -- a row is searched by its values
            numbers[row["id"]] = number
        if kind is EXPLANATIONS and taken:
            _bring_parts(into, source, row["id"], number)
    return numbers


def bring_exemplars(into: Atlas, source: Atlas, ids: Mapping[str, Numbers]) -> None:
    """Bring in what turns units on: of a unit, all of it or nothing."""
    asked = "SELECT * FROM exemplars WHERE unit = ? ORDER BY place"
    rows = source.each("SELECT * FROM exemplars ORDER BY unit, place")
    for old, group in groupby(rows, key=lambda row: row["unit"]):
        found, unit = list(group), ids["units"].at(old)
        if _strength(source, found) <= _strength(into, into.all(asked, unit)):
            continue
        into.base.execute("DELETE FROM exemplars WHERE unit = ?", (unit,))
        for row in found:
            evidence = None if row["evidence"] is None else ids["evidence"].at(row["evidence"])
            into.base.execute(
                "INSERT INTO exemplars VALUES (?, ?, ?, ?, ?)",
                (unit, row["place"], ids["pictures"].at(row["picture"]), row["strength"], evidence),
            )


def _moved(kind: Kind, column: str, value: Any, ids: Mapping[str, Numbers]) -> Any:
    """A value of the source as it is to stand here."""
    if value is None:
        return None
    if column in kind.points:
        return ids[kind.points[column]].at(value)
    if kind is RESULTS and column == "content":
        return repointed(value, lambda what, row: ids[TABLES[what]].get(row))
    return value


def _kept(
    kind: Kind, into: Atlas, new: dict[str, Any], there: Any, taken: bool
) -> int:  # fmt: skip
    """Write a row, or renew the one that is there; its number, where it has one."""
    if there is None:
        names, marks = ", ".join(new), ", ".join("?" * len(new))
        asked = f"INSERT INTO {kind.table} ({names}) VALUES ({marks})"
        return into.base.execute(asked, list(new.values())).lastrowid or 0
    changed = {c: new[c] for c in kind.content} if taken else {}
    for column, which in kind.times.items():
        both = [v for v in (new[column], there[column]) if v is not None]
        changed[column] = (min if which == "min" else max)(both, default=None)
    if changed:
        sets = ", ".join(f"{one} = ?" for one in changed)
        match = " AND ".join(f"{one} = ?" for one in kind.unique)
        values = [*changed.values(), *(new[u] for u in kind.unique)]
        into.base.execute(f"UPDATE {kind.table} SET {sets} WHERE {match}", values)
    return there["id"] if "id" in there.keys() else 0  # noqa: SIM118


def _weight(kind: Kind, atlas: Atlas, row: Any) -> tuple[Any, ...]:
    """What a record is compared by, with names in place of numbers."""
    name = named(atlas)
    said = [
        name(POINTERS[kind.points[c]], row[c])
        if c in kind.points and row[c] is not None
        else repointed(row[c], name)
        if kind is RESULTS and c == "content"
        else row[c]
        for c in kind.content
    ]
    parts = [_parts(atlas, part, row["id"]) for part in PARTS] if kind is EXPLANATIONS else []
    return (*(row[c] for c in kind.first), repr((said, parts)))  # (2), (5)


def _strength(atlas: Atlas, rows: list[Any]) -> tuple[int, str]:
    name = named(atlas)
    said = [
        (name("picture", r["picture"]), r["strength"], r["evidence"] and name("evidence", r["evidence"]))  # noqa: E501
        for r in rows
    ]  # fmt: skip
    return len(rows), repr(said)  # (3)


def _parts(atlas: Atlas, table: str, explanation: int) -> list[tuple[Any, ...]]:
    rows = atlas.all(f"SELECT * FROM {table} WHERE explanation = ?", explanation)
    return [tuple(row)[1:] for row in rows]


def _bring_parts(into: Atlas, source: Atlas, old: int, new: int) -> None:
    """Descriptions and scores go with their explanation."""
    for table in PARTS:
        into.base.execute(f"DELETE FROM {table} WHERE explanation = ?", (new,))
        for values in _parts(source, table, old):
            marks = ", ".join("?" * (len(values) + 1))
            into.base.execute(f"INSERT INTO {table} VALUES ({marks})", (new, *values))
