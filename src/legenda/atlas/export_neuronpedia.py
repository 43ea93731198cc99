"""Units as features of Neuronpedia: their explanations, and where in pictures they are on.

Kept are models, dictionaries, units with their corrections, what explains them in words with its
scores, and exemplars with their maps; import brings all of this back. Not in the file, since a
feature has no place for it: sheets and other tensors behind explanations, explanations of pictures,
readings, relations, results and failures. Parquet keeps these.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from legenda.atlas.neuronpedia import FORMAT, VERSION
from legenda.atlas.store import Atlas, loaded
from legenda.corpus.durable import WRITING, room

SOURCES = """SELECT s.id, m.ref AS modelId, m.site AS layer, m.name, m.revision, m.digest, m.card,
  s.dictionary, s.kind, s.size, s.digest AS atoms, s.card AS dictionaryCard
  FROM sets s JOIN models m ON m.id = s.model ORDER BY s.id"""
STUDIES = """SELECT id, key, kind, title, settings, provenance, command FROM studies
  WHERE id IN (SELECT study FROM explanations WHERE unit IS NOT NULL) ORDER BY id"""
PICTURES = """SELECT id, digest, source, caption, width, height, media, data FROM pictures
  WHERE id IN (SELECT picture FROM exemplars) ORDER BY id"""
UNITS = """SELECT u.*, coalesce(c.state, u.state) AS found, c.name AS mine, c.by, c.at
  FROM units u LEFT JOIN corrections c ON c.unit = u.id ORDER BY u.set_id, u.number"""
FACTS = ("card", "dictionaryCard", "settings", "provenance", "facts")


def export_neuronpedia(atlas: Atlas, path: Path) -> Path:
    """Write the units of an atlas as one file of JSON, whole or not at all."""
    fresh = path.with_name(path.name + WRITING)
    try:
        with room(path), fresh.open("w", encoding="ascii") as file:
            file.writelines(_pieces(atlas))
            file.flush()
            os.fsync(file.fileno())
        with room(path):
            fresh.replace(path)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return path


def _pieces(atlas: Atlas) -> Iterator[str]:
    """The file, a feature at a time."""
    ids: dict[str, dict[int, int]] = {}
    yield f'{{"format": "{FORMAT}", "version": {VERSION}'
    for name, query in (("sources", SOURCES), ("studies", STUDIES), ("pictures", PICTURES)):
        ids[name] = {row["id"]: i for i, row in enumerate(atlas.each(query))}
        yield from _list(name, (_plain(row) for row in atlas.each(query)))
    places = {row["id"]: (row["modelId"], row["layer"]) for row in atlas.each(SOURCES)}
    features = (
        dict(zip(("modelId", "layer"), places[unit["set_id"]], strict=True))
        | _feature(atlas, unit, ids)
        for unit in atlas.each(UNITS)
    )
    yield from _list("features", features)
    yield "}\n"


def _list(name: str, things: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield f',\n "{name}": ['
    for i, one in enumerate(things):
        yield (",\n  " if i else "\n  ") + json.dumps(one, allow_nan=False)
    yield "]"


def _plain(row: Any) -> dict[str, Any]:
    """A row without its number; JSON as values, bytes as base64."""
    found = {name: row[name] for name in row.keys() if name != "id"}
    for name in FACTS:
        if name in found:
            found[name] = loaded(found[name])
    if "data" in found:
        found["data"] = base64.b64encode(found["data"]).decode()
    return found


def _feature(atlas: Atlas, unit: Any, ids: Mapping[str, dict[int, int]]) -> dict[str, Any]:
    same = ("label", "said", "why", "certainty", "low", "high", "score")
    mine = {"name": unit["mine"], "by": unit["by"], "at": unit["at"]}
    activations, facts = _activations(atlas, unit["id"], ids["pictures"])
    return {
        "index": str(unit["number"]),
        "source": ids["sources"][unit["set_id"]],
        "state": unit["found"],
        **{name: unit[name] for name in same},
        "facts": loaded(unit["facts"]),
        "correction": mine if unit["mine"] is not None else None,
        "explanations": list(_explanations(atlas, unit["id"], ids["studies"])),
        "activations": activations,
        "mapFacts": facts,
    }


def _explanations(atlas: Atlas, unit: int, studies: dict[int, int]) -> Iterator[dict[str, Any]]:
    for row in atlas.all("SELECT * FROM explanations WHERE unit = ? ORDER BY key", unit):
        parts = "SELECT * FROM {} WHERE explanation = ? ORDER BY {}"
        found = atlas.all(parts.format("descriptions", "place"), row["id"])
        scores = atlas.all(parts.format("scores", "name"), row["id"])
        said = [_without(one, "explanation", "place") for one in found]
        yield {
            "description": said[0]["text"] if said else "",
            "explanationModelName": said[0]["by"] if said else "",
            "typeName": row["by"],
            "key": row["key"],
            "study": studies[row["study"]],
            "target": row["target"],
            "candidates": said,
            "scores": [_score(one) for one in scores],
            "facts": loaded(row["facts"]),
        }


def _score(row: Any) -> dict[str, Any]:
    numbers = {
        "value": row["value"], "low": row["low"], "high": row["high"], "control": row["control"],
        "controlLow": row["control_low"], "controlHigh": row["control_high"],
    }  # fmt: skip
    finite = {n: v if v is not None and isfinite(v) else None for n, v in numbers.items()}
    more = {"higherIsBetter": bool(row["higher_is_better"])}
    return {"name": row["name"], "n": row["n"], "unit": row["unit"]} | finite | more


def _activations(
    atlas: Atlas, unit: int, pictures: dict[int, int]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Exemplars of a unit with their maps, and what the maps are."""
    rows = atlas.all("SELECT * FROM exemplars WHERE unit = ? ORDER BY place", unit)
    held = {row["evidence"] for row in rows}
    maps, facts = None, None
    if len(held) == 1 and (evidence := held.pop()) is not None:
        maps = atlas.arrays(evidence).get("maps")
        if maps is not None and maps.ndim == 3 and len(maps) == len(rows) and maps.isfinite().all():
            facts = loaded(atlas.value("SELECT facts FROM evidence WHERE id = ?", evidence))
    found = [
        {
            "picture": pictures[row["picture"]],
            "maxValue": row["strength"],
            "values": None if facts is None or maps is None else maps[i].tolist(),
        }
        for i, row in enumerate(rows)
    ]
    return found, facts


def _without(row: Any, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in row.keys() if name not in names}
