"""An atlas as one page: it opens from disk, needs no network, and holds everything it shows.

Every view is made here, and lies in the page as text that a browser neither runs nor draws until it
is asked for; pictures lie there once each, however many views show them. What they weigh is kept
within a budget: the largest size is taken at which all of them fit.

The head allows no connection, and no script but ours, by its hash.
"""

import base64
import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.links import ReportLinks
from legenda.show.report_pack import packed, phrases
from legenda.show.report_store import pictured
from legenda.show.site import (
    FIRST,
    SCRIPTS,
    STYLES,
    body,
    called,
    navigation,
    page,
    text_of,
    viewer,
)
from legenda.show.views.units import FIELDS, told

MOST, CHUNK = 1000, 500
BUDGET = 19_000_000
"""Bytes of a page, at most, as far as smaller pictures can help."""
PICTURES, SHARE = 200, 8
"""Pages of single pictures, at most so many, and an eighth of the budget: those explained first."""
REPEATED = ("unit.html", "parts.html", "picture.html", "pictures.html", "card.html", "tree.html")
"""Templates that are used many times, or have parts that are."""


def report(
    atlas: Atlas, *, most: int = MOST, against: Atlas | None = None, budget: int = BUDGET
) -> str:
    """The whole page, with up to `most` units: named ones first, surest first.

    `against` is another atlas to compare with; `budget` is what the page may weigh, in bytes.
    """
    if most < 1:
        raise BadInput(f"a report shows at least one unit; it got most={most}. Leave it out.")
    ids = chosen(atlas, most)
    views = {**whole(atlas, against), **single(atlas, ids), **of_pictures(atlas, budget // SHARE)}
    index = indexed(atlas, ids)
    known = phrases(REPEATED)
    text = sum(len(packed(v, known).encode()) for v in views.values()) + len(index.encode())
    room = max(budget - text - 200_000, budget // 4)
    own = {name for name in views if name.startswith("picture/")}
    pictures = pictured(atlas, asked(views, index), room, own)
    first, script = text_of(FIRST), text_of(SCRIPTS)
    return page(
        views.pop("overview"),
        title=called(atlas), links=ReportLinks(), mode="report", atlas=atlas,
        compare="compare" in views,
        notes=left_out(atlas, len(ids)),
        style=Markup(text_of(STYLES)), script=Markup(script), first_script=Markup(first),
        hashes=Markup(" ".join(f"'sha256-{hashed(s)}'" for s in (first, script))),
        index=Markup(index),
        phrases=Markup(plain_json(known)),
        stored=[(name, packed(view, known)) for name, view in views.items()],
        pictures=pictures,
    )  # fmt: skip


def chosen(atlas: Atlas, most: int) -> list[int]:
    """The units that are in the report: named first by certainty, then those that abstained …"""
    found: list[int] = []
    for state in ("named", "abstained", "inactive", "dead", "unread"):
        rows = atlas.all(
            "SELECT id FROM units WHERE state = ? ORDER BY certainty DESC, id LIMIT ?",
            state, most - len(found),
        )  # fmt: skip
        found += [row[0] for row in rows]
    return found


def whole(atlas: Atlas, against: Atlas | None) -> dict[str, Markup]:
    """Views that stand once in a report."""
    links, found = ReportLinks(), {}
    for place in navigation(atlas):
        name = place["view"]
        said = viewer(name)(atlas)
        if name == "units":
            said = {**said, "units": []}  # filled from the index
        found[name] = body(name, said, links)
    compared = viewer("compare")(atlas, against)
    if against or compared["pairs"]:
        found["compare"] = body("compare", compared, links)
    return found


def single(atlas: Atlas, ids: Sequence[int]) -> dict[str, Markup]:
    """A view of each unit."""
    links = ReportLinks()
    beside = neighbours(in_order(atlas, ids))
    return {f"unit/{i}": body("unit", viewer("unit")(atlas, i, beside), links) for i in ids}


def neighbours(order: Sequence[int]) -> dict[int, tuple[int | None, int | None]]:
    """What comes before and after each, of what is in the file."""
    ends = [None, *order, None]
    return {one: (ends[i], ends[i + 2]) for i, one in enumerate(order)}


def of_pictures(atlas: Atlas, room: int) -> dict[str, Markup]:
    """Pages of single pictures as far as there is room for them, and the lists of these."""
    links, found = ReportLinks(), {}
    kept = fitting(atlas, room)
    beside = neighbours(sorted(kept))
    for one, said in kept.items():
        before, after = beside[one]
        found[f"picture/{one}"] = body("picture", {**said, "before": before, "after": after}, links)
    only = sorted(kept)
    pages = viewer("pictures")(atlas, 1, only)["pages"] if kept else 0
    for number in range(1, pages + 1):
        said = viewer("pictures")(atlas, number, only)
        found[f"pictures/{number}"] = body("pictures", said, links)
    return found | ({"pictures": found["pictures/1"]} if pages else {})


def fitting(atlas: Atlas, room: int) -> dict[int, dict[str, Any]]:
    """The pictures that have a page: those explained first, as many as there is room for."""
    rows = atlas.all(
        "SELECT p.id FROM pictures p ORDER BY NOT EXISTS (SELECT 1 FROM explanations x WHERE "
        "x.picture = p.id), NOT EXISTS (SELECT 1 FROM readings r WHERE r.picture = p.id), p.id "
        "LIMIT ?", PICTURES,
    )  # fmt: skip
    kept = {}
    for row in rows:
        said = viewer("picture")(atlas, row[0])
        room -= len(body("picture", said, ReportLinks()).encode())
        if room < 0:
            break
        kept[row[0]] = said
    return kept


def in_order(atlas: Atlas, ids: Sequence[int]) -> list[int]:
    """Units as they are numbered in their sets, for going from one to the next."""
    places = []
    for at in range(0, len(ids), CHUNK):
        some = ids[at : at + CHUNK]
        marks = ", ".join("?" * len(some))
        rows = atlas.all(f"SELECT set_id, number, id FROM units WHERE id IN ({marks})", *some)
        places += [tuple(row) for row in rows]
    return [one for _, _, one in sorted(places)]


def indexed(atlas: Atlas, ids: Sequence[int]) -> str:
    """What is searched in the page: a table of the units that it holds."""
    rows = [one for at in range(0, len(ids), CHUNK) for one in told(atlas, ids[at : at + CHUNK])]
    table: dict[str, Any] = {
        "fields": FIELDS, "rows": [[_calm(one[field]) for field in FIELDS] for one in rows],
    }  # fmt: skip
    return plain_json(table)


def plain_json(value: Any) -> str:
    """JSON as it may lie in a script element."""
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return said.replace("<", "\\u003c")


def asked(views: dict[str, Markup], index: str) -> list[str]:
    """The keys of the pictures that some view shows, in the order they are met."""
    found: dict[str, None] = {}
    for view in views.values():
        found |= dict.fromkeys(re.findall(r'data-picture="([^"]+)"', view))
    for row in json.loads(index)["rows"]:
        if key := row[FIELDS.index("picture")]:
            found[key] = None
    return list(found)


def left_out(atlas: Atlas, held: int) -> list[str]:
    """What the reader is told of units that are not here."""
    total = atlas.value("SELECT total(count) FROM tallies")
    if total <= held:
        return []
    return [
        f"This file holds {held:,} of {total:,.0f} units, named ones first, surest first; the "
        f"other {total - held:,.0f} are in the atlas, which the studio shows: legenda studio."
    ]


def hashed(script: str) -> str:
    """By what the policy in the head knows a script."""
    return base64.b64encode(sha256(script.encode()).digest()).decode()


def _calm(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
