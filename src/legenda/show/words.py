"""What the page says of numbers: sentences for readers, alt texts and verdicts."""

import math
from typing import Any

from legenda.show.palette import short

Plain = dict[str, Any]
MEANING = {
    "deletion": "what is left of the cosine while the strongest patches are taken away",
    "insertion": "how much of the cosine is back while the strongest patches are put in",
    "drop": "cosine lost when only the explained part is kept, in points",
    "increase": "share of pairs that agree more when only the explained part is kept",
}


def describe(pair: Plain) -> str:
    """Alt text of the picture."""
    return f"The picture {pair['source']}, explained with the sentence “{pair['sentence']}”."


def describe_map(pair: Plain) -> str:
    """Alt text of the map: where it peaks, and how high."""
    value, row, column = peak(pair)
    rows, columns = len(pair["map"]), len(pair["map"][0])
    return (
        f"Map over {rows} × {columns} patches: strongest in row {row + 1}, column {column + 1} "
        f"with {short(value)} {pair['unit']}."
    )


def peak(pair: Plain) -> tuple[float, int, int]:
    """The strongest patch: its value, row and column."""
    cells = [
        (abs(v or 0.0), v or 0.0, r, c)
        for r, row in enumerate(pair["map"])
        for c, v in enumerate(row)
    ]
    _, value, row, column = max(cells)
    return value, row, column


def warning(pair: Plain) -> str:
    """Why a pair is flagged; nothing where it is not."""
    found = pair["match"]
    if not found or not found["flagged"]:
        return ""
    return (
        f"Its cosine of {short(pair['figures'].get('cosine'))} stands out by "
        f"{short(found['standing'])} standard deviations among {found['references']} unrelated "
        f"pairs ({found['source']}); a match begins at {short(found['threshold'])}. "
        "What follows explains an agreement that is hardly there."
    )


def matched(pair: Plain) -> str:
    """How surely a pair matches; nothing where that is not known or is flagged."""
    found = pair["match"]
    if not found or found["flagged"]:
        return ""
    return (
        f"The pair matches: it stands out by {short(found['standing'])} standard deviations, and "
        f"a match begins at {short(found['threshold'])} (measured on {found['references']} "
        f"reference pairs: {found['source']})."
    )


def judge(score: Plain) -> str:
    """A score beside its control, in words."""
    value, control = score["value"], score["control"]
    said = f"{short(value)}{between(score['interval'])}"
    if score["n"] > 1:
        said += f" over {score['n']}"
    if control is None:
        return said
    said += f"; random maps {short(control)}{between(score['control_interval'])}"
    return f"{said}: {verdict(score)}"


def verdict(score: Plain) -> str:
    """Whether a value, with its interval where it has one, is clear of its control's interval."""
    low, high = _ends(score["control_interval"], score["control"])
    least, most = _ends(score["interval"], score["value"])
    if not all(isinstance(v, float | int) for v in (low, high, least, most)):
        return "not comparable"
    if low <= most and least <= high:
        return "no better than random maps on average"
    better = (least > high) == score["higher_is_better"]
    return f"{'better' if better else 'worse'} than random maps on average"


def between(ends: list[float | None] | None) -> str:
    """` [0.1, 0.2]`, or nothing where there is no interval."""
    if not ends or any(e is None or not math.isfinite(e) for e in ends):
        return ""
    return f" [{short(ends[0])}, {short(ends[1])}]"


def _ends(interval: list[float | None] | None, value: float) -> tuple[float, float]:
    if interval and interval[0] is not None and interval[1] is not None:
        return interval[0], interval[1]
    return value, value
