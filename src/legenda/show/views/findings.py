"""What audits found, how names hold against nulls, what edits did: each with its proof."""

import math
from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import Plain, ranged, units_of

FINDINGS, ROWS, COLUMNS = 200, 60, 8
FIRST = ("unit", "token", "name", "system", "concept", "class", "kind", "text")
RESULTS = """SELECT r.kind, r.key, r.title, r.content, s.title AS study, s.command FROM results r
  JOIN studies s ON s.id = r.study WHERE r.kind <> 'faithfulness'
  ORDER BY r.id"""


def findings(atlas: Atlas) -> dict[str, Any]:
    """Results by kind; findings that are flagged come first, then the surest."""
    rows = [(row, loaded(row["content"])) for row in atlas.all(RESULTS)]
    found = [
        (one, row, held)
        for row, held in rows if row["kind"] == "audit"
        for one in held.get("findings") or []
    ]  # fmt: skip
    found.sort(key=_order)
    known = units_of(
        atlas, {one["unit"] for one, _, _ in found[:FINDINGS] if one.get("unit") is not None}
    )
    return {
        "title": "Findings",
        "findings": [_finding(one, row, held, known) for one, row, held in found[:FINDINGS]],
        "total": len(found),
        "flagged": sum(bool(one.get("flagged")) for one, _, _ in found),
        "audits": sum(row["kind"] == "audit" for row, _ in rows),
        "nulls": [_null(row, held) for row, held in rows if row["kind"] == "nulls"],
        "others": [
            _other(atlas, row, held) for row, held in rows if row["kind"] not in ("audit", "nulls")
        ],
    }


def _order(one: tuple[Plain, Any, Plain]) -> tuple[bool, float, float]:
    held = one[0]
    p = held.get("corrected")
    return (
        not held.get("flagged"), math.inf if p is None else p, -abs(held.get("effect") or 0.0),
    )  # fmt: skip


def _finding(one: Plain, row: Any, held: Plain, known: dict[int, Plain]) -> Plain:
    n = one.get("n")
    return {
        "text": shown(str(one.get("text") or ""), 300),
        "unit": known.get(one.get("unit") or -1),
        "flagged": bool(one.get("flagged")),
        "effect": ranged(one.get("effect"), one.get("low"), one.get("high")),
        "p": short(one.get("p")),
        "corrected": short(one.get("corrected")),
        "n": "–" if n is None else f"{n:,}",
        "proof": shown(str(one.get("proof") or ""), 300),
        "audit": shown(row["title"], 100),
        "question": shown(str(held.get("question") or ""), 160),
        "groups": " and ".join(shown(str(g), 40) for g in held.get("groups") or []),
    }


def _null(row: Any, held: Plain) -> Plain:
    n, alpha = held.get("n"), held.get("alpha")
    return {
        "title": shown(str(held.get("of") or row["title"]), 100),
        "kind": shown(str(held.get("kind") or row["key"]), 40),
        "threshold": short(held.get("threshold")),
        "alpha": short(alpha),
        "wanted": "–" if alpha is None else short(1 - alpha),
        "silent": ranged(held.get("silent"), held.get("low"), held.get("high")),
        "coverage": ranged(*(held.get(f"coverage{end}") for end in ("", "_low", "_high"))),
        "n": "–" if n is None else f"{n:,}",
    }


def _other(atlas: Atlas, row: Any, held: Plain) -> Plain:
    """An edit, importances and the like: what is plain is listed, what is a table is a table."""
    tables = {k: v for k, v in held.items() if _tabular(v)}
    plain = [(shown(k, 40), said(v)) for k, v in held.items() if k not in tables and said(v)]
    return {
        "kind": row["kind"],
        "title": shown(row["title"], 120),
        "study": shown(row["study"], 80),
        "command": row["command"],
        "facts": plain[:40],
        "tables": [_table(atlas, k, v) for k, v in tables.items()],
    }


def _tabular(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _table(atlas: Atlas, name: str, rows: list[Plain]) -> Plain:
    """Rows as a table: what names a row stands first, and a `unit` is a link to its page."""
    read = rows[:ROWS]
    columns = [c for c in dict.fromkeys(k for row in read for k in row)
               if any(said(row.get(c)) for row in read)]  # fmt: skip
    columns.sort(key=lambda c: FIRST.index(c) if c in FIRST else len(FIRST))
    known = units_of(atlas, [r["unit"] for r in read if isinstance(r.get("unit"), int)])
    return {
        "name": shown(name, 60),
        "columns": [shown(c, 30) for c in columns[:COLUMNS]],
        "rows": [[_cell(row, c, known) for c in columns[:COLUMNS]] for row in read],
        "more": max(0, len(rows) - ROWS),
    }


def _cell(row: Plain, column: str, known: dict[int, Plain]) -> Plain:
    value = row.get(column)
    if column == "unit" and value in known:
        return {"say": known[value]["name"], "view": "unit", "of": value}
    if column == "picture" and isinstance(value, int):
        return {"say": f"picture {value}", "view": "picture", "of": value}
    return {"say": said(value) or "–", "view": "", "of": None}


def said(value: Any) -> str:
    """A plain value in a line; nothing for what has no short form, such as a picture."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return short(value)
    if isinstance(value, str):
        return "" if value.startswith("data:") else shown(value, 200)
    if isinstance(value, list) and len(value) <= 12:
        parts = [said(v) for v in value]
        return f"[{', '.join(parts)}]" if all(parts) and parts else ""
    return ""
