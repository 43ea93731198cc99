"""An edit of a picture: what it was, what became of it, and what judges say beside the control."""

from typing import Any

from legenda.atlas.store import Atlas
from legenda.show.site import shown
from legenda.show.views.facts import facts, numeric, told
from legenda.show.views.named import Plain
from legenda.show.views.tables import said, table, tabular, whole

SHOWN = {"picture": "as it was", "before": "before", "after": "after the edit"}
"""The pictures of an edit, in this order."""
KNOWN = {*SHOWN, "settings", "edit", "of", "controlled", "optimised"}
"""What is said elsewhere than among the plain facts."""
LABELS = {
    "cells": "cells that were edited", "changed inside": "share of them that changed",
    "changed outside": "share of the others that changed", "grid": "cells of the picture",
}  # fmt: skip


def edit(atlas: Atlas, held: Plain, study: int) -> Plain:
    """The pictures, the tables, and the plain rest of an edit."""
    rows = {name: value for name, value in held.items() if tabular(value)}
    plain = {k: v for k, v in held.items() if k not in KNOWN and k not in rows and said(v)}
    return {
        "what": shown(str(held.get("edit") or ""), 160),
        "of": shown(str(held.get("of") or ""), 160),
        "pictures": pictures(atlas, held),
        "tables": [table(atlas, k, [lotted(row) for row in v], study) for k, v in rows.items()],
        "controlled": shown(str(held.get("controlled") or _control(held)), 120),
        "optimised": optimised(held.get("optimised")),
        "facts": facts(plain, labels=LABELS),
        "settings": facts(held.get("settings") or {}, exact=True),
    }  # fmt: skip


def pictures(atlas: Atlas, held: Plain) -> list[Plain]:
    """Those that the atlas has, each with what it is in words."""
    found = []
    for key, what in SHOWN.items():
        number = held.get(key)
        number = number.get("picture") if isinstance(number, dict) else number
        row = (
            atlas.one("SELECT id, caption, source, width FROM pictures WHERE id = ?", number)
            if whole(number)
            else None
        )
        if row is not None:
            words = "the same, decoded" if key == "before" and "picture" in held else what
            alt = shown(row["caption"] or row["source"], 160)
            found.append({"id": row["id"], "what": words, "alt": f"{words}: {alt}",
                          "small": row["width"] < 160})  # fmt: skip
    return found


def lotted(row: Plain) -> Plain:
    """A row whose range is that of changes by lot says so."""
    if "random" not in row:
        return row
    kept = {k: v for k, v in row.items() if k not in ("random", "low", "high")}
    return {**kept, "by lot": row["random"]}


def optimised(held: Any) -> str:
    """What the edit was made to raise, which proves nothing of it."""
    if not isinstance(held, dict):
        return ""
    before, after = (likely(held.get(key)) for key in ("before", "after"))
    return f"It was made to convince {shown(str(held.get('by')), 60)}, whose answer went from {before} to {after}."  # fmt: skip # noqa: E501


def likely(share: Any) -> str:
    """A probability; of one that is tiny no more than that."""
    return "less than 0.0001" if numeric(share) and 0 <= share < 1e-4 else told(share)


def _control(held: Plain) -> str:
    control = held.get("control")
    return str(control.get("by") or "") if isinstance(control, dict) else ""
