"""Two sides of a comparison: units that are matched, and what became of each.

    same = 1/n Σ [name_i = name'_i],   by chance Σ_w p(w) q(w)             (1)

over the n units that both sides name.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from legenda.atlas.schema import STATES
from legenda.atlas.store import Atlas
from legenda.core.interval import wilson
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import Plain, in_words, ranged

READ, LISTED, MOVED = 100_000, 200, 0.1
"""Units read of an atlas, changes listed, and how far a certainty moves to be called changed."""
KEPT = """SELECT unit, picture FROM exemplars WHERE unit IN (SELECT value FROM json_each(?))"""


class Held(NamedTuple):
    """What a side knows of a unit."""

    id: int
    label: str
    name: str
    state: str
    certainty: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Side:
    """The units of a side by what they are matched by.

    `cut` is how many were read, where there are more; else 0.
    """

    name: str
    held: Mapping[int, Held]
    cut: int = 0


def section(title: str, kind: str, one: Side, two: Side) -> Plain:
    """Everything about two sides that are matched unit by unit."""
    keys = sorted(one.held.keys() & two.held.keys())
    pairs = [(key, one.held[key], two.held[key]) for key in keys]
    changes = [c for key, a, b in pairs if (c := change(key, a, b))]
    changes.sort(key=lambda c: (c["rank"], -c["moved"], c["key"]))
    return {
        "title": shown(title, 160), "kind": kind,
        "sides": [shown(one.name, 60), shown(two.name, 60)],
        "matched": f"{len(keys):,}",
        "only": [f"{len(one.held.keys() - two.held.keys()):,}",
                 f"{len(two.held.keys() - one.held.keys()):,}"],
        "cut": _cut(one, two),
        "states": states(pairs), **agreement(pairs), **moved(pairs),
        "changes": changes[:LISTED], "changed": len(changes),
        "counts": [(what, sum(what in c["what"] for c in changes))
                   for what in ("name", "state", "certainty")],
    }  # fmt: skip


def _cut(one: Side, two: Side) -> str:
    """How many units were read of a side that has more; nothing where all were."""
    most = max(one.cut, two.cut)
    return f"{most:,}" if most else ""


def plain_name(name: str) -> str:
    """A name as it is compared: without case and outer spaces."""
    return " ".join(name.casefold().split())


def agreement(pairs: Sequence[tuple[int, Held, Held]]) -> Plain:
    """The share of units with the same name, of those that both sides name: equation (1)."""
    both = [(plain_name(a.name), plain_name(b.name)) for _, a, b in pairs if a.name and b.name]
    n, same = len(both), sum(a == b for a, b in both)
    if not n:
        return {"same": "–", "same_n": "0", "chance": "–"}
    ours, theirs = Counter(a for a, _ in both), Counter(b for _, b in both)
    chance = sum(count * theirs[name] for name, count in ours.items()) / n**2  # (1)
    return {"same": ranged(same / n, *wilson(same, n)), "same_n": f"{n:,}", "chance": short(chance)}


def moved(pairs: Sequence[tuple[int, Held, Held]]) -> Plain:
    """How far certainty moved on average, with a normal 95 % interval."""
    gaps = [
        b.certainty - a.certainty
        for _, a, b in pairs if a.certainty is not None and b.certainty is not None
    ]  # fmt: skip
    n = len(gaps)
    if n < 2:
        return {"moved": short(gaps[0]) if gaps else "–", "moved_n": f"{n}"}
    mean = sum(gaps) / n
    half = 1.96 * math.sqrt(sum((g - mean) ** 2 for g in gaps) / (n - 1) / n)
    return {"moved": ranged(mean, mean - half, mean + half), "moved_n": f"{n:,}"}


def states(pairs: Sequence[tuple[int, Held, Held]]) -> list[Plain]:
    """How many units went from each state of one side to each of the other."""
    counts = Counter((a.state, b.state) for _, a, b in pairs)
    seen = [s for s in STATES if any(s in key for key in counts)]
    return [
        {"state": s, "counts": [{"state": t, "count": counts[s, t], "same": s == t} for t in seen]}
        for s in seen
    ]


def change(key: int, a: Held, b: Held) -> Plain | None:
    """What became of a unit; None where nothing did."""
    what = ["name"] if plain_name(a.name) != plain_name(b.name) else []
    what += ["state"] if a.state != b.state else []
    gap = abs((b.certainty or 0.0) - (a.certainty or 0.0))
    what += ["certainty"] if gap >= MOVED - 1e-9 else []
    if not what:
        return None
    return {
        "key": key, "id": a.id, "label": shown(a.label, 40), "what": what, "moved": gap,
        "rank": ("name" not in what, "state" not in what),
        "sides": [
            {"name": shown(s.name, 60), "state": s.state,
             "certainty": ranged(s.certainty, s.low, s.high)}
            for s in (a, b)
        ],
    }  # fmt: skip


def matched(atlas: Atlas, one: Side, two: Side) -> Plain:
    """Names that two sets share, and whether units of one name share pictures too."""
    ours, theirs = _by_name(one), _by_name(two)
    names = sorted(ours.keys() & theirs.keys())
    share, chance, n = _overlap(atlas, [(ours[k].id, theirs[k].id) for k in names[:READ]])
    return {
        "sides": [shown(one.name, 60), shown(two.name, 60)],
        "sizes": [f"{len(ours):,}", f"{len(theirs):,}"],
        "shared": f"{len(names):,}", "cut": _cut(one, two),
        "overlap": share, "chance": chance, "overlap_n": n,
        "names": [
            {"name": shown(ours[k].name, 60), "ids": [ours[k].id, theirs[k].id],
             "certainty": [ranged(s.certainty, s.low, s.high) for s in (ours[k], theirs[k])]}
            for k in names[:LISTED]
        ],
    }  # fmt: skip


def _by_name(side: Side) -> dict[str, Held]:
    """The surest unit of each name."""
    found: dict[str, Held] = {}
    for held in side.held.values():
        key = plain_name(held.name)
        if key and (key not in found or (held.certainty or 0) > (found[key].certainty or 0)):
            found[key] = held
    return found


def _overlap(atlas: Atlas, pairs: Sequence[tuple[int, int]]) -> tuple[str, str, str]:
    """Share of top pictures in common, of units of one name and of units of different names."""
    held: dict[int, set[int]] = {}
    for row in atlas.all(KEPT, json.dumps([unit for pair in pairs for unit in pair])):
        held.setdefault(row["unit"], set()).add(row["picture"])
    known = [(held[a], held[b]) for a, b in pairs if a in held and b in held]
    if not known:
        return "–", "–", "0"
    same = [len(a & b) / len(a | b) for a, b in known]
    others = zip(known, known[1:] + known[:1], strict=True)
    turned = [len(a & b) / len(a | b) for (a, _), (_, b) in others]
    chance = short(sum(turned) / len(turned)) if len(known) > 1 else "–"
    return _mean(same), chance, f"{len(known):,}"


def _mean(values: Sequence[float]) -> str:
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return short(mean)
    half = 1.96 * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    if not half:  # all are alike: an interval of no width would say more than is known
        return short(mean)
    return in_words(mean, max(0.0, mean - half), min(1.0, mean + half))
