"""The marks of each chart, in Altair: what is drawn, in colours that stand for roles.

Every function takes `altair` itself, so that nothing is imported where it is not installed, and
returns layers, or None where there is nothing to draw.
"""

import math
from collections.abc import Sequence
from typing import Any

from legenda.show.chart_svg import ACCENT, INK, PAPER, SERIES, SOFT
from legenda.show.palette import ticks

Plain = dict[str, Any]
WIDE, FULL, TALL, STEP = 290, 380, 210, 40
"""Pixels between the axes, with and without labels beside them, and of one bar."""
STROKES: tuple[list[int], ...] = ([1, 0], [7, 3], [2, 3], [9, 3, 2, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond")
POINTS = 40
"""A curve of more points is drawn without marks on them."""


def curves(alt: Any, x: str, y: str, curves: Sequence[Plain]) -> Any:
    """Curves, their bands, and their names at their ends; controls are soft and dotted."""
    points = [p for c in curves for p in _points(c)]
    if not points:
        return None
    low, high = (f(v for p in points for k, v in p.items() if k != "x") for f in (_least, _most))
    axes = {
        "x": alt.X("x:Q", axis=alt.Axis(title=x, tickCount=5, grid=False)),
        "y": alt.Y(
            "y:Q", scale=alt.Scale(domain=[low, high], nice=True, zero=False),
            axis=alt.Axis(title=y, tickCount=5, **_on_top()),
        ),
    }  # fmt: skip
    places = _apart([c["y"][-1] if c["y"] else low for c in curves], (high - low) / 13)
    layers: list[Any] = []
    kinds = {False: 0, True: 0}
    for curve, place in zip(curves, places, strict=True):
        layers += _curve(alt, curve, kinds[curve["control"]], place, axes)
        kinds[curve["control"]] += 1
    return alt.layer(*layers).properties(width=WIDE, height=TALL)


def bars(alt: Any, axis: str, rows: Sequence[Plain]) -> Any:
    """A line of its own for each value: the interval, the value on it, the control as a band."""
    rows = [{**r, "place": i} for i, r in enumerate(rows) if r["value"] is not None]
    if not rows:
        return None
    held = alt.Data(values=rows)
    y = alt.Y(
        "place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0.2)
    )  # fmt: skip
    x = {"axis": alt.Axis(title=axis or None, tickCount=5), "scale": alt.Scale(nice=True)}
    chart = alt.Chart(held)
    layers = [
        chart.mark_bar(size=9, color=SOFT, opacity=0.45).encode(
            x=alt.X("control_low:Q", **x), x2="control_high:Q", y=y
        ),
        chart.mark_tick(size=13, thickness=2, color=SOFT).encode(x=alt.X("control:Q", **x), y=y),
        chart.mark_rule(strokeWidth=2.5, color=ACCENT).encode(
            x=alt.X("low:Q", **x), x2="high:Q", y=y
        ),
        chart.mark_point(filled=True, size=60, color=ACCENT, opacity=1).encode(
            x=alt.X("value:Q", **x), y=y
        ),
        chart.mark_text(align="left", baseline="bottom", dy=-6, color=INK).encode(
            x=alt.value(0), y=y, text="name:N"
        ),
    ]  # fmt: skip
    return alt.layer(*layers).properties(width=FULL, height=alt.Step(STEP))


def histogram(alt: Any, axis: str, bins: Sequence[Plain], names: Sequence[str]) -> Any:
    """Bars side by side along the axis; the first kind is full, the others are hollow."""
    if not any(b["count"] for b in bins):
        return None
    stacked = _stacked(bins)
    whole = [at for at in ticks(0, max(b["end"] for b in stacked), 4) if at == int(at)]
    counts = alt.Axis(title="units", values=whole, format=",d", **_on_top())
    layers = []
    for kind in range(len(names)):
        held = alt.Data(values=[b for b in stacked if b["kind"] == kind and b["count"]])
        mark = {"fill": ACCENT} if not kind else {"fill": PAPER, "stroke": SERIES[kind % 4]}
        dash = {} if kind < 2 else {"strokeDash": STROKES[kind % 4]}
        layers.append(
            alt.Chart(held).mark_bar(strokeWidth=1.2, binSpacing=1, **mark, **dash).encode(
                x=alt.X("low:Q", axis=alt.Axis(title=axis, tickCount=5, grid=False)),
                x2="high:Q",
                y=alt.Y("start:Q", axis=counts),
                y2="end:Q",
            )
        )  # fmt: skip
    return alt.layer(*layers).properties(width=FULL, height=TALL * 0.7)


def _curve(alt: Any, curve: Plain, kind: int, place: float | int, axes: Plain) -> list[Any]:
    """The layers of one curve."""
    held, control = alt.Data(values=_points(curve)), curve["control"]
    if not curve["y"]:
        return []
    colour = SOFT if control else SERIES[kind % 4]
    dash = [2, 2] if control else STROKES[kind % 4]
    chart = alt.Chart(held)
    layers = []
    if any(v is not None for v in curve["low"]):
        band = {**axes, "y": axes["y"].copy()}
        band["y"].shorthand = "low:Q"
        layers.append(chart.mark_area(color=colour, opacity=0.16).encode(**band, y2="high:Q"))
    layers.append(chart.mark_line(color=colour, strokeWidth=2, strokeDash=dash).encode(**axes))
    if len(curve["y"]) <= POINTS and not control:
        shape = SHAPES[kind % 4]
        layers.append(
            chart.mark_point(shape=shape, filled=True, size=42, color=colour, opacity=1).encode(
                **axes
            )
        )
    end = alt.Chart(alt.Data(values=[{"x": curve["x"][-1], "y": place, "name": curve["name"]}]))
    ink = SOFT if control else INK
    layers.append(
        end.mark_text(align="left", dx=8, color=ink).encode(**axes, text="name:N")
    )  # fmt: skip
    return layers


def _points(curve: Plain) -> list[Plain]:
    keys = ("x", "y", "low", "high")
    rows = zip(*(curve[k] for k in keys), strict=True)
    return [{k: v for k, v in zip(keys, row, strict=True) if v is not None} for row in rows]


def _apart(values: Sequence[float | int], least: float) -> list[float | int]:
    """Places for labels near their values, at least so far from one another."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = [values[i] for i in order]
    for _ in range(50):
        for i in range(1, len(placed)):
            short = least - (placed[i] - placed[i - 1])
            if short > 1e-9:
                placed[i - 1] -= short / 2
                placed[i] += short / 2
    found = dict(zip(order, placed, strict=True))
    return [found[i] for i in range(len(values))]


def _stacked(bins: Sequence[Plain]) -> list[Plain]:
    """Each kind on top of the kinds before it."""
    height: dict[float | int, int] = {}
    found = []
    for one in bins:
        start = height.get(one["low"], 0)
        height[one["low"]] = start + one["count"]
        found.append({**one, "start": start, "end": start + one["count"]})
    return found


def _on_top() -> Plain:
    """The title of an upright axis lies above it, where it can be read."""
    return {
        "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": -32, "titleY": -14,
        "titleBaseline": "bottom",
    }  # fmt: skip


def _least(values: Any) -> float | int:
    return min((v for v in values if math.isfinite(v)), default=0.0)


def _most(values: Any) -> float | int:
    return max((v for v in values if math.isfinite(v)), default=1.0)
