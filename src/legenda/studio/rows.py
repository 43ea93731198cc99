"""Rows of the atlas as the interface for programs tells them."""

from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.errors import Missing

Plain = dict[str, Any]
MOST = 200
"""Explanations, exemplars and relations of one thing that are told, at most."""


def overview_of(atlas: Atlas) -> Plain:
    """Models, sets with their tallies, and how much there is of everything."""
    states: dict[int, dict[str, int]] = {}
    for row in atlas.all("SELECT set_id, state, count FROM tallies WHERE count > 0"):
        states.setdefault(row["set_id"], {})[row["state"]] = row["count"]
    models = atlas.all("SELECT * FROM models ORDER BY id LIMIT ?", MOST)
    sets = [
        {**told(row), "states": states.get(row["id"], {})}
        for row in atlas.all("SELECT * FROM sets ORDER BY id LIMIT ?", MOST)
    ]
    return {
        "models": [told(row) for row in models],
        "sets": sets,
        "units": sum(sum(one.values()) for one in states.values()),
        "pictures": atlas.value("SELECT count(*) FROM pictures"),
        "studies": atlas.value("SELECT count(*) FROM studies"),
    }


def studies_of(atlas: Atlas, limit: int, offset: int) -> list[Plain]:
    """Studies, the newest first."""
    return [
        told(row)
        for row in atlas.all(
            """SELECT s.*, (SELECT count(*) FROM explanations WHERE study = s.id) AS explanations,
               (SELECT count(*) FROM failures WHERE study = s.id) AS failures
               FROM studies s ORDER BY s.id DESC LIMIT ? OFFSET ?""",
            limit, offset,
        )
    ]  # fmt: skip


def unit_of(atlas: Atlas, number: int) -> Plain:
    """A unit, with all that is held of it."""
    row = atlas.one(
        """SELECT u.*, u.set_id AS "set", c.unit IS NOT NULL AS corrected FROM units u
           LEFT JOIN corrections c ON c.unit = u.id WHERE u.id = ?""",
        number,
    )
    if row is None:
        raise Missing(f"there is no unit {number} in this atlas.")
    exemplars = atlas.all(
        "SELECT picture, strength, evidence FROM exemplars WHERE unit = ? ORDER BY place LIMIT ?",
        number, MOST,
    )  # fmt: skip
    relations = atlas.all(
        """SELECT kind, one, other, value, low, high, n, control, facts FROM relations
           WHERE one = ? UNION ALL SELECT kind, one, other, value, low, high, n, control, facts
           FROM relations WHERE other = ? AND one <> ? LIMIT ?""",
        number, number, number, MOST,
    )  # fmt: skip
    return {
        **told(row),
        "explanations": explanations(atlas, "unit", number),
        "exemplars": [dict(one) for one in exemplars],
        "relations": [told(one) for one in relations],
    }


def picture_of(atlas: Atlas, number: int) -> Plain:
    """A picture without its bytes, and what was made of it."""
    row = atlas.one(
        "SELECT id, digest, source, caption, width, height, media FROM pictures WHERE id = ?",
        number,
    )
    if row is None:
        raise Missing(f"there is no picture {number} in this atlas.")
    readings = atlas.all(
        'SELECT set_id AS "set", evidence FROM readings WHERE picture = ? ORDER BY set_id', number
    )
    return {
        **dict(row),
        "readings": [dict(one) for one in readings],
        "explanations": explanations(atlas, "picture", number),
    }


def explanations(atlas: Atlas, of: str, number: int) -> list[Plain]:
    """Explanations of a unit or a picture, each with what was said and its scores."""
    found = []
    for row in atlas.all(
        f"SELECT * FROM explanations WHERE {of} = ? ORDER BY id LIMIT ?", number, MOST
    ):
        key = row["id"]
        said = atlas.all("SELECT * FROM descriptions WHERE explanation = ? ORDER BY place", key)
        scores = atlas.all("SELECT * FROM scores WHERE explanation = ? ORDER BY name", key)
        both = {"descriptions": [dict(d) for d in said], "scores": [dict(s) for s in scores]}
        found.append({**told(row), **both})
    return found


def told(row: Any) -> Plain:
    """A row as plain values, its columns of JSON read."""
    packed = ("card", "facts", "settings", "provenance")
    return {name: loaded(row[name]) if name in packed else row[name] for name in row.keys()}  # noqa: SIM118
