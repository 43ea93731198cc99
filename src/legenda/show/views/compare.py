"""Two atlases side by side, or two studies or two sets of units inside one.

Units are matched by their set and number, and across different sets by name. Beside the share of
units that have the same name on both sides stands what chance gives: with the names of one side
dealt out anew, the same name w falls together with probability Σ p(w) q(w).
"""

from typing import Any

from legenda.atlas.store import Atlas
from legenda.show.views.named import Plain, sets_of
from legenda.show.views.sides import READ, Held, Side, matched, section

PAIRS, INSIDE = 6, 20_000
"""So many pairs of studies, and of sets, are compared inside one atlas; so many units of each."""
UNITS = """SELECT id, number, label, name, state, certainty, low, high FROM units
  WHERE set_id = ? ORDER BY number LIMIT ?"""
NAMED = """SELECT id, number, label, name, state, certainty, low, high FROM units
  WHERE set_id = ? AND state = 'named' ORDER BY certainty DESC, number LIMIT ?"""
STUDIES = """SELECT id, title FROM studies s WHERE EXISTS (SELECT 1 FROM explanations x
  WHERE x.study = s.id AND x.unit IS NOT NULL) ORDER BY id DESC LIMIT ?"""
SAID = """SELECT u.id, u.number, u.label, d.text AS name, d.abstained, d.certainty, d.low, d.high
  FROM explanations x JOIN units u ON u.id = x.unit
  JOIN descriptions d ON d.explanation = x.id AND d.place = 0
  WHERE x.study = ? ORDER BY x.id LIMIT ?"""


def compare(atlas: Atlas, other: Atlas | None = None) -> dict[str, Any]:
    """What is the same and what changed, from `atlas` to the `other`, or inside the one."""
    if other is not None:
        names = [one.folder.resolve().name.removesuffix(".atlas") for one in (atlas, other)]
        pairs = _between(atlas, other, *(names if len(set(names)) == 2 else ("first", "second")))
    else:
        pairs, names = [*_studies(atlas), *_sets(atlas)], []
    return {"title": "Compare", "names": names, "pairs": pairs, "two": other is not None}


def _between(atlas: Atlas, other: Atlas, first: str, second: str) -> list[Plain]:
    """Each set of one atlas beside the set of the other that has its model, site and name."""
    mine, theirs = sets_of(atlas), sets_of(other)
    found, left = [], dict(theirs)
    for key, one in mine.items():
        twin = next((k for k, s in left.items() if _same(s, one)), None)
        if twin is None:
            found.append(_alone(one, "in the first atlas only"))
            continue
        del left[twin]
        sides = _side(atlas, key, first, UNITS, READ), _side(other, twin, second, UNITS, READ)
        found.append(section(one["title"], one["kind"], *sides))
    return found + [_alone(one, "in the second atlas only") for one in left.values()]


def _same(one: Plain, other: Plain) -> bool:
    return all(one[k] == other[k] for k in ("ref", "site", "dictionary", "kind"))


def _alone(one: Plain, where: str) -> Plain:
    return {"title": one["title"], "kind": one["kind"], "alone": where, "size": f"{one['size']:,}"}


def _side(atlas: Atlas, key: int, name: str, query: str, most: int) -> Side:
    rows = atlas.all(query, key, most + 1)
    held = {
        row["number"]: Held(row["id"], row["label"], row["name"], row["state"],
                            row["certainty"], row["low"], row["high"])
        for row in rows[:most]
    }  # fmt: skip
    return Side(name, held, most if len(rows) > most else 0)


def _studies(atlas: Atlas) -> list[Plain]:
    """Studies that spoke of the same units, two by two."""
    rows = atlas.all(STUDIES, PAIRS)[::-1]
    sides = [(row["title"], _spoken(atlas, row["id"], row["title"])) for row in rows]
    found = []
    for i, (title, side) in enumerate(sides):
        for other, beside in sides[i + 1 :]:
            if side.held.keys() & beside.held.keys() and len(found) < PAIRS:
                found.append(section(f"{title} and {other}", "study", side, beside))
    return found


def _spoken(atlas: Atlas, study: int, title: str) -> Side:
    """The first description that a study gave of each unit."""
    held: dict[int, Held] = {}
    rows = atlas.all(SAID, study, INSIDE + 1)
    for row in rows[:INSIDE]:
        state = "abstained" if row["abstained"] or not row["name"] else "named"
        held[row["id"]] = Held(row["id"], row["label"], row["name"], state,
                               row["certainty"], row["low"], row["high"])  # fmt: skip
    return Side(title, held, INSIDE if len(rows) > INSIDE else 0)


def _sets(atlas: Atlas) -> list[Plain]:
    """Sets that share names, two by two."""
    groups = list(sets_of(atlas).items())[:PAIRS]
    sides = [(one, _side(atlas, key, one["title"], NAMED, INSIDE)) for key, one in groups]
    found = []
    for i, (one, side) in enumerate(sides):
        for two, beside in sides[i + 1 :]:
            shared = matched(atlas, side, beside)
            if shared["names"] and len(found) < PAIRS:
                title = f"{one['title']} and {two['title']}"
                found.append({"title": title, "kind": "by name", "by_name": shared})
    return found
