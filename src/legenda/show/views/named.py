"""Units as other views name them, and numbers as they are said: with an interval, or with n."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from legenda.atlas.store import Atlas
from legenda.show.charts import span
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.units import face_of

Plain = dict[str, Any]
Number = float | int | None
Ends = tuple[Number, Number]
UNITS = """SELECT u.id, u.number, u.label, u.name, u.state, u.certainty, u.low, u.high, u.set_id,
    (SELECT picture FROM exemplars e WHERE e.unit = u.id AND e.place = 0) AS picture,
    (SELECT evidence FROM exemplars e WHERE e.unit = u.id AND e.place = 0) AS evidence
  FROM units u WHERE u.id IN (SELECT value FROM json_each(?))"""
BY_NUMBER = UNITS.replace("u.id IN", "u.set_id = ? AND u.number IN")
SETS = """SELECT s.id, s.kind, s.dictionary, s.size, m.ref, m.name AS model, m.site
  FROM sets s JOIN models m ON m.id = s.model ORDER BY s.id"""


def units_of(atlas: Atlas, ids: Iterable[int]) -> dict[int, Plain]:
    """Units by id, each with its name and its first picture."""
    return {row["id"]: unit_of(row) for row in atlas.all(UNITS, json.dumps(sorted(set(ids))))}


def by_number(atlas: Atlas, group: int, numbers: Iterable[int]) -> dict[int, Plain]:
    """Units of one set by their numbers in it."""
    rows = atlas.all(BY_NUMBER, group, json.dumps(sorted(set(numbers))))
    return {row["number"]: unit_of(row) for row in rows}


def unit_of(row: Mapping[str, Any] | Any) -> Plain:
    """One unit, in one line."""
    return {
        "id": row["id"], "number": row["number"], "set": row["set_id"],
        "name": shown(row["name"] or row["label"], 60), "label": shown(row["label"], 40),
        "named": bool(row["name"]), "state": row["state"], "level": row["certainty"],
        "certainty": ranged(row["certainty"], row["low"], row["high"]),
        "face": face_of(row["id"], row["picture"], row["evidence"]),
    }  # fmt: skip


def sets_of(atlas: Atlas) -> dict[int, Plain]:
    """The sets of units by id: `kind`, `size`, and a `title` that says whose they are."""
    return {
        row["id"]: {
            "id": row["id"], "kind": row["kind"], "size": row["size"], "ref": row["ref"],
            "site": row["site"], "dictionary": row["dictionary"],
            "title": f"{shown(row['dictionary'], 40)} of {shown(row['ref'], 40)}",
        }
        for row in atlas.all(SETS)
    }  # fmt: skip


def ranged(value: Number, low: Number = None, high: Number = None) -> str:
    """`0.9 [0.8, 0.95]`; a dash where there is nothing."""
    return short(value) + span(low, high) if value is not None else "–"


def in_words(value: Number, low: Number = None, high: Number = None) -> str:
    """`0.9 (95 %: 0.8 to 0.95)`: the same where it stands in a sentence."""
    ends = "" if low is None or high is None else f" (95 %: {short(low)} to {short(high)})"
    return short(value) + ends if value is not None else "–"


def probable(p: Number) -> str:
    """What stands after a letter p: `= .012` or `< .0001`, in one piece; or that it is unknown."""
    if p is None:
        return "unknown"
    return "<\xa0.0001" if p < 1e-4 else f"=\xa0{p:.2g}".replace("\xa00.", "\xa0.")


def judged(
    value: Number, ends: Ends, control: Number,
    controls: Ends, higher: bool,
) -> str:  # fmt: skip
    """Whether a value is clear of its control, in words."""
    if value is None or control is None:
        return "no control"
    low, high = _ends(ends, value)
    least, most = _ends(controls, control)
    if low <= most and least <= high:
        return "not clear of its control"
    return "better than its control" if (low > most) == higher else "worse than its control"


def _ends(ends: Ends, value: float | int) -> tuple[float | int, float | int]:
    low, high = ends
    return (value if low is None else low), (value if high is None else high)


def counted(many: int, what: str, more: str = "") -> str:
    """`1 unit`, `3 units`, `3 entries`."""
    return f"{many:,} {what if many == 1 else more or what + 's'}"
