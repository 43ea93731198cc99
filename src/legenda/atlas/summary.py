"""An atlas at a glance: models, dictionaries with their units by state, studies, sizes."""

from typing import Any

from legenda.atlas.schema import SCHEMA, STATES, TENSORS
from legenda.atlas.store import Atlas

SETS = """SELECT s.id, m.ref AS model, m.site, s.dictionary, s.kind, s.size
  FROM sets s JOIN models m ON m.id = s.model ORDER BY s.id"""
STUDIES = """SELECT t.kind, t.title, t.ended IS NOT NULL AS done, t.seconds,
  (SELECT count(*) FROM explanations x WHERE x.study = t.id) AS explanations,
  (SELECT count(*) FROM failures f WHERE f.study = t.id) AS failures
  FROM studies t ORDER BY t.id"""


def summary(atlas: Atlas) -> dict[str, Any]:
    """What an atlas holds, as plain values; it takes no longer for a million units."""
    counts: dict[int, dict[str, int]] = {}
    for row in atlas.all("SELECT set_id, state, count FROM tallies"):
        counts.setdefault(row["set_id"], {})[row["state"]] = row["count"]
    sets = [
        dict(row) | {"states": {s: counts.get(row["id"], {}).get(s, 0) for s in STATES}}
        for row in atlas.all(SETS)
    ]
    studies = [dict(row) | {"done": bool(row["done"])} for row in atlas.all(STUDIES)]
    return {
        "schema": atlas.value("PRAGMA user_version"),
        "newest": SCHEMA,
        "models": [dict(r) for r in atlas.all("SELECT ref, name, site, revision FROM models")],
        "sets": sets,
        "units": sum(sum(one["states"].values()) for one in sets),
        "corrections": atlas.value("SELECT count(*) FROM corrections"),
        "pictures": atlas.value("SELECT count(*) FROM pictures"),
        "studies": studies,
        "bytes": _sizes(atlas),
    }


def _sizes(atlas: Atlas) -> dict[str, int]:
    files = [path.stat().st_size for path in (atlas.folder / TENSORS).rglob("*.safetensors")]
    return {"database": atlas.file.stat().st_size, "tensors": sum(files), "files": len(files)}
