"""One pair as the template takes it: strings, shares and places, nothing left to compute."""

import base64
import io
import math
import shlex
from typing import Any, NamedTuple

from PIL import Image

from legenda.show import words as say
from legenda.show.overlay import Scale, drawn, layer, seen
from legenda.show.palette import colours, short, ticks
from legenda.show.view import Plain

FEW = 8
"""Up to so many pairs, pictures are embedded at full size."""


class Shown(NamedTuple):
    """A pair to be shown: its plain dict and its picture."""

    pair: Plain
    picture: Image.Image


def context(shown: Shown, number: int, scale: Scale | None, count: int) -> dict[str, Any]:
    """What the template says of one pair; `count` pairs share the page."""
    pair, picture = shown
    own = Scale.of(pair)
    scale = Scale(scale.low, scale.high, scale.unit, own.muted) if scale else own
    width, height = pair["size"]
    return {
        "id": f"pair-{number}",
        "width": width,
        "height": height,
        "ratio": f"{width / height:.5f}",
        "source": pair["source"],
        "sentence": pair["sentence"],
        "unit": pair["unit"],
        "picture": _jpeg(picture, longest(count)),
        "thumb": _jpeg(drawn(pair, small(picture, 200), scale=scale, legend=False), 200)
        if count > 1
        else "",
        "alt": say.describe(pair),
        "heat": _uri(layer(pair, scale), "png"),
        "heat_alt": say.describe_map(pair),
        "heat_box": _place(seen(pair), width, height),
        "unseen": [_place(box, width, height) for box in unseen(pair)],
        "peak": _peak(pair),
        **_grid(pair),
        "ramp": ",".join(f"#{bytes(c).hex()}" for c in colours(scale.anchors, 17)),
        "ticks": _ticks(scale),
        "words": _words(pair),
        "cosine": short(pair["figures"].get("cosine")),
        "towers": _towers(pair),
        "warning": say.warning(pair),
        "match": say.matched(pair),
        "scores": [_score(s) for s in pair["scores"]],
        "settings": pair["settings"],
        "command": _lines(pair["command"]),
    }


def unseen(pair: Plain) -> list[tuple[float, float, float, float]]:
    """The parts of the picture that the model did not see: at most four strips."""
    left, top, right, bottom = seen(pair)
    width, height = map(float, pair["size"])
    strips = [
        (0.0, 0.0, width, top),
        (0.0, bottom, width, height),
        (0.0, top, left, bottom),
        (right, top, width, bottom),
    ]
    return [s for s in strips if s[2] - s[0] >= 0.5 and s[3] - s[1] >= 0.5]


def _grid(pair: Plain) -> dict[str, Any]:
    left, top, right, bottom = pair["frame"]
    rows, columns = len(pair["map"]), len(pair["map"][0])
    w, h = (right - left) / columns, (bottom - top) / rows
    _, best_row, best_column = say.peak(pair)
    cells = [
        {
            "x": _n(left + c * w),
            "y": _n(top + r * h),
            "w": _n(w),
            "h": _n(h),
            "peak": (r, c) == (best_row, best_column),
            "say": f"row {r + 1}, column {c + 1}: {short(value)} {pair['unit']}",
        }
        for r, row in enumerate(pair["map"])
        for c, value in enumerate(row)
    ]
    return {"rows": rows, "columns": columns, "cells": cells}


def _peak(pair: Plain) -> str:
    total = sum(v or 0.0 for row in pair["map"] for v in row)
    return f"peak {short(say.peak(pair)[0])}, in all {short(total)} {pair['unit']}"


def _words(pair: Plain) -> list[dict[str, Any]]:
    scores = [w["score"] or 0.0 for w in pair["words"]]
    most, total = max(map(abs, scores), default=0.0) or 1.0, sum(map(abs, scores)) or 1.0
    places = max(0, 2 - math.floor(math.log10(most)))
    return [
        {
            "text": w["text"],
            "score": f"{s:.{places}f}".replace("-", "−"),
            "share": f"{abs(s) / most:.3f}",
            "against": s < 0,
            "part": f"{100 * s / total:.0f} %".replace("-", "−"),
            "say": f"{w['text']}: {short(w['score'])} {pair['unit']}",
        }
        for w, s in zip(pair["words"], scores, strict=True)
    ]


def _towers(pair: Plain) -> list[dict[str, str]]:
    figures, found = pair["figures"], []
    for tower, name in (("image", "picture"), ("text", "sentence")):
        if figures.get(f"{tower} bottlenecked") is None:
            continue
        kept = figures.get(f"{tower} kept")
        row = {k: short(figures.get(f"{tower} {k}")) for k in ("clean", "bottlenecked", "blocked")}
        share = "–" if kept is None else f"{short(100 * kept)} %"
        found.append({"name": name, **row, "kept": share})
    return found


def _score(score: Plain) -> dict[str, Any]:
    known = [score["value"], score["control"], *score["interval"]]
    known += score["control_interval"] or []
    known = [v for v in known if v is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    margin = 0.12 * (high - low) or 0.5
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return round(300 * (value - low) / (high - low), 1)

    def span(ends: list[float | None] | None) -> dict[str, float] | None:
        if not ends or ends[0] is None or ends[1] is None:
            return None
        start, end = at(ends[0]), at(ends[1])
        return {"x": start, "end": end, "w": max(1.0, round(end - start, 1))}

    better = "higher is better" if score["higher_is_better"] else "lower is better"
    meaning = say.MEANING.get(score["name"], score["unit"])
    return {
        "name": score["name"].replace("_", " "),
        "direction": f"{meaning}; {better}" if meaning else better,
        "say": say.judge(score),
        "x": at(score["value"]) if score["value"] is not None else 0,
        "control": span(score["control_interval"]),
        "spread": span(score["interval"]),
    }


def _ticks(scale: Scale) -> list[dict[str, str]]:
    marks = ticks(scale.low, scale.high)
    return [
        {
            "at": f"{100 * (mark - scale.low) / (scale.high - scale.low):.4g}",
            "say": short(mark) + (f" {scale.unit}" if mark == marks[-1] else ""),
        }
        for mark in marks
    ]


def _lines(command: str) -> str:
    """A command with one option to a line; a shell reads it as before."""
    words = shlex.split(command)
    lines: list[list[str]] = [[]]
    for word in words:
        lines = [*lines, []] if word.startswith("--") else lines
        lines[-1].append(word)
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _n(value: float | int) -> str:
    return f"{value:.6g}"


def _place(box: tuple[float, ...], width: int, height: int) -> str:
    left, top, right, bottom = box
    return (
        f"left:{_n(100 * left / width)}%;top:{_n(100 * top / height)}%;"
        f"width:{_n(100 * (right - left) / width)}%;height:{_n(100 * (bottom - top) / height)}%"
    )


def longest(count: int) -> int:
    """The longer side of each picture on a page of `count` pairs, in pixels."""
    return 1600 if count <= FEW else 720


def small(picture: Image.Image, longest: int) -> Image.Image:
    """The picture in RGB, its longer side at most `longest`."""
    made = picture.convert("RGB")
    made.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return made


def _jpeg(picture: Image.Image, longest: int) -> str:
    return _uri(small(picture, longest), "jpeg", quality=86, optimize=True)


def _uri(picture: Image.Image, kind: str, **options: Any) -> str:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
