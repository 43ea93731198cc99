"""GraphML of a hierarchy, which programs for graphs open: names, kinds, and what supports an edge.

Edges run from a child to its parent.

References
----------
Brandes, Eiglsperger, Herman, Himsolt, Marshall. GraphML progress report: structural layer
proposal. Graph Drawing 2001.
"""

import math
from xml.etree import ElementTree

from legenda.explain.edges import Edge
from legenda.explain.hierarchy import Hierarchy
from legenda.show.hierarchy import Names

SPACE = "http://graphml.graphdrawing.org/xmlns"
NODE = {"name": "string", "positions": "long", "level": "int", "synonyms": "string"}
EDGE = {
    "kind": "string", "weighted": "double", "share": "double", "share_low": "double",
    "share_high": "double", "lift": "double", "lift_low": "double", "lift_high": "double",
    "together": "long",
}  # fmt: skip


def graphml(h: Hierarchy, names: Names | None = None) -> str:
    """A GraphML document; the same hierarchy is the same text."""
    root = ElementTree.Element("graphml", xmlns=SPACE)
    for end, fields in (("node", NODE), ("edge", EDGE)):
        for name, kind in fields.items():
            ElementTree.SubElement(root, "key", {"id": f"{end}-{name}", "for": end, "attr.name": name, "attr.type": kind})  # fmt: skip # noqa: E501
    graph = ElementTree.SubElement(root, "graph", id="hierarchy", edgedefault="directed")
    for unit, positions in h.active.items():
        node = ElementTree.SubElement(graph, "node", id=str(unit))
        said = (names or {}).get(unit, ""), positions, h.levels[unit], " ".join(map(str, h.others(unit)))  # fmt: skip # noqa: E501
        data(node, "node", dict(zip(NODE, said, strict=True)))
    for edge in h.edges:
        line = ElementTree.SubElement(graph, "edge", source=str(edge.child), target=str(edge.parent))  # fmt: skip # noqa: E501
        data(line, "edge", told(edge))
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def told(edge: Edge) -> dict[str, str | float | int]:
    """An edge by the names of `EDGE`."""
    values = (edge.kind, edge.weighted, edge.share, *edge.interval, edge.lift, *edge.lift_interval, edge.together)  # fmt: skip # noqa: E501
    return dict(zip(EDGE, values, strict=True))


def data(parent: ElementTree.Element, end: str, values: dict[str, str | float | int]) -> None:
    """Values of a node or an edge; nothing is written of what is empty or not finite."""
    for name, value in values.items():
        if value == "" or (isinstance(value, float) and not math.isfinite(value)):
            continue
        held = ElementTree.SubElement(parent, "data", key=f"{end}-{name}")
        held.text = legible(value) if isinstance(value, str) else repr(value)


def legible(text: str) -> str:
    """Text without the characters that XML forbids."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff"))  # fmt: skip # noqa: E501
