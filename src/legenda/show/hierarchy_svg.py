"""A hierarchy as an SVG that stands alone: one column per level, roots on the left.

Colours follow the reader's light or dark scheme. Nothing runs in it, and nothing is fetched.
"""

import unicodedata
from dataclasses import replace
from xml.sax.saxutils import escape

from legenda.explain.hierarchy import Hierarchy
from legenda.show.hierarchy import (
    LIMITS,
    Limits,
    Line,
    Names,
    figures,
    named,
    outline,
    summary,
    word,
)

ROW, LETTER, PAD, GAP, MARGIN, TOP = 26.0, 7.2, 10.0, 64.0, 16.0, 62.0
LETTERS = 28
"""Longer names are cut in the drawing, and whole in what a pointer rests on."""
STYLE = """
.hierarchy { --paper: #fcfcfa; --ink: #1d1f21; --soft: #5c6166; --line: #b9bab4; --box: #ffffff; --accent: #0b6f68; }
@media (prefers-color-scheme: dark) { .hierarchy { --paper: #15171a; --ink: #e8e8e4; --soft: #a3a8ad; --line: #4b5157; --box: #1e2125; --accent: #5ec4b6; } }
.hierarchy .paper { fill: var(--paper); }
.hierarchy text { fill: var(--ink); font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.hierarchy .soft { fill: var(--soft); }
.hierarchy .box { fill: var(--box); stroke: var(--line); }
.hierarchy .root { stroke: var(--accent); stroke-width: 1.6px; }
.hierarchy path { fill: none; stroke: var(--line); stroke-width: 1.4px; }
.hierarchy .part-of { stroke-dasharray: 6 4; }
.hierarchy .beside { stroke-dasharray: 1.5 4; }
"""  # noqa: E501


def drawing(h: Hierarchy, names: Names | None = None, limits: Limits = LIMITS) -> str:
    """The whole document, as text; the same hierarchy is the same text."""
    names = names or {}
    lines, places = placed(h, outline(h, limits))
    widths = columns(lines, names)
    lefts = [MARGIN + sum(widths[:level]) + GAP * level for level in range(len(widths))]
    height = TOP + ROW * (1 + max(places, default=0)) + MARGIN
    total = max(lefts[-1] + widths[-1] if widths else 0, LETTER * len(summary(h))) + MARGIN
    first = {line.unit: at for at, line in enumerate(lines) if line.unit is not None}
    body = [
        path(h, at, lines, places, lefts, widths, first) for at, line in enumerate(lines)
    ]  # fmt: skip
    body += [
        box(h, line, places[at], lefts[line.level], widths[line.level], names)
        for at, line in enumerate(lines)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="hierarchy" role="img" '
            f'aria-labelledby="hierarchy-title hierarchy-desc" width="{total:.0f}" '
            f'height="{height:.0f}" viewBox="0 0 {total:.0f} {height:.0f}">',
            f'<title id="hierarchy-title">{clean(summary(h))}</title>',
            f'<desc id="hierarchy-desc">{clean(description(h, names))}</desc>',
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            f'<text class="soft" x="{MARGIN:.0f}" y="{MARGIN + 12:.0f}">{clean(summary(h))}</text>',
            f'<text class="soft" x="{MARGIN:.0f}" y="{MARGIN + 32:.0f}">{legend(h)}</text>',
            *filter(None, body),
            "</svg>\n",
        ]
    )


def placed(h: Hierarchy, lines: list[Line]) -> tuple[list[Line], list[float]]:
    """Lines drawn once each, and their rows: leaves one below the other, parents amid theirs.

    A node of several parents is drawn below the first, in the column of its level, so that all
    edges run to the right.
    """
    kept = [at for at, line in enumerate(lines) if not line.again]
    number = {at: place for place, at in enumerate(kept)}
    once = [lines[at] for at in kept]
    under = [None if line.under is None else number[line.under] for line in once]
    below: list[list[int]] = [[] for _ in once]
    for at, above in enumerate(under):
        if above is not None:
            below[above].append(at)
    rows, following = [0.0] * len(once), 0
    for at in range(len(once)):
        if not below[at]:
            rows[at], following = float(following), following + 1
    for at in reversed(range(len(once))):
        if below[at]:
            rows[at] = (rows[below[at][0]] + rows[below[at][-1]]) / 2
    drawn: list[Line] = []
    for line, above in zip(once, under, strict=True):
        if line.unit is not None:
            level = h.levels[line.unit]
        else:
            level = 0 if above is None else drawn[above].level + 1
        drawn.append(replace(line, level=level, under=above))
    return drawn, rows


