"""Row numbers inside of results, and the names that stand for them everywhere.

Columns are followed by joins. The content of a result is JSON, and may point at rows too: by the
keys `unit`, `picture` and `evidence`, where their value is a whole number. A unit's name is that of
its model, its dictionary and its number; a picture's is its digest, that of evidence its key.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from legenda.atlas.keys import canonical
from legenda.atlas.store import Atlas

POINTERS = ("unit", "picture", "evidence")
Renamed = Callable[[str, int], Any]
"""(what it points at, the row) → what is to stand there."""
PLACES = """places AS (
  SELECT u.id, m.ref, m.site, m.digest AS weights, s.dictionary, s.digest AS atoms, u.number
  FROM units u JOIN sets s ON s.id = u.set_id JOIN models m ON m.id = s.model)"""
"""Every unit with its name, for a query that begins with WITH."""
USED = """used AS (
  SELECT evidence AS id FROM explanations WHERE evidence IS NOT NULL
  UNION SELECT evidence FROM exemplars WHERE evidence IS NOT NULL
  UNION SELECT evidence FROM readings)"""
"""Evidence that some column points at."""


def repointed(text: str, renamed: Renamed) -> str:
    """The content of a result with its pointers renamed."""
    return canonical(_walked(json.loads(text), renamed))


def pointed(atlas: Atlas, what: str) -> set[int]:
    """The rows that results point at."""
    return {
        row
        for (text,) in atlas.all("SELECT content FROM results")
        for kind, row in pointers(json.loads(text))
        if kind == what
    }


def pointers(content: Any) -> Iterator[tuple[str, int]]:
    """Every pointer in the content of a result."""
    found: list[tuple[str, int]] = []
    _walked(content, lambda kind, row: found.append((kind, row)))
    yield from found


def named(atlas: Atlas) -> Renamed:
    """Row numbers of an atlas → names that hold in every atlas; what points nowhere stays."""
    queries = {
        "unit": f"WITH {PLACES} SELECT ref, site, weights, dictionary, atoms, number FROM places "
        "WHERE id = ?",
        "picture": "SELECT digest FROM pictures WHERE id = ?",
        "evidence": "SELECT key FROM evidence WHERE id = ?",
        "study": "SELECT key FROM studies WHERE id = ?",
    }

    def name(kind: str, row: int) -> Any:
        found = atlas.one(queries[kind], row)
        return row if found is None else list(found)

    return name


def _walked(content: Any, renamed: Renamed) -> Any:
    if isinstance(content, list):
        return [_walked(one, renamed) for one in content]
    if not isinstance(content, dict):
        return content
    return {
        key: renamed(key, value)
        if key in POINTERS and type(value) is int
        else _walked(value, renamed)
        for key, value in content.items()
    }
