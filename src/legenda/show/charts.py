"""Charts: curves beside their controls, values with their intervals, how certainty is spread.

Each is a figure of static SVG, drawn by Altair, and a table of the same numbers under it. Where
Altair is not installed (the extra `plots`) the table stands alone, and says so. Curves differ by
stroke and shape as well as by colour, and carry their names at their ends.

    curve_chart("Deletion", "share removed", "cosine left", [{"name": …, "x": …, "y": …}])
    bars("All systems", [{"name": …, "value": …, "low": …, "high": …, "control": …, "n": …}])
    certainty_histogram({"named": [0, 3, …], "abstained": [2, 1, …]})

References
----------
Okabe, Ito. Color universal design. 2008. Vermillion, and blue and purple close to theirs.
Satyanarayan, Moritz, Wongsuphasawat, Heer. Vega-Lite: a grammar of interactive graphics. IEEE
TVCG 2017. The grammar that Altair writes.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from legenda.show.chart_svg import STYLE, picture
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.words import between

Numbers = Sequence[float | int]
Plain = dict[str, Any]
ABSENT = "Charts need Altair (pip install legenda[plots]); here are the numbers."
NOTHING = "There is nothing to draw."
ROWS = 400
"""A table of a chart has no more rows."""


def curve_chart(
    title: str, x: str, y: str, curves: Sequence[Mapping[str, Any]], said: str = ""
) -> Markup:
    """Curves: each has a `name`, `x`, `y`, and where known `low`, `high`, `n` and `control`."""
    rows = [
        [shown(c["name"], 60) + (" (control)" if c.get("control") else ""), short(at), short(value),
         span(low, high).strip(), _count(c)]
        for c in curves
        for at, value, low, high in zip(c["x"], c["y"], *_band(c), strict=True)
    ]  # fmt: skip
    drawn = _svg("curves", {"x": shown(x, 60), "y": shown(y, 60), "curves": [_thin(c) for c in curves]})  # fmt: skip # noqa: E501
    head = ["curve", shown(x, 40), shown(y, 40), "95 % interval", "n"]
    return _figure(title, said or _told(curves, y), drawn, head, rows)


def bars(title: str, rows: Sequence[Mapping[str, Any]], axis: str = "", said: str = "") -> Markup:
    """Values with their intervals, each beside its control; `axis` says what is measured."""
    table = [
        [shown(r["name"], 60), short(r["value"]) + span(r.get("low"), r.get("high")),
         short(r.get("control")) + span(r.get("control_low"), r.get("control_high")),
         _count(r)]
        for r in rows
    ]  # fmt: skip
    drawn = _svg("bars", {"axis": shown(axis, 60), "rows": [_known(r) for r in rows]})
    told = said or f"{len(rows)} values, each beside its control."
    head = ["", shown(axis, 40) or "value", "control", "n"]
    legend = [("value", "value with its 95 % interval"), ("chance", "control")]
    return _figure(title, told, drawn, head, table, legend)


def histogram(
    title: str, edges: Numbers, counts: Mapping[str, Sequence[int]], axis: str, said: str = ""
) -> Markup:
    """How many lie between each two of the `edges`; of two kinds the second is drawn hollow."""
    names, total = list(counts), {k: sum(v) for k, v in counts.items()}
    rows = [
        [f"{short(low)} to {short(high)}", *[f"{counts[k][i]:,}" for k in names]]
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    bins = [
        {"kind": place, "name": k, "low": low, "high": high, "count": counts[k][i]}
        for place, k in enumerate(names)
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    drawn = _svg("histogram", {"axis": shown(axis, 60), "bins": bins, "names": names})
    told = said or ", ".join(f"{shown(k, 40)}: {n:,}" for k, n in total.items()) + "."
    heads = [f"{shown(k, 40)} (n = {total[k]:,})" for k in names]
    legend = [(f"kind-{i}", h) for i, h in enumerate(heads)]
    return _figure(title, told, drawn, [shown(axis, 40), *heads], rows, legend)


def certainty_histogram(counts: Mapping[str, Sequence[int]], title: str = "Certainty") -> Markup:
    """How certainty is spread, by what became of the units: counts in even steps from 0 to 1."""
    steps = max((len(v) for v in counts.values()), default=1) or 1
    return histogram(title, [i / steps for i in range(steps + 1)], counts, "certainty")


def _figure(
    title: str, said: str, drawn: str | None, head: Sequence[str], rows: Sequence[Sequence[str]],
    legend: Sequence[tuple[str, str]] = (),
) -> Markup:  # fmt: skip
    """The drawing, where there is one, what its marks mean, and its numbers."""
    table = _table(head, rows[:ROWS])
    if len(rows) > ROWS:
        table += Markup('<p class="small">The first {} of {} rows.</p>').format(ROWS, len(rows))
    if not drawn:
        why = ABSENT if drawn is None else NOTHING
        return Markup(
            '<figure class="chart"><figcaption>{}</figcaption><p class="small">{}</p>{}</figure>'
        ).format(shown(title), why, table if rows else "")
    keys = Markup("").join(
        Markup('<span><i class="key {}"></i> {}</span> ').format(kind, text)
        for kind, text in legend
    )
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption>{}<p class="small keys">{}</p>'
        "<details><summary>Numbers of this chart</summary>{}</details></figure>"
    ).format(shown(title), picture(drawn, shown(title), shown(said, 400)), keys, table)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(h) for h in head)
    lines = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            row[0], Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row[1:])
        )
        for row in rows
    )
    return Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="Numbers"><table>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(heads, lines)


def _told(curves: Sequence[Mapping[str, Any]], y: str) -> str:
    """Alt text of curves: where each begins and ends."""
    said = [
        f"{shown(c['name'], 40)}{' (control)' if c.get('control') else ''} from {short(c['y'][0])} "
        f"to {short(c['y'][-1])}"
        for c in curves
        if len(c["y"])
    ]
    return f"{shown(y, 60)}: {'; '.join(said)}." if said else "No curves."


def span(low: float | int | None, high: float | int | None) -> str:
    """` [0.1, 0.2]`, or nothing where there is no interval."""
    return "" if low is None or high is None else between([float(low), float(high)])


def _count(one: Mapping[str, Any]) -> str:
    n = one.get("n")
    return "–" if n is None else f"{n:,}"


def _band(curve: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The interval at each point; None where it is not known."""
    missing = [None] * len(curve["x"])
    return curve.get("low") or missing, curve.get("high") or missing


