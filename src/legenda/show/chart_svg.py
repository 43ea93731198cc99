"""A chart as SVG that takes the colours and the letters of the page around it.

Vega draws with colours that stand for roles (`INK`, `SOFT` …); here each becomes the CSS variable
of that role, so that one drawing serves the light and the dark page. Sizes and fonts go, ids are
made unlike those of other charts, and what only a program would read is dropped.
"""

from hashlib import sha256
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

SPACE = "http://www.w3.org/2000/svg"
INK, SOFT, LINE, ACCENT, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = (ACCENT, "#060601", "#060602", "#060603")
"""Colours of curves, in order; each also has a stroke and a shape of its own."""
ROLES = {
    INK: "var(--ink, currentColor)", SOFT: "var(--soft, #74787d)", LINE: "var(--line, #a8aaa6)",
    ACCENT: "var(--accent, #0b6f68)", PAPER: "var(--paper, transparent)",
    "#060601": "#d55e00", "#060602": "#2580bd", "#060603": "#b8649a",
}  # fmt: skip
"""What each stands for; the last three keep 3 : 1 against the light and against the dark paper."""
LEAST, SLACK = 430, 12
"""Every drawing is at least so wide, so that letters are as large in all; other fonts need room."""
STYLE: dict[str, Any] = {
    "background": "transparent", "aria": False, "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": INK, "gridColor": LINE, "gridOpacity": 0.55,
        "domainColor": LINE, "tickColor": LINE, "labelFontSize": 12, "titleFontSize": 12.5,
        "titleFontWeight": "normal", "labelPadding": 4, "labelFlush": False,
    },
    "text": {"fontSize": 12, "fill": INK},
}  # fmt: skip
KEPT = ("d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform", "fill", "stroke",
        "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-opacity", "fill-opacity",
        "opacity", "text-anchor", "font-size", "font-weight", "dy", "dx", "display", "r", "cx",
        "cy", "stroke-miterlimit", "stroke-join")  # fmt: skip
DRAWN = ("svg", "g", "path", "line", "rect", "text", "tspan", "circle")


def picture(drawn: str, title: str, said: str) -> Markup:
    """What Vega drew, for the inside of a page; `title` and `said` are its alt text."""
    root = ElementTree.fromstring(drawn)
    name = "chart-" + sha256(f"{title}\0{said}\0{drawn}".encode()).hexdigest()[:12]
    made = _copied(root)
    wide, tall = (float(v) for v in root.get("viewBox", "0 0 0 0").split()[2:])
    made.attrib = {
        "class": "drawing", "viewBox": f"0 0 {max(LEAST, wide + SLACK):g} {tall:g}", "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }  # fmt: skip
    for place, (tag, text) in enumerate((("title", title), ("desc", said))):
        one = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        one.text = text
        made.insert(place, one)
    return Markup(ElementTree.tostring(made, encoding="unicode"))


def _copied(element: ElementTree.Element) -> ElementTree.Element:
    """Shapes and letters, and nothing else: no script, no link, no style, no font."""
    tag = element.tag.removeprefix(f"{{{SPACE}}}")
    made = ElementTree.Element(tag)
    for key, value in element.attrib.items():
        if key in KEPT:
            made.set(key, ROLES.get(value.lower(), value))
    made.text, made.tail = element.text, element.tail
    made.extend(_copied(c) for c in element if c.tag.removeprefix(f"{{{SPACE}}}") in DRAWN)
    return made
