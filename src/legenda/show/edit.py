"""An edit as a plain dict, which `--json` prints, and as a page, which is made from that dict.

Pictures stand in the dict as PNGs, pixel by pixel as they are written to disk.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from legenda.show import edit_words as say
from legenda.show.page import rendered
from legenda.show.pair import _lines, _uri
from legenda.show.palette import SEQUENTIAL, colours, short
from legenda.show.view import Plain, finite
from legenda.tasks.bench import Edited, Optimised
from legenda.tasks.verdict import Change, Judged

SCHEMA = 1
PICTURES = ("original", "before", "after", "difference")


def plain(edited: Edited, source: str, command: str = "", **settings: Any) -> Plain:
    """Everything about an edit, ready for `json.dumps`; `settings` are said beside its own."""
    original, before, after = edited.bytes.numpy()
    made = dict(zip(PICTURES, (original, before, after, difference(before, after)), strict=True))
    rest = edited.after_tokens
    return finite(
        {
            "schema": SCHEMA,
            "kind": "edit",
            "source": source,
            "edit": edited.edit,
            "n": 1,
            "size": [original.shape[1], original.shape[0]],
            "grid": list(edited.grid),
            "positions": list(edited.positions),
            "tokens": {
                "before": edited.tokens[0].tolist(),
                "after": None if rest is None else rest[0].tolist(),
                "changed": None if rest is None else int((rest != edited.tokens).sum()),
            },
            "control": {"n": len(edited.controls), "by": edited.controlled},
            "judges": [judge(one) for one in edited.judged],
            "optimised": optimised(edited.optimised),
            "effects": {**vars(edited.effects), "largest": int(gap(before, after).max())},
            "pictures": {name: _uri(Image.fromarray(p), "png") for name, p in made.items()},
            "settings": {k: str(v) for k, v in {**edited.settings, **settings}.items()},
            "command": command,
        }
    )


def judge(one: Judged) -> Plain:
    """What a judge says, in numbers."""
    return {
        "judge": one.judge,
        "source": change(one.source),
        "target": change(one.target) if one.target else None,
        "largest": {
            **change(one.largest),
            "shift": abs(one.largest.after - one.largest.before),
            "shifts": spread(one.shifts),
        },
    }


def change(one: Change) -> Plain:
    """A probability before and after, and how it is after random edits."""
    return {
        "class": one.label,
        "before": one.before,
        "after": one.after,
        "control": spread(one.control),
        "above": one.higher,
    }


def spread(values: Sequence[float]) -> Plain:
    """Mean and range."""
    mean = sum(values) / len(values)
    return {"mean": mean, "low": min(values), "high": max(values), "n": len(values)}


def optimised(found: Optimised | None) -> Plain | None:
    """What a search raised."""
    if found is None:
        return None
    return {
        "concept": found.concept,
        "model": found.model,
        "logit": {"before": found.before, "after": found.after},
        "probability": {"before": found.shares[0], "after": found.shares[1]},
        "restarts": list(found.values),
        "chosen": found.chosen,
        "trace": [list(look) for look in found.trace],
    }


def gap(before: np.ndarray, after: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """By how many levels two pictures differ, in the channel where they do most."""
    return np.abs(after.astype(np.int16) - before.astype(np.int16)).max(2).astype(np.uint8)


def difference(before: np.ndarray, after: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Where two pictures differ, as a picture: dark where they do not, bright where most."""
    levels = gap(before, after).astype(np.float64)
    return colours(SEQUENTIAL)[np.rint(255 * levels / max(1, levels.max())).astype(np.uint8)]


def png(said: Plain, name: str) -> bytes:
    """One of the pictures, as a file."""
    return base64.b64decode(said["pictures"][name].partition(",")[2])


def picture(said: Plain, name: str) -> Image.Image:
    """One of the pictures."""
    return Image.open(io.BytesIO(png(said, name)))


def page(said: Plain) -> str:
    """A whole page about one edit."""
    title, lead = f"An edit: {said['edit']}", say.lead(said)
    return rendered("edit.html", style="edit.css", title=title, lead=lead, notes=[], **context(said))  # fmt: skip # noqa: E501


def context(said: Plain) -> Plain:
    """What `edit_article.html` needs."""
    width, height = said["size"]
    return {
        "ratio": f"{width / height:.5f}",
        "grid": said["grid"],
        "outline": outline(said["positions"], said["grid"]),
        "tiles": [
            {
                "picture": said["pictures"][name],
                "alt": say.describe(said, name),
                "caption": say.caption(said, name),
                "outlined": name != "original",
            }
            for name in PICTURES
        ],
        "effects": say.effects(said),
        "alone": say.alone(said),
        "rows": [row for one in said["judges"] for row in rows(one)],
        "verdicts": [say.verdict(said, one) for one in said["judges"]],
        "control": said["control"],
        "optimised": say.optimised(said),
        "trace": trace(said),
        "settings": said["settings"],
        "command": _lines(said["command"]) if said["command"] else "",
    }


def rows(one: Plain) -> list[dict[str, str]]:
    """The lines of the table that belong to one judge."""
    source, target, largest = one["source"], one["target"], one["largest"]
    said = [("seen before", source), ("aimed at", target), ("changed most", largest)]
    if target:
        said.pop()
        if target["class"] == source["class"]:
            said = [("aimed at, and seen before", target)]
    return [
        {
            "judge": one["judge"],
            "role": role,
            "class": found["class"],
            "before": say.probability(found["before"]),
            "after": say.probability(found["after"]),
            "mean": say.probability(found["control"]["mean"]),
            "range": say.between(found["control"]),
            "above": f"{found['above']} of {found['control']['n']}",
        }
        for role, found in said
        if found
    ]


def outline(positions: Sequence[int], grid: Sequence[int]) -> str:
    """The border of a region, as a path on the grid: every side that has nobody behind it."""
    rows, columns = grid
    inside, path = set(positions), []
    for position in sorted(inside):
        r, c = divmod(position, columns)
        for dr, dc, side in (
            (-1, 0, f"M{c} {r}h1"),
            (1, 0, f"M{c} {r + 1}h1"),
            (0, -1, f"M{c} {r}v1"),
            (0, 1, f"M{c + 1} {r}v1"),
        ):
            there = 0 <= r + dr < rows and 0 <= c + dc < columns
            if not there or position + dr * columns + dc not in inside:
                path.append(side)
    return "".join(path)


def trace(said: Plain) -> dict[str, Any] | None:
    """The course of a search as points in a box of 300 × 80, with the numbers at its edges."""
    found = said["optimised"]
    if found is None:
        return None
    looks = [(0, found["logit"]["before"]), *map(tuple, found["trace"])]
    last, values = looks[-1][0], [value for _, value in looks]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.5
    low, high = low - margin, high + margin
    points = [
        f"{300 * step / last:.1f},{80 * (high - value) / (high - low):.1f}" for step, value in looks
    ]
    return {
        "points": " ".join(points),
        "say": say.trace(said),
        "low": short(min(values)),
        "high": short(max(values)),
        "last": last,
    }
