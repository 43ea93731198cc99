"""The list of units: what was searched for, fifty at a time."""

from collections.abc import Sequence
from typing import Any

from legenda.atlas.schema import KINDS, STATES
from legenda.atlas.search import Query, search
from legenda.atlas.store import Atlas
from legenda.errors import BadInput, near
from legenda.show.site import called, shown

PAGE, MOST = 50, 200
ORDERS = {"certainty": "certainty", "score": "score", "number": "number in its set"}
FIELDS = (
    "id", "name", "label", "state", "kind", "certainty", "low", "high", "score", "set", "number",
    "picture", "fit", "alt",
)  # fmt: skip
"""What is told of a unit in a list: in the page, in the index of a report, by `/api/search`."""
COLUMNS = """u.id, u.name, u.label, u.state, s.kind, u.certainty, u.low, u.high, u.score,
    u.set_id AS "set", u.number FROM units u JOIN sets s ON s.id = u.set_id"""
FITS = {"sheet": "strip", "pictures": "whole", "attribution": "whole"}
WHATS = {"sheet": "sheet", "pictures": "picture-0"}


def units(
    atlas: Atlas,
    q: str = "",
    set: int | str = "",
    kind: str = "",
    state: str = "",
    certainty: float | int | str = "",
    score: float | int | str = "",
    order: str = "certainty",
    limit: int | str = PAGE,
    offset: int | str = 0,
) -> dict[str, Any]:
    """Units by name, set, kind, state, least certainty and least score; empty asks for all.

    It takes what stands in an address, so that a server may hand on its query as it is. `total` is
    how many there are; where each would have to be counted it is what is surely there, and `exact`
    is false.
    """
    asked: dict[str, Any] = {
        "q": q, "set": _whole("set", set), "kind": _one_of("kind", kind, KINDS),
        "state": _one_of("state", state, STATES), "certainty": _number("certainty", certainty),
        "score": _number("score", score), "order": _one_of("order", order, tuple(ORDERS)),
    }  # fmt: skip
    start, most = _whole("offset", offset) or 0, min(_whole("limit", limit) or PAGE, MOST)
    found = search(atlas, Query(
        q, kind or None, state or None, asked["set"], asked["certainty"], asked["score"],
        order or "certainty", most, start,  # pyright: ignore[reportArgumentType]
    ))  # fmt: skip
    shown_until = start + len(found.rows)
    beyond = bool(start and not found.rows)  # nothing there says nothing of what lies before
    total = counted(atlas, asked) if found.more or beyond else shown_until
    least = 0 if beyond else shown_until + found.more
    return {
        "title": "Units", "asked": asked, "offset": start, "limit": most, "more": found.more,
        "total": least if total is None else total, "exact": total is not None,
        "units": told(atlas, [row["id"] for row in found.rows]), "sets": sets(atlas),
        "kinds": kinds(atlas), "states": list(STATES), "orders": ORDERS, "atlas": called(atlas),
    }  # fmt: skip


def counted(atlas: Atlas, asked: dict[str, Any]) -> int | None:
    """How many a search finds, where tallies tell; None where each would have to be counted."""
    if asked["q"] or asked["certainty"] is not None or asked["score"] is not None:
        return None
    known = atlas.value(
        "SELECT total(t.count) FROM tallies t JOIN sets s ON s.id = t.set_id WHERE "
        "(?1 IS NULL OR s.id = ?1) AND (?2 = '' OR s.kind = ?2) AND (?3 = '' OR t.state = ?3)",
        asked["set"], asked["kind"], asked["state"],
    )  # fmt: skip
    return int(known)


def told(atlas: Atlas, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What a list says of units, in the order that is given."""
    marks = ", ".join("?" * len(ids))
    rows = {r["id"]: r for r in atlas.all(f"SELECT {COLUMNS} WHERE u.id IN ({marks})", *ids)}
    faces = thumbs(atlas, ids)
    return [
        {**dict(rows[i]), "name": shown(rows[i]["name"], 100), "label": shown(rows[i]["label"], 60),
         **faces.get(i, {"picture": "", "fit": "", "alt": ""})}
        for i in ids if i in rows
    ]  # fmt: skip


def thumbs(atlas: Atlas, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """One picture for each unit: its strongest exemplar, lit by its map, else what was drawn."""
    marks = ", ".join("?" * len(ids))
    found = {
        r["unit"]: {"picture": face_of(r["unit"], r["picture"], r["evidence"]), "fit": "square",
                    "alt": shown(r["caption"] or r["source"], 80)}
        for r in atlas.all(
            "SELECT e.unit, e.picture, e.evidence, p.caption, p.source FROM exemplars e JOIN "
            f"pictures p ON p.id = e.picture WHERE e.place = 0 AND e.unit IN ({marks})", *ids)
    }  # fmt: skip
    rest = [i for i in ids if i not in found]
    marks = ", ".join("?" * len(rest))
    for row in atlas.all(
        "SELECT x.unit, e.id, e.kind, x.target FROM explanations x JOIN evidence e "
        "ON e.id = x.evidence WHERE e.kind IN ('sheet', 'pictures') "
        f"AND x.unit IN ({marks}) ORDER BY x.id DESC", *rest,
    ):  # fmt: skip
        found[row["unit"]] = {
            "picture": f"evidence/{row['id']}/{WHATS[row['kind']]}", "fit": FITS[row["kind"]],
            "alt": shown(f"{row['kind']} of {row['target']}", 80),
        }  # fmt: skip
    return found


def face_of(unit: int, picture: int | None, evidence: int | None) -> str:
    """The key of the small picture of a unit; nothing where it has no exemplar."""
    if picture is None:
        return ""
    return f"picture/{picture}" if evidence is None else f"evidence/{evidence}/face-{unit}"


def sets(atlas: Atlas) -> list[dict[str, Any]]:
    """The sets of units, for a choice among them."""
    rows = atlas.all(
        "SELECT s.id, s.dictionary, s.kind, m.name FROM sets s JOIN models m ON m.id = s.model "
        "ORDER BY s.id"
    )
    return [{"id": r["id"], "title": shown(f"{r['name']} · {r['dictionary']}", 60)} for r in rows]


def kinds(atlas: Atlas) -> list[str]:
    """The kinds of units that are there."""
    return [row[0] for row in atlas.all("SELECT DISTINCT kind FROM sets ORDER BY kind")]


def _one_of(what: str, got: str, known: Sequence[str]) -> str:
    if got and got not in known:
        raise BadInput(
            f"units are searched by {what}: {', '.join(known)}; it got {shown(str(got), 40)!r}."
            f"{near(str(got)[:40], known)}"
        )
    return got


def _number(what: str, got: float | int | str) -> float | None:
    try:
        value = None if got in ("", None) else float(got)
    except ValueError:
        value = float("nan")
    if value is not None and value - value != 0:
        raise BadInput(
            f"the least {what} of a search is a number; it got {shown(str(got), 40)!r}. "
            "Leave it out, or give one such as 0.5."
        )
    return value


def _whole(what: str, got: int | str) -> int | None:
    if got in ("", None):
        return None
    if not (isinstance(got, int) or (got.isascii() and got.isdigit() and len(got) < 16)) or int(got) < 0:  # fmt: skip # noqa: E501
        raise BadInput(
            f"the {what} of a search is a whole number of at least 0; it got "
            f"{shown(str(got), 40)!r}."
        )
    return int(got)