def _thin(curve: Mapping[str, Any], most: int = 200) -> Plain:
    """What is drawn of a curve: its name cut, and every so manieth point of very many."""
    step = -(-len(curve["x"]) // most) or 1
    low, high = _band(curve)
    kept = {"x": curve["x"], "y": curve["y"], "low": low, "high": high}
    thin = {k: [*v[::step], *([v[-1]] if (len(v) - 1) % step else [])] for k, v in kept.items()}
    return {"name": shown(curve["name"], 16), "control": bool(curve.get("control")), **thin}


def _known(row: Mapping[str, Any]) -> Plain:
    keys = ("value", "low", "high", "control", "control_low", "control_high")
    return {"name": shown(row["name"], 24), **{k: row.get(k) for k in keys}}


def _svg(kind: str, said: Plain) -> str | None:
    """What Vega draws: empty where there is nothing to draw, None where it is not installed."""
    return _drawn(kind, json.dumps(said, sort_keys=True))


@lru_cache(maxsize=256)
def _drawn(kind: str, said: str) -> str | None:
    try:
        import altair
        import vl_convert
    except ImportError:
        return None
    from legenda.show import chart_marks

    chart = getattr(chart_marks, kind)(altair, **json.loads(said))
    return "" if chart is None else vl_convert.vegalite_to_svg(chart.configure(**STYLE).to_dict())
