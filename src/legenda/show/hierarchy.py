"""A hierarchy in a terminal, and as a plain dict: names, counts, what supports each edge.

A node with several parents is drawn in full below the first, and named again below the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from legenda.errors import BadInput
from legenda.explain.edges import Edge
from legenda.explain.hierarchy import Hierarchy
from legenda.show.palette import short
from legenda.show.view import Plain, finite
from legenda.show.words import between

Names = Mapping[int, str]
VERB = {"is-a": "is a", "part-of": "part of", "beside": "beside", "": ""}


@dataclass(frozen=True)
class Limits:
    """How much is drawn.

    Parameters
    ----------
    depth: levels below the roots; more go deeper.
    width: children of a node; more show rarer ones.
    roots: roots; more show rarer ones.
    """

    depth: int = 4
    width: int = 12
    roots: int = 24

    def __post_init__(self) -> None:
        if min(self.depth, self.width, self.roots) < 1:
            raise BadInput(
                f"a hierarchy is drawn with a depth, a width and roots of 1 or more; it got "
                f"{self.depth}, {self.width} and {self.roots}."
            )


LIMITS = Limits()


@dataclass(frozen=True)
class Line:
    """A node where it is drawn; `again` where it was drawn before.

    `unit` is None for the line that says how many `more` are left out here. `edge` leads to the
    parent above it, `under` is that parent's place in the list.
    """

    unit: int | None
    level: int
    under: int | None
    edge: Edge | None = None
    again: bool = False
    more: int = 0


def outline(h: Hierarchy, limits: Limits = LIMITS) -> list[Line]:
    """The lines of a drawing, each parent before its children."""
    found: list[Line] = []
    seen: set[int] = set()

    def go(unit: int, level: int, under: int | None, edge: Edge | None) -> None:
        again, here = unit in seen, len(found)
        seen.add(unit)
        below = h.children(unit)
        if level == limits.depth and below and not again:
            found.append(Line(unit, level, under, edge))
            found.append(Line(None, level + 1, here, more=len(below)))
            return
        found.append(Line(unit, level, under, edge, again))
        for child in () if again else below[: limits.width]:
            go(child.child, level + 1, here, child)
        if not again and len(below) > limits.width:
            found.append(Line(None, level + 1, here, more=len(below) - limits.width))

    for root in h.roots[: limits.roots]:
        go(root, 0, None, None)
    if len(h.roots) > limits.roots:
        found.append(Line(None, 0, None, more=len(h.roots) - limits.roots))
    return found


def tree(h: Hierarchy, names: Names | None = None, limits: Limits = LIMITS) -> Any:
    """A rich tree."""
    from rich.text import Text
    from rich.tree import Tree

    names = names or {}
    top = Tree(Text(summary(h), style="bold"), guide_style="dim")
    branches: list[Any] = []
    for line in outline(h, limits):
        said = Text(word(line, names), style="" if line.unit is not None else "dim")
        if line.unit is not None:
            said.append(f"  {figures(h, line)}", style="dim")
        above = top if line.under is None else branches[line.under]
        branches.append(above.add(said))
    for cycle in cycles(h, names):
        top.add(Text(cycle, style="yellow"))
    return top


def summary(h: Hierarchy) -> str:
    """One line for the whole, with what chance alone would make."""
    chance = "" if h.chance is None else f"; {short(h.chance)} by chance"
    roots = counted(len(h.roots), "root")
    return (
        f"{counted(len(h), 'unit')}, {counted(len(h.edges), 'edge')} ({h.implied} more are "
        f"implied{chance}), {roots}, {counted(1 + max(h.levels.values(), default=-1), 'level')}"
    )


def word(line: Line, names: Names) -> str:
    """What a line is called."""
    if line.unit is None:
        return f"… and {line.more} more"
    return named(line.unit, names) + (" (see above)" if line.again else "")


def named(unit: int, names: Names) -> str:
    """A unit by its word and its number."""
    said = "".join(c if c.isprintable() else " " for c in names.get(unit, "")).strip()
    return f"{said} · {unit}" if said else f"unit {unit}"


def figures(h: Hierarchy, line: Line) -> str:
    """What is known of a node and of the edge above it."""
    assert line.unit is not None
    said = [f"{h.active[line.unit]:,} positions"]
    if line.edge is not None:
        said = [support(line.edge), *said]
    if h.others(line.unit) and not line.again:
        said.append(f"also {', '.join(map(str, h.others(line.unit)))}")
    return ", ".join(said)


def support(edge: Edge) -> str:
    """What speaks for an edge."""
    kind = f"{VERB.get(edge.kind, edge.kind)}: " if edge.kind else ""
    return (
        f"{kind}P {short(edge.share)}{between([*edge.interval])}, by weight "
        f"{short(edge.weighted)}, lift {short(edge.lift)}{between([*edge.lift_interval])}"
    )


def cycles(h: Hierarchy, names: Names) -> Iterator[str]:
    """What was done about each cycle."""
    for cycle in h.cycles:
        units = ", ".join(named(unit, names) for unit in cycle.units)
        done = ", ".join(f"{i} → {j}" for i, j in cycle.cut)
        yield f"cycle of {units}: {f'cut {done}' if done else 'merged'}"


def counted(many: int, what: str) -> str:
    """`1 root`, `3 roots`."""
    return f"{many:,} {what}{'' if many == 1 else 's'}"


def plain(h: Hierarchy, names: Names | None = None) -> Plain:
    """Everything about a hierarchy with its names, ready for `json.dumps`; it reads back as one."""
    held = h.plain()
    for one in held["units"]:
        one["name"] = (names or {}).get(one["unit"])
    return finite({**held, "roots": list(h.roots)})
