"""What an atlas holds, in a few lines: for a person, and as a plain dict for a program."""

from collections.abc import Mapping
from typing import Any

STATES = ("named", "abstained", "inactive", "dead", "unread")
SUREST = 3
SETS = """SELECT s.id, s.kind, s.dictionary, s.size, m.ref FROM sets s
  JOIN models m ON m.id = s.model ORDER BY s.id"""
NAMED = """SELECT label, name, certainty, low, high FROM units WHERE set_id = ? AND state = 'named'
  AND certainty IS NOT NULL ORDER BY certainty DESC, number LIMIT ?"""
FLAGGED = """SELECT e.facts, p.caption, p.source FROM explanations e
  JOIN pictures p ON p.id = e.picture WHERE json_extract(e.facts, '$.flagged')
  ORDER BY json_extract(e.facts, '$.standing'), e.id LIMIT 1"""


def plain(atlas: Any, studies: Mapping[str, int]) -> dict[str, Any]:
    """Sets with their states and surest names, the studies that were asked for, and a warning."""
    return {
        "studies": {name: study_of(atlas, number) for name, number in studies.items()},
        "sets": [set_of(atlas, row) for row in atlas.all(SETS)],
        "pictures": atlas.value("SELECT count(*) FROM pictures"),
        "explanations": atlas.value("SELECT count(*) FROM explanations"),
        "warning": warning(atlas),
    }


def study_of(atlas: Any, number: int) -> dict[str, Any]:
    """One study: its title, and what it took."""
    row = atlas.one("SELECT title, seconds, command FROM studies WHERE id = ?", number)
    return {"study": number, "title": row["title"], "seconds": round(row["seconds"], 1)}


def set_of(atlas: Any, row: Any) -> dict[str, Any]:
    """One set of units: how many of each state, and the surest names."""
    counts = atlas.all("SELECT state, count FROM tallies WHERE set_id = ?", row["id"])
    found = {one["state"]: one["count"] for one in counts}
    names = atlas.all(NAMED, row["id"], SUREST)
    return {
        "kind": row["kind"], "model": row["ref"], "dictionary": row["dictionary"],
        "units": row["size"], "states": {state: found.get(state, 0) for state in STATES},
        "surest": [
            {"unit": n["label"], "name": n["name"], "certainty": n["certainty"],
             "interval": [n["low"], n["high"]]}
            for n in names
        ],
    }  # fmt: skip


def warning(atlas: Any) -> str:
    """One thing that is not to be believed: a pair that does not match; empty where all do."""
    from legenda.atlas.store import loaded

    row = atlas.one(FLAGGED)
    if row is None:
        return ""
    facts = loaded(row["facts"])
    where = row["source"] if not row["caption"] else f"{row['source']} ({row['caption']})"
    why = facts.get("warning", "it stands out no more than other sentences do")
    return f"{facts.get('sentence', '')!r} does not match {where}: {why}."


def told(said: Mapping[str, Any]) -> Any:
    """The same in the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("units")
    for state in STATES:
        table.add_column(state, justify="right")
    for one in said["sets"]:
        counts = [f"{one['states'][state] or '–'}" for state in STATES]
        table.add_row(Text(called(one)), *counts)
    surest = [one for one in said["sets"] if one["surest"]]
    lines: list[Any] = [table, Text("")] if said["sets"] else []
    lines += [Text(f"surest of {called(one)}: {names(one['surest'])}") for one in surest]
    lines.append(Text(f"{said['explanations']} explanations and {said['pictures']} pictures"))
    if said["warning"]:
        lines.append(Text(f"Not to be believed: {calm(said['warning'])}", style="yellow"))
    return Group(*lines)


def called(one: Mapping[str, Any]) -> str:
    """A set in a few words."""
    return calm(f"{one['model']} {one['kind']}s")


def names(surest: list[dict[str, Any]]) -> str:
    """A few names, each with its certainty and the interval of that."""
    found = []
    for one in surest:
        low, high = one["interval"]
        within = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
        found.append(f"{calm(one['name'])} {one['certainty']:.2f}{within}")
    return "; ".join(found)


def calm(text: str) -> str:
    """Words of others without what moves a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