def columns(lines: list[Line], names: Names) -> list[float]:
    """The width of each level."""
    found: list[float] = []
    for line in lines:
        found += [0.0] * (line.level + 1 - len(found))
        found[line.level] = max(found[line.level], LETTER * wide(cut(word(line, names))) + 2 * PAD)
    return found


def path(
    h: Hierarchy, at: int, lines: list[Line], places: list[float], lefts: list[float],
    widths: list[float], first: dict[int, int],
) -> str:  # fmt: skip
    """Curves from a node to all its parents that are drawn."""
    line, found = lines[at], []
    if line.unit is None:
        return ""
    for edge in h.parents(line.unit):
        above = first.get(edge.parent)
        if above is None:
            continue
        x, y = lefts[line.level], middle(places[at])
        start = lefts[lines[above].level] + widths[lines[above].level]
        high, bend = middle(places[above]), max(20.0, (x - start) / 2)
        curve = f"M{start:.1f} {high:.1f}C{start + bend:.1f} {high:.1f} {x - bend:.1f} {y:.1f} {x:.1f} {y:.1f}"  # noqa: E501
        found.append(f'<path class="{edge.kind or "edge"}" d="{curve}"/>')
    return "".join(found)


def box(h: Hierarchy, line: Line, place: float, left: float, width: float, names: Names) -> str:
    """A node: its name, and all figures for a pointer that rests on it."""
    said, y = clean(cut(word(line, names))), middle(place)
    if line.unit is None:
        return f'<text class="soft" x="{left + PAD:.1f}" y="{y + 4.5:.1f}">{said}</text>'
    kind = "box" if h.parents(line.unit) else "box root"
    whole = clean(f"{named(line.unit, names)}: {figures(h, line)}")
    return (
        f'<g><title>{whole}</title><rect class="{kind}" x="{left:.1f}" y="{y - 10:.1f}" '
        f'width="{width:.1f}" height="20" rx="4"/>'
        f'<text x="{left + PAD:.1f}" y="{y + 4.5:.1f}">{said}</text></g>'
    )


def description(h: Hierarchy, names: Names) -> str:
    """Alt text: the roots, and how many units lie below each."""
    said = [f"{named(root, names)} with {len(h.descendants(root))} below it" for root in h.roots[:8]]  # fmt: skip # noqa: E501
    more = f", and {len(h.roots) - 8} more" if len(h.roots) > 8 else ""
    return f"Roots: {', '.join(said)}{more}." if said else "No unit has a parent."


def legend(h: Hierarchy) -> str:
    """What the lines mean, of those that are drawn."""
    kinds = {edge.kind for edge in h.edges}
    said = {"is-a": "whole line: is a", "part-of": "dashed: part of", "beside": "dotted: beside"}
    return "; ".join(words for kind, words in said.items() if kind in kinds)


def middle(place: float) -> float:
    """The height of a row."""
    return TOP + ROW * (place + 0.5)


def wide(text: str) -> int:
    """Letters of a text; those of East Asia count twice."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str) -> str:
    """A text that fits a box; its number stays."""
    if wide(text) <= LETTERS:
        return text
    word, mark, number = text.rpartition(" · ")
    room = LETTERS - wide(mark + number) - 1
    held = word or number
    while held and wide(held) > room:
        held = held[:-1]
    return f"{held.rstrip()}…{mark}{number}" if mark else f"{held}…"


def clean(text: str) -> str:
    """Text as XML takes it."""
    return escape("".join(c if c.isprintable() else " " for c in text))
