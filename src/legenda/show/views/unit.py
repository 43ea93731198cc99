"""One unit: what it is called and how surely, what shows it, what it goes with, how it was made."""

from collections.abc import Mapping
from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.errors import BadInput
from legenda.show.score_bar import score_bar
from legenda.show.site import shown
from legenda.show.views.drawn import box, drawn, once
from legenda.show.views.facts import PARTS, facts, with_parts

Beside = Mapping[int, tuple[int | None, int | None]]
"""Which units come before and after a unit."""
EXEMPLARS, RELATIONS = 12, 24
EXPLAINED = """SELECT x.id, x.by, x.target, x.picture, e.id AS evidence, e.kind, e.facts AS told,
    p.width, p.height FROM explanations x LEFT JOIN evidence e ON e.id = x.evidence
  LEFT JOIN pictures p ON p.id = x.picture WHERE x.unit = ? ORDER BY x.id LIMIT 20"""
SEEN = """SELECT e.place, e.picture, e.strength, e.evidence, p.caption, p.source, p.width, p.height,
    v.facts FROM exemplars e JOIN pictures p ON p.id = e.picture
  LEFT JOIN evidence v ON v.id = e.evidence WHERE e.unit = ? ORDER BY e.place LIMIT ?"""
SILENCE = {
    "abstained": "No name is given, rather than one that is not sure enough.",
    "inactive": "Inactive: moving it changes nothing that could be described.",
    "dead": "Dead: it was never on in any picture.",
    "unread": "Not read yet: no study has looked at it.",
}
FORWARD = {"is-a": "is a kind of", "part-of": "is a part of", "co-occurs": "is found with"}
BACKWARD = {"is-a": "has the kind", "part-of": "has the part", "co-occurs": "is found with"}


def unit(atlas: Atlas, unit: int | str, beside: Beside | None = None) -> dict[str, Any]:
    """The page of a unit; `beside` names its neighbours where not all units can be turned to."""
    row = found(atlas, unit)
    number = row["id"]
    told = explanations(atlas, number)
    near = neighbour(atlas, row, -1), neighbour(atlas, row, +1)
    held = loaded(row["facts"])
    plain, scored = split(held if isinstance(held, dict) else {"facts": held}, row["score"])
    sides = near if beside is None else beside.get(number, (None, None))
    return {
        "id": number,
        "title": shown(row["name"] or row["label"], 120),
        "name": shown(row["name"], 120), "label": shown(row["label"], 80), "state": row["state"],
        "address": shown(f"{row['model']}/{row['dictionary']}/{row['number']}", 160),
        "model": shown(row["model"], 60), "dictionary": shown(row["dictionary"], 60),
        "kind": row["kind"], "set": row["set_id"], "number": row["number"],
        "certainty": row["certainty"], "low": row["low"], "high": row["high"],
        "score": scored, "verdict": verdict(row), "correction": corrected(atlas, row),
        "facts": facts(plain),
        "candidates": [c for x in told for c in x["candidates"]],
        "exemplars": exemplars(atlas, number),
        "drawn": once([d for x in told for d in x["drawn"]]),
        "scores": [s for x in told for s in x["scores"]],
        "relations": relations(atlas, number),
        "studies": [made_by(s) for s in studied(atlas, number)],
        "before": sides[0], "after": sides[1],
    }  # fmt: skip


def found(atlas: Atlas, unit: int | str) -> Any:
    """The row of a unit, or the sentence that says which there are."""
    known = isinstance(unit, int) or (unit.isascii() and unit.isdigit() and len(unit) < 18)
    row = None if not known else atlas.one(
        "SELECT u.*, s.dictionary, s.kind, m.ref AS model FROM units u JOIN sets s ON "
        "s.id = u.set_id JOIN models m ON m.id = s.model WHERE u.id = ?", int(unit),
    )  # fmt: skip
    if row is None:
        most = atlas.value("SELECT max(id) FROM units")
        raise BadInput(
            f"there is no unit {shown(str(unit), 40)!r} in this atlas; "
            + (f"units have numbers from 1 to {most}." if most else "it holds no units yet.")
        )
    return row


def split(held: Mapping[str, Any], score: float | None) -> tuple[dict[str, Any], str]:
    """The facts without what belongs to the score, and the score in words."""
    own = [f"score_{part}" for part in PARTS]
    plain = {k: v for k, v in held.items() if k not in own}
    return plain, "" if score is None else with_parts(held, "score", score)


def verdict(row: Any) -> str:
    """Why there is no name; nothing where there is one."""
    said = SILENCE.get(row["state"], "")
    why = shown(row["why"], 300)
    return f"{said} The reason: {why}." if said and why else said


