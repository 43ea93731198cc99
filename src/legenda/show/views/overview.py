"""What an atlas holds, how much of it is named and how surely, and where to begin to look."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from legenda.atlas.schema import STATES
from legenda.atlas.store import Atlas, loaded
from legenda.show.site import called, shown
from legenda.show.views.facts import facts
from legenda.show.views.units import told

BINS = 20
FEW = 10
DOUBTED = 200
"""Among so many of the surest, those are looked for that do no better than chance."""


def overview(atlas: Atlas) -> dict[str, Any]:
    """The first page: cards, coverage, certainty, where to begin, and how it was made."""
    states = tallied(atlas)
    return {
        "title": called(atlas),
        "units": sum(states.values()),
        "pictures": atlas.value("SELECT count(*) FROM pictures"),
        "coverage": coverage(states),
        "models": models(atlas),
        "certainty": certainty(atlas),
        "surest": told(atlas, surest(atlas)),
        "surprising": surprising(atlas),
        "doubtful": told(atlas, doubtful(atlas)),
        "findings": findings(atlas),
        "studies": studies(atlas),
    }


def tallied(atlas: Atlas, set_id: int | None = None) -> dict[str, int]:
    """How many units are in each state."""
    where = "" if set_id is None else f"WHERE set_id = {int(set_id)}"
    rows = atlas.all(f"SELECT state, sum(count) FROM tallies {where} GROUP BY state")
    return {row[0]: row[1] for row in rows}


def coverage(states: Mapping[str, int]) -> list[dict[str, Any]]:
    """Named, abstained, inactive, dead and unread: counts, and shares of all."""
    total = sum(states.values())
    order = [*STATES[1:], STATES[0]]
    return [
        {"state": state, "count": states[state], "share": states[state] / total}
        for state in order if states.get(state)
    ]  # fmt: skip


def models(atlas: Atlas) -> list[dict[str, Any]]:
    """The models, each with its card and its sets of units."""
    found = []
    for row in atlas.all("SELECT * FROM models ORDER BY id"):
        sets = []
        for one in atlas.all("SELECT * FROM sets WHERE model = ? ORDER BY id", row["id"]):
            states = tallied(atlas, one["id"])
            sets.append({
                "id": one["id"], "dictionary": shown(one["dictionary"], 60), "kind": one["kind"],
                "size": one["size"], "held": sum(states.values()), "coverage": coverage(states),
                "card": facts(loaded(one["card"])), "digest": one["digest"][:12],
            })  # fmt: skip
        found.append({
            "id": row["id"], "ref": shown(row["ref"], 80), "name": shown(row["name"], 60),
            "site": row["site"], "revision": row["revision"], "digest": row["digest"][:12],
            "card": facts(loaded(row["card"])), "sets": sets,
        })  # fmt: skip
    return found


def certainty(atlas: Atlas) -> dict[str, Any]:
    """How many named units, and how many that abstained, are how certain."""
    edges = [i / BINS for i in range(BINS + 1)]
    bounds = list(zip([-1.0, *edges[1:-1]], [*edges[1:-1], 2.0], strict=True))
    counts = {
        state: [
            atlas.value(  # along the index: a million units are counted in a blink
                "SELECT count(*) FROM units WHERE state = ? AND certainty >= ? AND certainty < ?",
                state, low, high,
            )
            for low, high in bounds
        ]
        for state in ("named", "abstained")
    }  # fmt: skip
    return {
        "edges": edges,
        "counts": counts,
        "n": {state: sum(values) for state, values in counts.items()},
    }


def surest(atlas: Atlas, most: int = FEW) -> list[int]:
    """The units that are named most surely: each name once, and no dictionary alone.

    What does no better than chance when it is checked comes last.
    """
    rows, doubted = ranked(atlas), set(doubtful(atlas, DOUBTED))
    sound = [row for row in rows if row["id"] not in doubted]
    room = max(2, -(-most // max(1, len({row["set_id"] for row in rows}))) + 1)
    chosen: list[int] = []
    names: set[str] = set()
    shares: Counter[int] = Counter()
    for most_of_a_set in (room, len(rows)):  # first a few of every dictionary, then of any
        for row in sound:
            if row["name"] not in names and shares[row["set_id"]] < most_of_a_set:
                chosen.append(row["id"])
                names.add(row["name"])
                shares[row["set_id"]] += 1
    chosen += [row["id"] for row in [*sound, *rows]]  # then names again, and last what is doubted
    kept = set(list(dict.fromkeys(chosen))[:most])
    return [row["id"] for row in rows if row["id"] in kept]


def ranked(atlas: Atlas, most: int = DOUBTED) -> list[Any]:
    """Named units, surest first."""
    return atlas.all(
        "SELECT id, set_id, name FROM units WHERE state = 'named' AND certainty IS NOT NULL "
        "ORDER BY certainty DESC, id LIMIT ?", most)  # fmt: skip


def doubtful(atlas: Atlas, most: int = 4) -> list[int]:
    """Units that sound sure, while a score of theirs is no better than its control."""
    among = [row["id"] for row in ranked(atlas)]
    rows = atlas.all(
        "SELECT DISTINCT x.unit FROM explanations x JOIN scores s ON s.explanation = x.id "
        f"WHERE x.unit IN ({', '.join('?' * len(among))}) AND s.low IS NOT NULL AND "
        "CASE s.higher_is_better WHEN 1 THEN s.low <= coalesce(s.control_high, s.control) "
        "ELSE s.high >= coalesce(s.control_low, s.control) END", *among,
    )  # fmt: skip
    held = {row[0] for row in rows}
    return [unit for unit in among if unit in held][:most]


def surprising(atlas: Atlas, most: int = 5) -> list[dict[str, Any]]:
    """Pairs of units that are found together most often beyond chance, by what is sure of it."""
    rows = atlas.all(
        """SELECT r.value, r.low, r.high, r.n, r.control, r.kind, r.facts, r.one, r.other,
             a.name AS a, a.label AS al, b.name AS b, b.label AS bl
           FROM relations r JOIN units a ON a.id = r.one JOIN units b ON b.id = r.other
           WHERE r.kind = 'co-occurs' AND r.low IS NOT NULL ORDER BY r.low DESC, r.id LIMIT ?""",
        most,
    )
    return [
        {**dict(row), "a": shown(row["a"] or row["al"], 60), "b": shown(row["b"] or row["bl"], 60),
         "measure": str(loaded(row["facts"]).get("measure", "value"))}
        for row in rows
    ]  # fmt: skip


def findings(atlas: Atlas, most: int = 5) -> list[dict[str, Any]]:
    """What audits flagged first."""
    found = []
    for row in atlas.all("SELECT title, content FROM results WHERE kind = 'audit' ORDER BY id"):
        for one in loaded(row["content"]).get("findings", []):
            text = shown(str(one.get("text", "")), 200)
            found.append({"title": shown(row["title"], 80), **one, "text": text})
    found.sort(key=lambda one: (not one.get("flagged"), -abs(one.get("effect") or 0.0)))
    return found[:most]


def studies(atlas: Atlas) -> list[dict[str, Any]]:
    """How the atlas was made: each study with settings, command, and what failed."""
    return [study(atlas, row) for row in atlas.all("SELECT * FROM studies ORDER BY id")]


def study(atlas: Atlas, row: Any) -> dict[str, Any]:
    """One study in plain values."""
    failed = atlas.all(
        "SELECT target, reason, tries FROM failures WHERE study = ? ORDER BY at DESC, target "
        "LIMIT 20", row["id"],
    )  # fmt: skip
    return {
        "id": row["id"], "kind": row["kind"], "title": shown(row["title"], 100),
        "command": row["command"], "settings": facts(loaded(row["settings"]), exact=True),
        "provenance": facts(loaded(row["provenance"]), exact=True), "began": row["began"],
        "ended": row["ended"], "seconds": row["seconds"],
        "explanations": atlas.value(
            "SELECT count(*) FROM explanations WHERE study = ?", row["id"]),
        "failed": atlas.value("SELECT count(*) FROM failures WHERE study = ?", row["id"]),
        "failures": [
            {"target": shown(f["target"], 80), "reason": shown(f["reason"], 300),
             "tries": f["tries"]} for f in failed],
    }  # fmt: skip
