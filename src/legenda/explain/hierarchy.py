"""Hierarchy: relations as a graph without cycles, in which no edge says what others imply.

Edges run from a unit to its ancestors. Units that lie on a common cycle, i → … → i, are reported
and resolved by one of two rules:

    merge   they are one node, named by the unit that is on most; the others are its synonyms
    cut     the edge with the least P_D is removed, until no cycle is left

Synonyms may also be given, such as units whose atoms point the same way. Of parallel edges between
nodes the one with the greatest P_D stays. Of what is left, the transitive reduction is drawn: the
edge i → j goes where j is an ancestor of another parent of i,

    keep i → j   where   j ∉ ∪ { ancestors(p) : p parent of i },          (1)

the smallest graph with the same ancestors. A node's level is 0 where it has no parent, else one
more than that of its lowest parent.

References
----------
Aho, Garey, Ullman. The transitive reduction of a directed graph. SIAM Journal on Computing 1972.
(1).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from legenda.errors import BadInput
from legenda.explain.edges import Edge, Edges
from legenda.explain.graph import Pair, circles, merged, ordered, reached, reduced

SCHEMA = 1
ENDS = ("interval", "lift_interval")


class Cycle(NamedTuple):
    """Units that are each other's ancestors, and the edges that were cut, none where merged."""

    units: tuple[int, ...]
    cut: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A directed graph without cycles, of units that have a parent or a child.

    Parameters
    ----------
    active: positions at which each node is on; nodes are numbered as units are.
    edges: what is left after (1), by child and parent.
    positions: of how many.
    implied: how many edges (1) took away.
    cycles: those that were found.
    synonyms: by node, the units that were merged into it.
    chance: edges that units make which do not know of each other; None: not counted.
    """

    active: dict[int, int]
    edges: tuple[Edge, ...]
    positions: int
    implied: int = 0
    cycles: tuple[Cycle, ...] = ()
    synonyms: dict[int, tuple[int, ...]] = field(default_factory=dict)
    chance: float | None = None

    def __repr__(self) -> str:
        return f"Hierarchy({len(self)} units, {len(self.edges)} edges, {len(self.roots)} roots)"

    def __len__(self) -> int:
        return len(self.active)

    def __contains__(self, unit: int) -> bool:
        """Whether a unit is a node, or merged into one."""
        return unit in self.active or any(unit in its for its in self.synonyms.values())

    @cached_property
    def _up(self) -> dict[int, list[Edge]]:
        return grouped(self.edges, "child", "parent", self.rank)

    @cached_property
    def _down(self) -> dict[int, list[Edge]]:
        return grouped(self.edges, "parent", "child", self.rank)

    @property
    def pairs(self) -> frozenset[Pair]:
        """Child and parent of each edge."""
        return frozenset((e.child, e.parent) for e in self.edges)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """Nodes without a parent, the most active first."""
        return tuple(sorted(self.active.keys() - self._up.keys(), key=self.rank))

    def rank(self, unit: int) -> Pair:
        """A key that sorts the most active node first."""
        return -self.active[unit], unit

    def parents(self, unit: int) -> tuple[Edge, ...]:
        """Edges to the parents of a node, the most active first."""
        return tuple(self._up.get(self.known(unit), ()))

    def children(self, unit: int) -> tuple[Edge, ...]:
        """Edges from the children of a node, the most active first."""
        return tuple(self._down.get(self.known(unit), ()))

    def ancestors(self, unit: int) -> frozenset[int]:
        """All nodes above a node."""
        return reached(self.known(unit), lambda u: [e.parent for e in self._up.get(u, ())])

    def descendants(self, unit: int) -> frozenset[int]:
        """All nodes below a node."""
        return reached(self.known(unit), lambda u: [e.child for e in self._down.get(u, ())])

    def known(self, unit: int) -> int:
        """A node by its number or that of a synonym."""
        for node in (unit, *(n for n, its in self.synonyms.items() if unit in its)):
            if node in self.active:
                return node
        raise BadInput(
            f"unit {unit} is not in this hierarchy of {len(self)} units: it has no parent and no "
            "child. Ask for one of `active`."
        )

    @cached_property
    def levels(self) -> dict[int, int]:
        """The level of each node."""
        found: dict[int, int] = {}
        for unit in ordered(self.active, self.pairs):
            found[unit] = 1 + max((found[e.parent] for e in self._up.get(unit, ())), default=-1)
        return found

    def plain(self) -> dict[str, Any]:
        """All of it as numbers and words, ready for `json.dumps`; `of_plain` reads it back."""
        return {
            "schema": SCHEMA,
            "kind": "hierarchy",
            "positions": self.positions,
            "chance": self.chance,
            "implied": self.implied,
            "units": [
                {"unit": u, "active": n, "level": self.levels[u], "synonyms": self.others(u)}
                for u, n in self.active.items()
            ],
            "edges": [e._asdict() for e in self.edges],
            "cycles": [c._asdict() for c in self.cycles],
        }

    def others(self, unit: int) -> list[int]:
        """The synonyms of a node."""
        return list(self.synonyms.get(unit, ()))


def of_plain(held: Mapping[str, Any]) -> Hierarchy:
    """A hierarchy from what `plain` wrote, or from what JSON made of it."""
    if (held.get("schema"), held.get("kind")) != (SCHEMA, "hierarchy"):
        raise BadInput(
            f"a hierarchy is read from schema {SCHEMA} of kind 'hierarchy'; it got schema "
            f"{held.get('schema')!r} of kind {held.get('kind')!r}. Find the relations anew."
        )
    try:
        rows: list[dict[str, Any]] = [
            {**e, **{k: tuple(e[k]) for k in ENDS}} for e in held["edges"]
        ]
        cycles = [Cycle(tuple(c["units"]), tuple((i, j) for i, j in c["cut"])) for c in held["cycles"]]  # fmt: skip # noqa: E501
        return Hierarchy(
            {one["unit"]: one["active"] for one in held["units"]},
            tuple(Edge(**row) for row in rows), held["positions"], held["implied"], tuple(cycles),
            {one["unit"]: tuple(one["synonyms"]) for one in held["units"] if one["synonyms"]},
            held["chance"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as problem:
        raise BadInput(
            f"this hierarchy cannot be read: {type(problem).__name__} {problem}. Find the "
            "relations anew."
        ) from None


def grouped(edges: Iterable[Edge], by: str, then: str, rank: Callable[[int], Pair]) -> dict[int, list[Edge]]:  # fmt: skip # noqa: E501
    """Edges by one end, each group in the rank of the other end."""
    found: dict[int, list[Edge]] = {}
    for edge in sorted(edges, key=lambda e: rank(getattr(e, then))):
        found.setdefault(getattr(edge, by), []).append(edge)
    return found


def hierarchy(
    edges: Edges,
    cycles: str = "merge",
    synonyms: Iterable[Pair] = (),
) -> Hierarchy:
    """Resolve cycles, merge synonyms, and take away what is implied."""
    if cycles not in ("merge", "cut"):
        raise BadInput(f"cycles are resolved by 'merge' or 'cut'; it got {cycles!r}. Choose one.")
    active = edges.active
    held, same = list(edges), list(synonyms)
    node = merged(active, same)
    held = between(held, node)
    found: list[Cycle] = []
    while loops := circles({(e.child, e.parent) for e in held}, len(active)):
        if cycles == "merge":
            found += [Cycle(units, ()) for units in loops]
            same += [(units[0], other) for units in loops for other in units[1:]]
            node = merged(active, same)
            held = between(held, node)
        else:
            held, found = cut(held, loops, found)
    kept = reduced((e.child, e.parent) for e in held)
    left = tuple(e for e in held if (e.child, e.parent) in kept)
    units = sorted({u for pair in kept for u in pair})
    others = {n: tuple(u for u, its in sorted(node.items()) if its == n and u != n) for n in units}
    return Hierarchy(
        {u: int(active[u]) for u in units}, left, edges.positions, len(held) - len(left),
        tuple(found), {n: its for n, its in others.items() if its},
        edges.chance.edges if edges.chance else None,
    )  # fmt: skip


def between(edges: Iterable[Edge], node: Mapping[int, int]) -> list[Edge]:
    """Edges between nodes: of parallel ones the strongest, none within a node."""
    best: dict[Pair, Edge] = {}
    for edge in edges:
        pair = node.get(edge.child, edge.child), node.get(edge.parent, edge.parent)
        if pair[0] != pair[1] and (pair not in best or edge.weighted > best[pair].weighted):
            best[pair] = edge._replace(child=pair[0], parent=pair[1])
    return [best[pair] for pair in sorted(best)]


def cut(
    edges: list[Edge], loops: list[tuple[int, ...]], found: list[Cycle]
) -> tuple[list[Edge], list[Cycle]]:
    """Remove the weakest edge of each set of cycles; note it with the set that it was first in."""
    for units in loops:
        inside = [e for e in edges if e.child in units and e.parent in units]
        weak = min(inside, key=lambda e: (e.weighted, -e.child, -e.parent))
        edges = [e for e in edges if e is not weak]
        pair = (weak.child, weak.parent)
        whole = next((i for i, c in enumerate(found) if set(units) <= set(c.units)), None)
        if whole is None:
            found = [*found, Cycle(units, (pair,))]
        else:
            old = found[whole]
            found = [*found[:whole], Cycle(old.units, (*old.cut, pair)), *found[whole + 1 :]]
    return edges, found