def corrected(atlas: Atlas, row: Any) -> dict[str, str] | None:
    """The name that a person gave, and what legenda says."""
    by = atlas.one("SELECT * FROM corrections WHERE unit = ?", row["id"])
    if by is None:
        return None
    return {"name": shown(by["name"], 120), "by": shown(by["by"], 60), "at": by["at"],
            "said": shown(row["said"], 120)}  # fmt: skip


def explanations(atlas: Atlas, unit: int) -> list[dict[str, Any]]:
    """What was explained of a unit: candidates, scores, and what can be drawn of the evidence."""
    rows, made = atlas.all(EXPLAINED, unit), []
    for row in rows:
        said = atlas.all("SELECT * FROM descriptions WHERE explanation = ? ORDER BY place", row["id"])  # fmt: skip # noqa: E501
        scores = atlas.all("SELECT * FROM scores WHERE explanation = ? ORDER BY name", row["id"])
        made.append({
            "candidates": [candidate(d, row["by"]) for d in said],
            "scores": [score_bar(dict(s)) for s in scores],
            "drawn": drawn(atlas, row) if row["evidence"] else [],
        })  # fmt: skip
    return made


def candidate(row: Any, method: str) -> dict[str, Any]:
    """A name or a sentence, by whom, how surely; or the reason for silence."""
    return {
        "text": shown(row["text"], 300), "by": shown(row["by"], 60), "method": shown(method, 60),
        "certainty": row["certainty"], "low": row["low"], "high": row["high"],
        "abstained": shown(row["abstained"], 300),
    }  # fmt: skip


def exemplars(atlas: Atlas, unit: int) -> list[dict[str, Any]]:
    """The pictures that turn it on most, each with its map where there is one."""
    made = []
    for row in atlas.all(SEEN, unit, EXEMPLARS):
        held = loaded(row["facts"]) if row["facts"] else {}
        frames = held.get("frames") or []
        frame = frames[row["place"]] if row["place"] < len(frames) else held.get("frame")
        made.append({
            "picture": row["picture"], "strength": row["strength"],
            "caption": shown(row["caption"] or row["source"], 120),
            "source": shown(row["source"], 80), "ratio": row["width"] / max(1, row["height"]),
            "evidence": row["evidence"], "map": f"map-{row['place']}",
            "unit": shown(str(held.get("unit", "strength")), 40),
            "box": box(frame, row["width"], row["height"]),
        })  # fmt: skip
    return made


def relations(atlas: Atlas, unit: int) -> list[dict[str, Any]]:
    """How it stands to others, in both directions; the strongest first."""
    made = []
    for here, there, words in (("one", "other", FORWARD), ("other", "one", BACKWARD)):
        rows = atlas.all(
            f"SELECT r.*, u.id AS unit, u.name, u.label, u.state FROM relations r JOIN units u "
            f"ON u.id = r.{there} WHERE r.{here} = ? ORDER BY r.value DESC, r.id LIMIT ?",
            unit, RELATIONS,
        )  # fmt: skip
        for row in rows:
            way = words.get(row["kind"], row["kind"] if here == "one" else f"{row['kind']}, from")
            made.append({
                "way": shown(way, 60), "kind": row["kind"], "unit": row["unit"],
                "name": shown(row["name"] or row["label"], 80), "named": bool(row["name"]),
                "value": row["value"], "low": row["low"], "high": row["high"], "n": row["n"],
                "control": row["control"],
                "measure": shown(str(loaded(row["facts"]).get("measure", "share")), 40),
            })  # fmt: skip
    return sorted(made, key=lambda one: -one["value"])


def studied(atlas: Atlas, unit: int) -> list[Any]:
    """The studies that say something of it."""
    return atlas.all(
        "SELECT * FROM studies WHERE id IN (SELECT study FROM explanations WHERE unit = ?1 UNION "
        "SELECT study FROM relations WHERE one = ?1 UNION SELECT study FROM relations WHERE "
        "other = ?1) ORDER BY id", unit,
    )  # fmt: skip


def made_by(row: Any) -> dict[str, Any]:
    """How a study is run again; all of its settings stand in the overview."""
    settings, with_ = loaded(row["settings"]), loaded(row["provenance"])
    said = facts({**{k: settings[k] for k in ("model", "seed") if k in settings}, **with_}, 60)
    return {
        "id": row["id"], "title": shown(row["title"], 100), "command": row["command"],
        "with": said[:6], "began": row["began"][:10],
    }  # fmt: skip


def neighbour(atlas: Atlas, row: Any, step: int) -> int | None:
    """The next unit of its set, or the one before."""
    test, order = (">", "ASC") if step > 0 else ("<", "DESC")
    return atlas.value(
        f"SELECT id FROM units WHERE set_id = ? AND number {test} ? "
        f"ORDER BY number {order} LIMIT 1", row["set_id"], row["number"],
    )  # fmt: skip
