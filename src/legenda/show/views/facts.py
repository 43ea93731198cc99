"""Plain values in words: an interval stands with its value, and numbers are as long as they need.

`images`, `images_low`, `images_high` and `images_n` are one fact: 0.65 (95 %: 0.64 to 0.67),
n = 4,000.
"""

import json
from collections.abc import Mapping
from typing import Any

from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import in_words

PARTS = ("low", "high", "n", "control", "control_low", "control_high")
"""What may be known beside a value: of `images` they are `images_low` and so on."""
LABELS = {
    "score": "measured by", "certainty": "certainty means", "fires": "places where it is on",
    "images": "share of pictures with it", "cells": "cells that hold it",
    "fvu": "variance left (FVU)", "l0": "units on in a place (L0)", "dead": "share of dead units",
    "right": "share that is right",
}  # fmt: skip
"""What a key is called, of a unit or of a set of units, where it is no plain word."""


def facts(
    held: Mapping[str, Any], most: int = 200, exact: bool = False,
    labels: Mapping[str, str] = LABELS,
) -> list[tuple[str, str]]:  # fmt: skip
    """Facts as pairs of words; settings are `exact`: under their own names, in all their digits."""
    if exact:
        return [(shown(str(k), 60), shown(told(v, 10), most)) for k, v in held.items()]
    gone = {part for key, value in held.items() if numeric(value) for part in parts(key)}
    return [
        (called(str(key), labels), shown(with_parts(held, key, value), most))
        for key, value in held.items() if key not in gone
    ]  # fmt: skip


def parts(key: str) -> list[str]:
    """The keys of what may be known beside a value; those of `value` itself have no prefix."""
    prefix = "" if key == "value" else f"{key.replace(' ', '_')}_"
    return [f"{prefix}{part}" for part in PARTS]


def called(key: str, labels: Mapping[str, str] = LABELS) -> str:
    """A key in words."""
    return labels.get(key) or shown(key.replace("_", " "), 60)


def with_parts(held: Mapping[str, Any], key: str, value: Any) -> str:
    """A value with what is known beside it."""
    if not numeric(value):
        return told(value)
    low, high, n, control, least, most = (number(held.get(part)) for part in parts(key))
    said = told(value) if low is None or high is None else in_words(value, low, high)
    said += f", n = {n:,.0f}" if n is not None else ""
    return said + (f"; by chance {in_words(control, least, most)}" if control is not None else "")


def told(value: Any, digits: int = 3) -> str:
    """A value in a line: a list of plain values with commas, a table within as JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}" if digits == 3 else str(value)
    if isinstance(value, float):
        return short(value) if digits == 3 else f"{value:.{digits}g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(v, list | dict) for v in value):
        return ", ".join(told(v, digits) for v in value) or "none"
    return json.dumps(rounded(value, digits), ensure_ascii=False)


def rounded(value: Any, digits: int) -> Any:
    """The same with no number longer than `digits` digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return {k: rounded(v, digits) for k, v in value.items()} if isinstance(value, dict) else value


def numeric(value: Any) -> bool:
    """Whether it is a number; yes and no are none."""
    return isinstance(value, float | int) and not isinstance(value, bool)


def number(value: Any) -> float | int | None:
    """A number, or None for whatever else it is."""
    return value if numeric(value) else None
