"""Faithfulness: curves beside their controls, and one table over all systems."""

from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.show.charts import bars, curve_chart
from legenda.show.site import shown
from legenda.show.views.named import Plain, judged, ranged

CHARTS, ROWS, BARS = 24, 200, 40
RESULTS = """SELECT r.title, r.content, s.title AS study, s.id AS of FROM results r
  JOIN studies s ON s.id = r.study WHERE r.kind = 'faithfulness' ORDER BY r.id"""


def curves(atlas: Atlas) -> dict[str, Any]:
    """All results on faithfulness, oldest first."""
    results = [(row, loaded(row["content"])) for row in atlas.all(RESULTS)]
    table = [_row(one, held, row) for row, held in results for one in held.get("table") or []]
    drawn = [_chart(row, held) for row, held in results if held.get("curves")]
    kinds = list(dict.fromkeys(map(_kind, table)))
    systems = {key: {one["system"] for one in table if _kind(one) == key} for key in kinds}
    kinds.sort(key=lambda key: -len(systems[key]))  # what compares most systems stands first
    table.sort(key=lambda one: kinds.index(_kind(one)))
    return {
        "title": "Faithfulness",
        "charts": drawn[:CHARTS],
        "more": max(0, len(drawn) - CHARTS),
        "summary": [
            _summary(*kind, [one for one in table if _kind(one) == kind]) for kind in kinds[:CHARTS]
        ],
        "table": [{k: v for k, v in one.items() if k != "raw"} for one in table[:ROWS]],
        "rows": len(table),
    }


def _kind(one: Plain) -> tuple[str, str]:
    """What rows may share an axis."""
    return one["what"], one["better"]


def _chart(row: Any, held: Plain) -> Plain:
    better = _better(held)
    return {
        "drawing": curve_chart(row["title"], held.get("x", ""), held.get("y", ""), held["curves"]),
        "say": f"{better} is better; from {shown(row['study'], 60)}",
    }


def _summary(what: str, kind: str, rows: list[Plain]) -> Plain:
    """Values of one measure, which alone may share an axis."""
    alone = len({r["system"] for r in rows}) == len(rows)  # then a system needs no second name
    held = [
        {"name": r["system"] if alone else f"{r['system']} · {r['name']}", **r["raw"]}
        for r in rows[:BARS]
    ]
    left = f"; the first {BARS} of {len(rows)}" if len(rows) > BARS else ""
    return {"drawing": bars(f"{what}, where {kind} is better{left}", held, "value")}


def _row(one: Plain, held: Plain, row: Any) -> Plain:
    keys = ("value", "low", "high", "control", "control_low", "control_high", "n")
    raw = {k: one.get(k) for k in keys}
    better = one.get("better") or _better(held)
    return {
        "system": shown(str(one.get("system") or ""), 40),
        "name": shown(str(one.get("name") or ""), 40),
        "what": shown(row["title"], 80), "of": shown(str(one.get("of") or ""), 60),
        "better": better, "raw": raw,
        "value": ranged(raw["value"], raw["low"], raw["high"]),
        "control": ranged(raw["control"], raw["control_low"], raw["control_high"]),
        "n": "–" if raw["n"] is None else f"{raw['n']:,}",
        "verdict": judged(raw["value"], (raw["low"], raw["high"]), raw["control"],
                          (raw["control_low"], raw["control_high"]), better == "higher"),
    }  # fmt: skip


def _better(held: Plain) -> str:
    return "lower" if held.get("better") == "lower" else "higher"
