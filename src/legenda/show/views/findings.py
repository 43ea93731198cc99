"""What audits found, how names hold against nulls, what edits did: each with its proof."""

import math
from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.edits import edit
from legenda.show.views.facts import facts
from legenda.show.views.named import Plain, in_words, probable, ranged, units_of
from legenda.show.views.tables import said, table, tabular

FINDINGS, OPEN = 200, 10
"""The most findings of an audit, and how many are there without being asked for."""
HEAD = ("findings", "groups", "question", "flagged")
"""What is said of an audit elsewhere than among its facts."""
RESULTS = """SELECT r.kind, r.key, r.title, r.content, r.study AS of, s.title AS study, s.command
  FROM results r JOIN studies s ON s.id = r.study WHERE r.kind <> 'faithfulness' ORDER BY r.id"""


def findings(atlas: Atlas) -> dict[str, Any]:
    """Results by kind; findings that are flagged come first, then the surest."""
    rows = [(row, loaded(row["content"])) for row in atlas.all(RESULTS)]
    audits = [(row, held) for row, held in rows if row["kind"] == "audit"]
    asked = [one for _, held in audits for one in held.get("findings") or []]
    return {
        "title": "Findings",
        "audits": [_audit(atlas, row, held) for row, held in audits],
        "total": len(asked),
        "flagged": sum(bool(one.get("flagged")) for one in asked),
        "nulls": [_null(row, held) for row, held in rows if row["kind"] == "nulls"],
        "edits": [
            {**_headed(row), **edit(atlas, held, row["of"])}
            for row, held in rows if row["kind"] == "edit"
        ],
        "others": [
            {**_headed(row), **_other(atlas, held, row["of"])}
            for row, held in rows if row["kind"] not in ("audit", "nulls", "edit")
        ],
    }  # fmt: skip


def _audit(atlas: Atlas, row: Any, held: Plain) -> Plain:
    """One audit: what was asked, and what was found."""
    found = sorted(held.get("findings") or [], key=_order)
    kept = found[:FINDINGS]
    known = units_of(atlas, {one["unit"] for one in kept if one.get("unit") is not None})
    plain = {k: v for k, v in held.items() if k not in HEAD}
    return {
        **_headed(row),
        "question": shown(str(held.get("question") or ""), 160),
        "groups": " and ".join(shown(str(g), 40) for g in held.get("groups") or []),
        "findings": [_finding(one, known) for one in kept],
        "open": OPEN, "total": len(found),
        "flagged": sum(bool(one.get("flagged")) for one in found),
        "facts": _plain(plain),
    }  # fmt: skip


def _order(held: Plain) -> tuple[bool, float, float]:
    p = held.get("corrected")
    return (
        not held.get("flagged"), math.inf if p is None else p, -abs(held.get("effect") or 0.0),
    )  # fmt: skip


def _finding(one: Plain, known: dict[int, Plain]) -> Plain:
    n = one.get("n")
    return {
        "text": shown(str(one.get("text") or ""), 300),
        "unit": known.get(one.get("unit") or -1),
        "flagged": bool(one.get("flagged")),
        "effect": in_words(one.get("effect"), one.get("low"), one.get("high")),
        "p": probable(one.get("p")),
        "corrected": probable(one.get("corrected")),
        "n": "–" if n is None else f"{n:,}",
        "proof": shown(str(one.get("proof") or ""), 300),
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
        "holds": {True: "yes", False: "no"}.get(held.get("holds"), "–"),  # pyright: ignore
        "study": shown(row["study"], 80),
    }


def _headed(row: Any) -> Plain:
    """What every result is headed by."""
    return {
        "kind": row["kind"],
        "title": shown(row["title"], 120),
        "study": shown(row["study"], 80),
        "of_study": row["of"],
    }


def _other(atlas: Atlas, held: Plain, study: int) -> Plain:
    """Importances and the like: what is plain is listed, what is a table is a table."""
    tables = {k: v for k, v in held.items() if tabular(v)}
    order = sorted(tables, key=lambda k: (len(tables[k]), k))  # a summary stands before the rows
    return {
        "question": shown(str(held.get("question") or ""), 160),
        "facts": _plain({k: v for k, v in held.items() if k not in tables and k != "question"}),
        "tables": [table(atlas, k, tables[k], study) for k in order],
    }


def _plain(held: Plain) -> list[tuple[str, str]]:
    """What can be said in a line."""
    return facts({k: v for k, v in held.items() if said(v)}, labels={})[:40]
