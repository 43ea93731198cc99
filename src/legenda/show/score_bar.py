"""A score beside its control, ready to be drawn: places along a line, and the sentence."""

from collections.abc import Mapping
from typing import Any

from legenda.show.palette import short

WIDTH = 300
MARGIN = 0.08


def score_bar(score: Mapping[str, Any]) -> dict[str, Any]:
    """Places of the value, its interval and the control along a line, and what is said of them.

    `score` has the columns of the table `scores`.
    """
    ends = [score[k] for k in ("value", "low", "high", "control", "control_low", "control_high")]
    known = [v for v in ends if v is not None]
    low, high = min([*known, 0.0]), max([*known, 1.0 if max(known, default=0) <= 1 else 0.0])
    spread = (high - low) * (1 + 2 * MARGIN)
    start = low - (high - low) * MARGIN

    def at(value: float | None) -> float | None:
        return None if value is None else round(WIDTH * (value - start) / spread, 1)

    control = score["control"]
    return {
        "name": score["name"].replace("_", " "), "higher": bool(score["higher_is_better"]),
        "at": at(score["value"]), "low": at(score["low"]), "high": at(score["high"]),
        "control": at(control), "control_low": at(_or(score["control_low"], control)),
        "control_high": at(_or(score["control_high"], control)),
        "say": said(score), "verdict": verdict(score), "unit": score["unit"],
    }  # fmt: skip


def said(score: Mapping[str, Any]) -> str:
    """A score in words: value, interval, n, and the control."""
    words = f"{short(score['value'])}{between(score['low'], score['high'])}"
    words += f" {score['unit']}" if score["unit"] else ""
    words += f", n = {score['n']:,}" if score["n"] > 1 else ""
    if score["control"] is None:
        return f"{words}; it has no control"
    return f"{words}; by chance {short(score['control'])}{between(score['control_low'], score['control_high'])}"  # fmt: skip # noqa: E501


def verdict(score: Mapping[str, Any]) -> str:
    """Whether a score is clear of its control: better, worse, no better; or nothing."""
    value, control = score["value"], score["control"]
    if value is None or control is None:
        return ""
    low, high = _or(score["low"], value), _or(score["high"], value)
    least, most = _or(score["control_low"], control), _or(score["control_high"], control)
    if low <= most and least <= high:
        return "no better than chance"
    return "better than chance" if (low > most) == bool(score["higher_is_better"]) else "worse than chance"  # fmt: skip # noqa: E501


def between(low: float | None, high: float | None) -> str:
    """` (95 %: 0.1 to 0.2)`, or nothing where there is no interval."""
    return "" if low is None or high is None else f" (95 %: {short(low)} to {short(high)})"


def _or(value: float | None, other: float | None) -> Any:
    return other if value is None else value
