"""Searching an atlas: by words, kind, state, certainty and score, a page at a time, at any size."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from legenda.atlas.schema import KINDS, STATES
from legenda.atlas.search_ways import Asked, found_by, matching
from legenda.atlas.store import Atlas
from legenda.errors import BadInput, near

MOST = 10_000
"""Units on a page, at most."""
ORDERS = ("certainty", "score", "number")
SHOWN = """SELECT u.id, u.set_id, u.number, u.label, u.name, u.state, u.why, u.certainty, u.low,
  u.high, u.score, s.dictionary, s.kind, m.ref AS model FROM units u
  JOIN sets s ON s.id = u.set_id JOIN models m ON m.id = s.model WHERE u.id = ?"""


CONTROL = """SELECT c.control FROM units u JOIN explanations x ON x.unit = u.id
  JOIN scores c ON c.explanation = x.id WHERE u.id = ? AND c.value = u.score
  AND json_valid(u.facts) AND c.name = json_extract(u.facts, '$.score') LIMIT 1"""


@dataclass(frozen=True)
class Query:
    """What is looked for; every field that is given narrows it.

    Parameters
    ----------
    text: words of the name or label, each of which may be cut short.
    kind, state: one of `schema.KINDS`, one of `schema.STATES`.
    set_id: the units of one dictionary.
    certainty, score: at least so much; a larger value finds fewer.
    order: `certainty` (surest first), `score` (best first) or `number`; unknown values come last.
    limit, offset: the size of the page, and how many come before it.
    """

    text: str = ""
    kind: str | None = None
    state: str | None = None
    set_id: int | None = None
    certainty: float | None = None
    score: float | None = None
    order: str = "certainty"
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True)
class Found:
    """One page of units, and whether there are more after it."""

    rows: list[dict[str, Any]]
    more: bool


def search(atlas: Atlas, query: Query) -> Found:
    """The units that a query finds."""
    _check(query)
    asked, until = _asked(atlas, query), query.offset + query.limit + 1
    silent = query.text.strip() and not asked.match  # such as "!!", which no name holds as a word
    ids = found_by(atlas, asked, until) if asked.sets and not silent else []
    page = ids[query.offset : query.offset + query.limit]
    return Found([dict(atlas.one(SHOWN, i) or ()) for i in page], len(ids) == until)


def control_of(atlas: Atlas, unit: int) -> float | None:
    """What chance gives where a unit has its score; None where that is not known."""
    return atlas.value(CONTROL, unit)


def _check(query: Query) -> None:
    for what, least in (("certainty", query.certainty), ("score", query.score)):
        if least is not None and not isfinite(least):
            raise BadInput(f"the least {what} is a number; it got {least}. Leave it out for all.")
    for what, value, known in (
        ("kind", query.kind, KINDS), ("state", query.state, STATES), ("order", query.order, ORDERS),
    ):  # fmt: skip
        if value is not None and value not in known:
            raise BadInput(
                f"there is no {what} {value!r}.{near(value, known)} Known: {', '.join(known)}."
            )
    if not 1 <= query.limit <= MOST or not 0 <= query.offset < 2**31:
        raise BadInput(
            f"a page has 1 to {MOST} units and comes after 0 or more; it got limit={query.limit} "
            f"and offset={query.offset}."
        )


def _asked(atlas: Atlas, query: Query) -> Asked:
    rows = atlas.all(
        "SELECT id FROM sets WHERE id = coalesce(?, id) AND kind = coalesce(?, kind) ORDER BY id",
        query.set_id, query.kind,
    )  # fmt: skip
    least = {"certainty": query.certainty, "score": query.score}
    return Asked(
        sets=tuple(row[0] for row in rows),
        everywhere=query.set_id is None and query.kind is None,
        states=STATES if query.state is None else (query.state,),
        least={column: value for column, value in least.items() if value is not None},
        match=matching(query.text),
        order=query.order,
    )


__all__ = ["ORDERS", "Found", "Query", "control_of", "matching", "search"]
