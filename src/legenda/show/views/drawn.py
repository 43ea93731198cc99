"""What is drawn of the evidence of a unit: a sheet with its steps, a map on a picture, pictures."""

from typing import Any

from legenda.atlas.store import Atlas, loaded
from legenda.errors import LegendaError
from legenda.show.site import shown

STEPS, PICTURES = 12, 8
"""The most steps of a sheet that are said, and the most pictures."""


def drawn(atlas: Atlas, row: Any) -> list[dict[str, Any]]:
    """The pictures that evidence can be drawn as; `wide` is how wide one is, in its own pixels."""
    held = loaded(row["told"])
    caption = shown(str(held.get("caption") or row["target"]), 160)
    one: dict[str, Any] = {
        "evidence": row["evidence"], "caption": caption, "under": None, "box": "", "steps": [],
        "wide": 0,
    }  # fmt: skip
    if row["kind"] == "sheet":
        return [{**one, "what": "sheet", "steps": steps(atlas, row["evidence"])}]
    if row["kind"] == "attribution" and row["picture"]:
        place = box(held.get("frame"), row["width"], row["height"])
        return [{**one, "what": "map", "under": row["picture"], "box": place}]
    if row["kind"] == "pictures":
        said = [shown(str(c), 120) for c in held.get("captions", [])] or [caption]
        one["wide"] = width(atlas, row["evidence"])
        return [
            {**one, "what": f"picture-{i}", "caption": text}
            for i, text in enumerate(said[:PICTURES])
        ]
    return []


def steps(atlas: Atlas, evidence: int) -> list[str]:
    """What stands above the columns of a sheet; of many columns each so manieth says its value."""
    try:
        values = atlas.arrays(evidence)["values"].double().tolist()
    except (LegendaError, KeyError):
        return []
    every = -(-len(values) // STEPS) or 1
    return [
        f"{value:.2g}".replace("-", "−") if i % every == 0 else "" for i, value in enumerate(values)
    ]


def width(atlas: Atlas, evidence: int) -> int:
    """How many pixels wide its pictures are; 0 where they are lost."""
    try:
        return int(atlas.arrays(evidence)["images"].shape[-1])
    except (LegendaError, KeyError):
        return 0


def once(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each drawing once, though several studies may show it."""
    return list({(one["evidence"], one["what"]): one for one in reversed(drawn)}.values())[::-1]


def box(frame: Any, width: int, height: int) -> str:
    """Where a map lies on its picture, as a style; the whole of it where that is empty."""
    if not frame or width < 1 or height < 1 or list(frame) == [0, 0, width, height]:
        return ""
    left, top, right, bottom = (float(v) for v in frame)
    return (
        f"left:{100 * left / width:.4g}%;top:{100 * top / height:.4g}%;"
        f"width:{100 * (right - left) / width:.4g}%;height:{100 * (bottom - top) / height:.4g}%"
    )
