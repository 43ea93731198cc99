"""The concept tree: what is a kind of what, and what is a part of what.

A unit of several parents stands in full below the surest, and is named again below the others.
Where relations run in a circle it is cut at the unit with the most below it, and that is said.
"""

from collections.abc import Iterable
from typing import Any

from legenda.atlas.store import Atlas
from legenda.show.palette import short
from legenda.show.views.named import Plain, counted, in_words, sets_of, units_of

EDGES, NODES, CHILDREN, DEPTH = 8000, 1500, 60, 10
"""The most relations that are read, units that are drawn, children of one, and levels."""
VERB = {"is-a": "a kind of it", "part-of": "a part of it"}
RELATIONS = """SELECT kind, one, other, value, low, high, n, control, max(study) FROM relations
  WHERE kind IN ('is-a', 'part-of') AND one <> other GROUP BY kind, one, other
  ORDER BY value DESC, id LIMIT ?"""
NAMED = "SELECT coalesce(sum(count), 0) FROM tallies WHERE state = 'named'"
TIED = """SELECT count(*) FROM units WHERE state = 'named' AND id IN (
  SELECT one FROM relations WHERE kind IN ('is-a', 'part-of')
  UNION SELECT other FROM relations WHERE kind IN ('is-a', 'part-of'))"""
TOTAL = """SELECT count(*) FROM (SELECT DISTINCT kind, one, other FROM relations
  WHERE kind IN ('is-a', 'part-of') AND one <> other)"""


def tree(atlas: Atlas) -> dict[str, Any]:
    """The trees of all sets, as lines that each know how deep they stand."""
    rows = [dict(row) for row in atlas.all(RELATIONS, EDGES)]
    total = atlas.value(TOTAL)
    lines, circles, left = outline(rows)
    known = units_of(atlas, {line["unit"] for line in lines})
    groups = sets_of(atlas)
    drawn: dict[int, list[Plain]] = {}
    for root in nested([_line(line, known) for line in lines if line["unit"] in known]):
        drawn.setdefault(root["unit"]["set"], []).append(root)
    orphans = atlas.value(NAMED) - atlas.value(TIED)
    return {
        "title": "Tree",
        "groups": [
            {
                "title": groups[key]["title"],
                "kind": groups[key]["kind"],
                "roots": sorted(roots, key=lambda root: root["unit"]["state"] != "named"),
            }
            for key, roots in sorted(drawn.items())  # trees with a name come first
        ],  # fmt: skip
        "units": len({line["unit"] for line in lines}),
        "relations": total,
        "orphans": counted(orphans, "named unit"),
        "some_orphans": bool(orphans),
        "circles": [", ".join(known[u]["name"] for u in one[:6] if u in known) for one in circles],
        "left": left,
        "unread": max(0, total - len(rows)),
    }


def outline(rows: list[Plain]) -> tuple[list[Plain], list[list[int]], int]:
    """Lines, parents before children; the circles that were cut; how many units were left out."""
    below: dict[int, list[Plain]] = {}
    children, units = set(), {}
    for row in rows:
        below.setdefault(row["other"], []).append(row)
        children.add(row["one"])
        units |= {row["other"]: None, row["one"]: None}
    first = _first(rows)
    size = {u: len(below.get(u, [])) for u in units}
    starts = sorted((u for u in units if u not in children), key=lambda u: (-size[u], u))
    reached, circles = _reached(starts, homes := _homes(first), set()), []
    for unit in units:
        if unit not in reached:  # the way up from here, by surest parents, comes to no root
            circles.append(_circle(unit, first))
            starts.append(max(circles[-1], key=lambda u: (size[u], -u)))
            _reached(starts[-1:], homes, reached)
    lines, seen = [], set()
    for start in starts:
        _walk(start, below, first, seen, lines)
    return lines, circles, len(units.keys() - {line["unit"] for line in lines})


def _homes(first: dict[int, int]) -> dict[int, list[int]]:
    """The units that are drawn in full below each."""
    found: dict[int, list[int]] = {}
    for unit, parent in first.items():
        found.setdefault(parent, []).append(unit)
    return found


def _reached(starts: list[int], homes: dict[int, list[int]], reached: set[int]) -> set[int]:
    """What lies below the starts is added to what is reached."""
    waiting = list(starts)
    reached |= set(starts)
    for unit in waiting:
        fresh = [u for u in homes.get(unit, []) if u not in reached]
        reached |= set(fresh)
        waiting += fresh
    return reached


def _first(rows: Iterable[Plain]) -> dict[int, int]:
    """The parent below which a unit is drawn in full: that of its surest relation."""
    found: dict[int, Plain] = {}
    for row in rows:
        best = found.get(row["one"])
        if best is None or row["value"] > best["value"]:
            found[row["one"]] = row
    return {unit: row["other"] for unit, row in found.items()}


def _walk(
    root: int, below: dict[int, list[Plain]], first: dict[int, int], seen: set[int],
    lines: list[Plain],
) -> None:  # fmt: skip
    """Add a unit and all below it; no recursion, so that depth costs nothing."""
    waiting: list[tuple[int, int, Plain | None]] = [(root, 0, None)]
    while waiting:
        unit, level, edge = waiting.pop()
        again = unit in seen or (edge is not None and first[unit] != edge["other"])
        kids = [] if again else below.get(unit, [])
        if len(seen) >= NODES and not again:
            continue
        deep = level >= DEPTH and bool(kids)
        cut = len(kids) if deep else max(0, len(kids) - CHILDREN)
        lines.append({"unit": unit, "level": level, "edge": edge, "again": again, "more": cut})
        if not again:
            seen.add(unit)
        shown = [] if deep else kids[:CHILDREN]
        waiting += [(kid["one"], level + 1, kid) for kid in reversed(shown)]


def _circle(unit: int, first: dict[int, int]) -> list[int]:
    """The circle that one comes to by going up, from parent to surest parent."""
    way: dict[int, None] = {}
    while unit not in way:
        way[unit] = None
        unit = first[unit]
    units = list(way)
    return units[units.index(unit) :]


def nested(lines: list[Plain]) -> list[Plain]:
    """The lines as a forest: each with its `children`."""
    roots: list[Plain] = []
    path: list[Plain] = []
    for line in lines:
        del path[line["level"] :]
        (path[-1]["children"] if path else roots).append(line)
        path.append(line)
    return roots


def _line(line: Plain, known: dict[int, Plain]) -> Plain:
    edge = line["edge"]
    return {
        "unit": known[line["unit"]], "level": line["level"], "again": line["again"],
        "more": line["more"], "kind": edge["kind"] if edge else "",
        "say": support(edge) if edge else "", "children": [],
    }  # fmt: skip


def support(edge: Plain) -> str:
    """What speaks for a relation."""
    chance = "" if edge["control"] is None else f", by chance {short(edge['control'])}"
    share = in_words(edge["value"], edge["low"], edge["high"])
    return f"{VERB.get(edge['kind'], edge['kind'])}: {share} of {edge['n']:,}{chance}"
