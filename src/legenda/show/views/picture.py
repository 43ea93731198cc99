"""One picture: which units are on where, and what each sentence about it leans on."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from legenda.atlas.store import Atlas, loaded
from legenda.errors import LegendaError, Missing
from legenda.show.heat import heat, place, ramp
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import Plain, judged, ranged, sets_of, units_of
from legenda.show.views.reading import BEHIND, reading

SENTENCES, TOPS = 24, 24
"""So many sentences, and so many units that have it as a top picture, are shown."""
PICTURE = """SELECT id, source, caption, width, height,
    (SELECT max(id) FROM pictures q WHERE q.id < p.id) AS before,
    (SELECT min(id) FROM pictures q WHERE q.id > p.id) AS after
  FROM pictures p WHERE id = ?"""
READINGS = """SELECT r.set_id, r.evidence, e.facts FROM readings r JOIN evidence e
    ON e.id = r.evidence WHERE r.picture = ? ORDER BY r.set_id"""
EXPLAINED = """SELECT x.id, x.target, x.by, x.facts, x.evidence, e.kind, e.facts AS held
  FROM explanations x LEFT JOIN evidence e ON e.id = x.evidence
  WHERE x.picture = ? AND x.unit IS NULL ORDER BY x.id LIMIT ?"""
TOP = """SELECT unit, place, strength FROM exemplars WHERE picture = ?
  ORDER BY place, strength DESC LIMIT ?"""


def picture(atlas: Atlas, of: int) -> dict[str, Any]:
    """Everything that is known of a picture; evidence that is damaged is said, not shown."""
    row = atlas.one(PICTURE, of)
    if row is None:
        raise Missing(
            f"this atlas has no picture {of}. `pictures` lists the "
            f"{atlas.value('SELECT count(*) FROM pictures')} that it has."
        )
    size = (row["width"], row["height"])
    groups, damaged = sets_of(atlas), []
    sets = _sound(
        damaged, atlas.all(READINGS, of), lambda r: reading(atlas, r, groups[r["set_id"]], size)
    )
    sentences = _sound(
        damaged, atlas.all(EXPLAINED, of, SENTENCES), lambda r: _sentence(atlas, r, size)
    )
    many = atlas.value("SELECT count(*) FROM explanations WHERE picture = ? AND unit IS NULL", of)
    name = shown(row["caption"] or row["source"], 120)
    return {
        "title": name, "id": row["id"], "source": shown(row["source"], 200), "alt": name,
        "width": size[0], "height": size[1], "ratio": f"{size[0] / size[1]:.5g}",
        "before": row["before"], "after": row["after"], "sets": sets, "sentences": sentences,
        "more": max(0, many - SENTENCES), "damaged": damaged, "tops": _tops(atlas, of),
    }  # fmt: skip


def _sound(
    damaged: list[str], rows: Iterable[Any], make: Callable[[Any], Plain]
) -> list[Plain]:  # fmt: skip
    """What can be made of the rows; the reason is kept where a tensor is lost."""
    found = []
    for row in rows:
        try:
            found.append(make(row))
        except LegendaError as problem:
            damaged.append(shown(str(problem), 300))
    return found


def _tops(atlas: Atlas, of: int) -> list[Plain]:
    rows = atlas.all(TOP, of, TOPS)
    known = units_of(atlas, [row["unit"] for row in rows])
    return [
        {**known[r["unit"]], "place": r["place"] + 1, "strength": short(r["strength"])}
        for r in rows
    ]  # fmt: skip


def _sentence(atlas: Atlas, row: Any, size: tuple[int, int]) -> Plain:
    """One explanation: the sentence, its map, its words, and how far to trust it."""
    facts = loaded(row["facts"])
    flagged = bool(facts.get("flagged"))
    return {
        "id": row["id"],
        "sentence": shown(str(facts.get("sentence") or row["target"]), 400),
        "by": shown(row["by"], 60),
        "cosine": short(facts.get("cosine")),
        "flagged": flagged,
        "warning": shown(str(facts.get("warning") or ""), 300),
        "scores": _scores(atlas, row["id"]),
        "behind": _behind(atlas, facts.get("behind") or []),
        **_map(atlas, row, size, flagged),
    }


def _map(atlas: Atlas, row: Any, size: tuple[int, int], flagged: bool) -> Plain:
    """The map of an attribution and its words; empty where it has none."""
    none: Plain = {"map": None, "place": "", "alt": "", "unit": "", "peak": "", "words": []}
    if row["kind"] != "attribution":
        return none
    held, arrays = loaded(row["held"]), atlas.arrays(row["evidence"])
    unit = shown(str(held.get("unit") or ""), 30)
    words = _words(held.get("words") or [], _of_words(held, arrays), flagged, unit)
    if "map" not in arrays or arrays["map"].ndim != 2:
        return {**none, "unit": unit, "words": words}
    values = arrays["map"].double().numpy()
    best = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    peak = short(float(values[best]))
    where = f"row {best[0] + 1}, column {best[1] + 1}"
    return {
        "map": heat(values, muted=flagged),
        "ramp": ramp(values, flagged),
        "high": f"{short(float(np.abs(values).max()))} {unit}",
        "place": place(held.get("frame") or (0, 0, *size), *size),
        "alt": f"Map over {values.shape[0]} × {values.shape[1]} patches: strongest in {where}, "
        f"with {peak} {unit}.",
        "unit": unit,
        "peak": f"strongest {peak} {unit} in {where}",
        "words": words,
    }


def _of_words(held: Plain, arrays: Plain) -> Plain:
    """The tensors of an attribution, `word_maps` by the number of the word."""
    maps = arrays.get("word_maps")
    if maps is None:
        return arrays
    numbers = held.get("mapped") or range(len(maps))
    return {**arrays, "word_maps": dict(zip(numbers, maps, strict=False))}


def _words(said: list[str], arrays: Plain, flagged: bool, unit: str) -> list[Plain]:
    """Words with what each contributes, and each with a map where there is one."""
    scores = arrays["words"].double().tolist() if "words" in arrays else [0.0] * len(said)
    maps = arrays.get("word_maps") or {}
    most = max(map(abs, scores), default=0.0) or 1.0
    peaks = {i: float(m.abs().max()) for i, m in maps.items()}  # each on a scale of its own
    return [
        {
            "text": shown(word, 40),
            "score": short(score) if "words" in arrays else "",
            "share": f"{abs(score) / most:.3f}",
            "against": score < 0,
            "say": f"{shown(word, 40)}: {short(score)} {unit}",
            "map": None if i not in maps else heat(maps[i].double().numpy(), peaks[i], flagged),
            "ramp": None if i not in maps else ramp(maps[i].double().numpy(), flagged),
            "high": f"{short(peaks[i])} {unit}" if i in maps else None,
        }
        for i, (word, score) in enumerate(zip(said, scores, strict=False))
    ]


def _behind(atlas: Atlas, rows: list[Plain]) -> list[Plain]:
    """Units by the nats of this very map, where a study weighed them: with what chance gives."""
    known = units_of(atlas, [r["unit"] for r in rows[:BEHIND] if isinstance(r.get("unit"), int)])
    return [
        {
            "id": r["unit"] if r.get("unit") in known else None,
            "name": shown(str(r.get("name") or f"unit {r.get('unit')}"), 60),
            "nats": short(r.get("nats")),
            "chance": short(r.get("chance")),
            "above": ranged(r.get("excess"), r.get("low"), r.get("high")),
            "apart": (r.get("low") or 0.0) > 0,
        }
        for r in rows[:BEHIND]
    ]


def _scores(atlas: Atlas, explanation: int) -> list[Plain]:
    rows = atlas.all("SELECT * FROM scores WHERE explanation = ? ORDER BY name", explanation)
    return [
        {
            "name": shown(r["name"], 40).replace("_", " "),
            "value": ranged(r["value"], r["low"], r["high"]),
            "control": ranged(r["control"], r["control_low"], r["control_high"]),
            "n": f"{r['n']:,}",
            "better": "higher" if r["higher_is_better"] else "lower",
            "verdict": judged(r["value"], (r["low"], r["high"]), r["control"],
                              (r["control_low"], r["control_high"]), bool(r["higher_is_better"])),
        }
        for r in rows
    ]  # fmt: skip
