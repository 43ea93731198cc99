"""The pictures of an atlas, sixty to a page."""

import json
from collections.abc import Sequence
from typing import Any

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.site import shown
from legenda.show.views.named import counted

PAGE = 60
PICTURES = """SELECT p.id, p.source, p.caption,
    (SELECT count(*) FROM exemplars e WHERE e.picture = p.id) AS units,
    (SELECT count(*) FROM explanations x WHERE x.picture = p.id) AS sentences
  FROM pictures p WHERE ?1 IS NULL OR p.id IN (SELECT value FROM json_each(?1))
  ORDER BY p.id LIMIT ?2 OFFSET ?3"""


def pictures(atlas: Atlas, page: int = 1, only: Sequence[int] | None = None) -> dict[str, Any]:
    """One page of pictures, counted from 1; of those in `only`, where not all can be turned to."""
    every = atlas.value("SELECT count(*) FROM pictures")
    total = every if only is None else len(only)
    pages = max(1, -(-total // PAGE))
    if not 1 <= page <= pages:
        raise BadInput(f"the pictures of this atlas have pages 1 to {pages}; it got {page}.")
    asked = None if only is None else json.dumps([*only])
    rows = atlas.all(PICTURES, asked, PAGE, PAGE * (page - 1))
    near = sorted({1, 2, page - 1, page, page + 1, pages - 1, pages} & set(range(1, pages + 1)))
    return {
        "title": "Pictures",
        "total": total,
        "left": every - total,
        "page": page,
        "pages": pages,
        "near": near,
        "first": PAGE * (page - 1) + 1,
        "last": min(total, PAGE * page),
        "pictures": [
            {
                "id": row["id"],
                "name": shown(row["caption"] or row["source"], 80),
                "alt": shown(row["caption"] or row["source"], 200),
                "say": ", ".join(_held(row["units"], row["sentences"])),
            }
            for row in rows
        ],
    }


def _held(units: int, sentences: int) -> list[str]:
    """What is known of a picture, in few words."""
    found = [f"top picture of {counted(units, 'unit')}"] if units else []
    return found + ([counted(sentences, "explanation")] if sentences else [])
