"""Rows of plain values as a table: names first, then what was measured, then chance, then n.

An interval has no column of its own: `nats_low` and `nats_high` stand with `nats`, and plain `low`
and `high` with what a table is about. A number of a unit leads to that unit where it is known of
which set it is: that which the study of the table spoke of.
"""

from collections.abc import Sequence
from typing import Any

from legenda.atlas.store import Atlas
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.facts import numeric
from legenda.show.views.named import Plain, by_number, ranged, units_of

ROWS, OPEN, COLUMNS = 60, 10, 9
"""The most rows and columns of a table, and how many rows are there without being asked for."""
FIRST = (
    "unit", "factor", "token", "latent", "one", "other", "measure", "name", "system", "judge",
    "concept", "class", "kind", "text", "sentence", "picture",
)  # fmt: skip
MEASURES = ("value", "effect", "nats", "lift", "share", "gap", "excess", "change")
"""What a table is about, the first of these that it has; `low` and `high` belong to it, or to what
is said of it beyond chance."""
PLAIN = ("table", "rows", "judges", "steered")
"""Names of tables that say no more than the title does."""
BESIDE = ("control", "chance", "by lot", "by chance")
NUMBERED = ("latent", "token", "one", "other")
"""Columns that hold the number of a unit in its set."""
SPOKEN = """SELECT u.set_id FROM explanations x JOIN units u ON u.id = x.unit
  WHERE x.study = ?1 UNION ALL SELECT u.set_id FROM relations r JOIN units u ON u.id = r.one
  WHERE r.study = ?1 LIMIT 1"""


def tabular(value: Any) -> bool:
    """Whether it is a list of rows."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def table(atlas: Atlas, name: str, rows: Sequence[Plain], study: int) -> Plain:
    """The first rows, with links where a row names a unit or a picture."""
    read = rows[:ROWS]
    ends = intervals(read)
    gone = {key for pair in ends.values() for key in pair}
    columns = [c for c in dict.fromkeys(k for row in read for k in row)
               if c not in gone and any(said(row.get(c)) for row in read)]  # fmt: skip
    columns = sorted(columns, key=place)[:COLUMNS]
    known = units_of(atlas, [r["unit"] for r in read if whole(r.get("unit"))])
    others = numbered(atlas, read, study)
    return {
        "name": "" if name in PLAIN else shown(name.replace("_", " "), 60),
        "columns": [{"name": shown(c.replace("_", " "), 30), "number": is_number(read, c)}
                    for c in columns],
        "rows": [[_cell(row, c, ends, known, others) for c in columns] for row in read],
        "open": OPEN, "more": max(0, len(rows) - ROWS),
    }  # fmt: skip


def intervals(rows: Sequence[Plain]) -> dict[str, tuple[str, str]]:
    """The columns that hold the ends of a column."""
    keys = {k for row in rows for k in row}
    found = {k: (f"{k}_low", f"{k}_high") for k in keys if {f"{k}_low", f"{k}_high"} <= keys}
    about = next((m for m in ("excess", *MEASURES) if m in keys), None)
    if about and about not in found and {"low", "high"} <= keys:
        found[about] = ("low", "high")
    return found


def place(column: str) -> tuple[int, int, str]:
    """Where a column stands among the others."""
    if column in FIRST:
        return 0, FIRST.index(column), ""
    if column in MEASURES:
        return 1, MEASURES.index(column), ""
    if column in ("before", "after"):
        return 2, ("before", "after").index(column), ""
    about = next((i for i, m in enumerate(MEASURES) if column.startswith(m)), len(MEASURES))
    if column in BESIDE:
        return 4, 0, column
    return (5, 0, column) if column in ("n", "pictures") else (3, about, column)


def numbered(atlas: Atlas, rows: Sequence[Plain], study: int) -> dict[int, Plain]:
    """Units by their number in the set that the study spoke of."""
    asked = {row[c] for row in rows for c in NUMBERED if whole(row.get(c))}
    group = atlas.value(SPOKEN, study) if asked else None
    return {} if group is None else by_number(atlas, group, asked)


def whole(value: Any) -> bool:
    """Whether it may be the number of something."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(rows: Sequence[Plain], column: str) -> bool:
    """Whether a column holds numbers that are not names."""
    known = [r[column] for r in rows if r.get(column) is not None]
    return column not in ("unit", "picture", *NUMBERED) and all(map(numeric, known))


def _cell(
    row: Plain, column: str, ends: dict[str, tuple[str, str]], known: dict[int, Plain],
    others: dict[int, Plain],
) -> Plain:  # fmt: skip
    value = row.get(column)
    if column == "unit" and value in known:
        return _link(known[value]["name"], "unit", value)
    if column in NUMBERED and "unit" not in row and value in others:
        one = others[value]
        return _link(f"{one['name']} ({one['label']})" if one["named"] else one["label"], "unit", one["id"])  # fmt: skip # noqa: E501
    if column == "picture" and whole(value):
        return _link(f"picture {value}", "picture", value)
    if column in ends and numeric(value):
        return _link(ranged(value, *(row.get(end) for end in ends[column])))
    return _link(said(value) or "–")


def _link(say: str, view: str = "", of: int | None = None) -> Plain:
    return {"say": say, "view": view, "of": of}


def said(value: Any) -> str:
    """A plain value in a line; nothing for what has no short form, such as a picture."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float):
        return short(value)
    if isinstance(value, str):
        return "" if value.startswith("data:") else shown(value, 200)
    if isinstance(value, list) and len(value) <= 12:
        parts = [said(v) for v in value]
        return f"[{', '.join(parts)}]" if all(parts) and parts else ""
    return ""
