"""The graph of what is on together: the strongest co-occurrences, and a table of the same."""

from bisect import bisect_left
from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.show.layout import layout
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import Plain, in_words, ranged, sets_of, units_of

EDGES, NODES, LISTED, OPEN = 120, 60, 200, 30
"""The most lines and units that are drawn, rows of the table, and how many are open."""
TOGETHER = """SELECT one, other, value, low, high, n, control, facts, max(study) FROM relations
  WHERE kind = 'co-occurs' AND one <> other GROUP BY min(one, other), max(one, other)
  ORDER BY coalesce(low, value) > coalesce(control, 0) DESC, value DESC, one, other LIMIT ?"""
TOTAL = """SELECT count(*) FROM (SELECT DISTINCT min(one, other), max(one, other) FROM relations
  WHERE kind = 'co-occurs' AND one <> other)"""


def graph(atlas: Atlas) -> dict[str, Any]:
    """Units that are on together more often than by chance, clear ones first, strongest first."""
    rows = [dict(row) for row in atlas.all(TOGETHER, max(EDGES, LISTED))]
    known = units_of(atlas, {row[end] for row in rows for end in ("one", "other")})
    edges = [_edge(row, known) for row in rows]
    return {
        "title": "Graph",
        "total": atlas.value(TOTAL),
        "measure": ", ".join(sorted({e["measure"] for e in edges if e["measure"]})),
        "edges": edges[:LISTED],
        "open": OPEN,
        "above": sum(e["above"] for e in edges[:LISTED]),
        **drawing(edges, known, sets_of(atlas)),
    }


def drawing(edges: list[Plain], known: dict[int, Plain], groups: dict[int, Plain]) -> Plain:
    """The nodes and lines of the first edges, each at its place."""
    kept, nodes = chosen(edges)
    places = layout(len(nodes), [(nodes.index(e["one"]), nodes.index(e["other"])) for e in kept])
    wide, tall = (places.max(0) + 0.5).tolist() if len(nodes) else (1.0, 1.0)
    at = {n: (x, y) for n, (x, y) in zip(nodes, places.tolist(), strict=True)}
    values = sorted(e["value"] for e in kept)
    return {
        "wide": f"{wide:.4g}",
        "tall": f"{tall:.4g}",
        "nodes": [
            {
                **known[n],
                "left": f"{100 * x / wide:.4g}",
                "top": f"{100 * y / tall:.4g}",
                "of": groups[known[n]["set"]]["title"],
            }
            for n, (x, y) in at.items()
        ],
        "lines": [_drawn(e, at, bisect_left(values, e["value"]) / len(values)) for e in kept],
    }


def chosen(edges: list[Plain]) -> tuple[list[Plain], list[int]]:
    """The first edges, as long as they join no more than `NODES` units; and those units."""
    kept, nodes = [], dict[int, None]()
    for edge in edges[:EDGES]:
        ends = {edge["one"]: None, edge["other"]: None}
        if len(nodes | ends) <= NODES:
            kept.append(edge)
            nodes |= ends
    return kept, list(nodes)


def _edge(row: Plain, known: dict[int, Plain]) -> Plain:
    least = row["value"] if row["low"] is None else row["low"]
    return {
        "one": row["one"], "other": row["other"], "value": row["value"],
        "names": [known[row["one"]]["name"], known[row["other"]]["name"]],
        "say": ranged(row["value"], row["low"], row["high"]),
        "words": in_words(row["value"], row["low"], row["high"]), "n": f"{row['n']:,}",
        "control": short(row["control"]),
        "above": row["control"] is not None and least > row["control"],
        "measure": shown(str(loaded(row["facts"]).get("measure") or ""), 40),
    }  # fmt: skip


def _drawn(edge: Plain, at: dict[int, tuple[float, float]], share: float | int) -> Plain:
    """A line from unit to unit; `share` of all lines are weaker."""
    (x1, y1), (x2, y2) = at[edge["one"]], at[edge["other"]]
    return {
        "ends": f"{edge['one']} {edge['other']}", "above": edge["above"],
        "x1": f"{x1:.4g}", "y1": f"{y1:.4g}", "x2": f"{x2:.4g}", "y2": f"{y2:.4g}",
        "width": f"{1 + 2.5 * share:.3g}",
        "say": f"{edge['names'][0]} and {edge['names'][1]}: {edge['words']}, n = {edge['n']}, "
        f"by chance {edge['control']}",
    }  # fmt: skip
