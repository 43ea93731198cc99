"""Two atlases as one: the same thing is found again by its name, and what differs is decided.

Models, dictionaries, units, pictures, studies and explanations are the same where their natural
keys are. Where both atlases know something of the same thing, one rule decides, whatever the order
of merging: the greater record holds, where records are compared

    units        by state (named > abstained > inactive > dead > unread), certainty, content   (1)
    relations    by n, then content                                                             (2)
    exemplars    of a unit by their number, then content                                        (3)
    corrections  by time, then name; two different names are reported                           (4)
    all others   by content                                                                     (5)

So merging is commutative, associative, and does nothing the second time. Failures of what is
explained meanwhile are forgotten. What comes from one source comes whole, or not at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from legenda.atlas.corrections import rename, said_of
from legenda.atlas.entries import UnitEntry
from legenda.atlas.merge_evidence import bring_evidence
from legenda.atlas.merge_tables import (
    EXPLANATIONS,
    FAILURES,
    MODELS,
    PICTURES,
    READINGS,
    RELATIONS,
    RESULTS,
    SETS,
    STUDIES,
    Numbers,
    bring,
    bring_exemplars,
)
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_units

RANK = {"unread": 0, "dead": 1, "inactive": 2, "abstained": 3, "named": 4}
UNITS = """SELECT u.*, coalesce(c.state, u.state) AS found
  FROM units u LEFT JOIN corrections c ON c.unit = u.id"""
COUNTED = (
    "models", "sets", "units", "corrections", "pictures", "evidence", "studies", "explanations",
    "exemplars", "relations", "readings", "results", "failures",
)  # fmt: skip
EXPLAINED = """DELETE FROM failures WHERE EXISTS (SELECT 1 FROM explanations x
  WHERE x.study = failures.study AND failures.target IN (x.target, x.key))"""


@dataclass(frozen=True)
class Merged:
    """How many rows came in, table by table, and which corrections of the two differ."""

    added: dict[str, int]
    conflicts: tuple[str, ...]


def merge(into: Atlas, source: Atlas) -> Merged:
    """Bring everything of `source` into an atlas, which is open for writing."""
    before, conflicts = _counts(into), []
    if into.folder.resolve() != source.folder.resolve():
        with into.writing() as base:
            ids: dict[str, Numbers] = {}
            for kind in (MODELS, SETS, PICTURES, STUDIES):
                ids[kind.table] = bring(kind, into, source, ids)
            ids["units"] = _units(into, source, ids["sets"])
            conflicts = list(_corrections(into, source, ids["units"]))
            ids["evidence"] = bring_evidence(into, source)
            for kind in (EXPLANATIONS, RELATIONS, READINGS, RESULTS, FAILURES):
                ids[kind.table] = bring(kind, into, source, ids)
            bring_exemplars(into, source, ids)
            base.execute(EXPLAINED)
    after = _counts(into)
    return Merged({table: after[table] - before[table] for table in COUNTED}, tuple(conflicts))


def _counts(atlas: Atlas) -> dict[str, int]:
    return {table: atlas.value(f"SELECT count(*) FROM {table}") for table in COUNTED}


def _units(into: Atlas, source: Atlas, sets: Numbers) -> Numbers:
    """Units that are new, or of which the source knows more."""
    numbers = Numbers()
    rows = source.each(f"{UNITS} ORDER BY u.id")
    while chunk := list(islice(rows, 10_000)):
        fresh: list[tuple[int, UnitEntry]] = []
        for row in chunk:
            place = (sets.at(row["set_id"]), row["number"])
            there = into.one(f"{UNITS} WHERE u.set_id = ? AND u.number = ?", *place)
            if there is not None:
                numbers[row["id"]] = there["id"]
            if there is None or _weight(row) > _weight(there):
                fresh.append((row["id"], _entry(row, place[0])))
        ids = put_units(into, (entry for _, entry in fresh))
        numbers.update(zip((old for old, _ in fresh), ids, strict=True))
    return numbers


def _weight(row: Any) -> tuple[int, float, str]:
    known = (row["label"], row["said"], row["why"], row["low"], row["high"], row["score"])
    sure = -1.0 if row["certainty"] is None else row["certainty"]
    return RANK[row["found"]], sure, repr((*known, row["facts"]))  # (1)


def _entry(row: Any, set_id: int) -> UnitEntry:
    same = ("number", "label", "said", "why", "certainty", "low", "high", "score")
    fields = {name: row[name] for name in same}
    return UnitEntry(set_id, state=row["found"], facts=loaded(row["facts"]), **fields)


def _corrections(into: Atlas, source: Atlas, units: Numbers) -> Iterator[str]:
    """Bring corrections in; yields where two persons differ."""
    for row in source.all("SELECT * FROM corrections ORDER BY unit"):
        unit = units.at(row["unit"])
        there = into.one("SELECT * FROM corrections WHERE unit = ?", unit)
        ours, theirs = there and _said(there), _said(row)
        if ours is None or theirs > ours:  # (4)
            rename(into, unit, row["name"], row["by"], row["at"])
        if ours and ours[1] != theirs[1]:
            kept, left = sorted((ours, theirs), reverse=True)
            yield (
                f"{said_of(into, unit)['address']} is called {kept[1]!r} since {kept[0]} and "
                f"{left[1]!r} since {left[0]}; {kept[1]!r} is kept"
            )


def _said(row: Any) -> tuple[str, str, str]:
    return row["at"], row["name"], row["by"]
