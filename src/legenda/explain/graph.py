"""Graphs of units: what is implied, what runs in circles, what is the same, and how two agree.

A pair (i, j) is an edge from a child i to a parent j.

How far a found graph agrees with a true one is told by its edges. With t of them right, f found
and g true,

    precision = t / f,   recall = t / g,   F1 = 2t / (f + g) = 2J / (1 + J),
    J = t / (f + g - t)                                                   (1)

F1's interval is Wilson's of J, carried over: it takes edges for independent draws.

References
----------
Aho, Garey, Ullman. The transitive reduction of a directed graph. SIAM Journal on Computing 1972.
Kahn. Topological sorting of large networks. Communications of the ACM 1962. Parents first.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from legenda.core.interval import Interval, wilson
from legenda.errors import BadInput
from legenda.types import Atoms

Pair = tuple[int, int]
ROWS = 1024
"""So many atoms are compared with all others at once."""


class Agreement(NamedTuple):
    """Equation (1): `right` of the `found` edges are among the `true` ones."""

    f1: float
    interval: Interval
    precision: float
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    right: int
    found: int
    true: int


def edge_f1(found: Collection[Pair], true: Collection[Pair]) -> Agreement:
    """How far the edges of two graphs agree; both as transitive reductions, or neither.

    Examples
    --------
    >>> edge_f1({(1, 0), (2, 0)}, {(1, 0), (3, 1)}).f1
    0.5
    """
    f, g = len(set(found)), len(set(true))
    t = len(set(found) & set(true))
    low, high = wilson(t, f + g - t)
    return Agreement(
        2 * t / (f + g) if f + g else 1.0, (2 * low / (1 + low), 2 * high / (1 + high)),
        t / f if f else 0.0, wilson(t, f), t / g if g else 1.0, wilson(t, g), t, f, g,
    )  # fmt: skip


def ordered(units: Iterable[int], pairs: Iterable[Pair]) -> list[int]:
    """Units in an order in which each comes after its parents; refuses a circle."""
    children: dict[int, list[int]] = {}
    waits = dict.fromkeys(sorted(units), 0)
    for child, parent in sorted(pairs):
        children.setdefault(parent, []).append(child)
        waits[child] = waits.get(child, 0) + 1
        waits.setdefault(parent, 0)
    found = [unit for unit, many in waits.items() if not many]
    for unit in found:
        for child in children.get(unit, ()):
            waits[child] -= 1
            if not waits[child]:
                found.append(child)
    if len(found) < len(waits):
        raise BadInput(
            f"{len(waits) - len(found)} of {len(waits)} units lie on cycles or below them, so that "
            "they have no order. Resolve the cycles first."
        )
    return found


def reduced(pairs: Iterable[Pair]) -> frozenset[Pair]:
    """The fewest edges with the same ancestors: those that no other path implies."""
    pairs = set(pairs)
    parents: dict[int, list[int]] = {}
    for child, parent in pairs:
        parents.setdefault(child, []).append(parent)
    order = ordered((), pairs)
    bit = {unit: 1 << place for place, unit in enumerate(order)}
    above: dict[int, int] = {}  # ancestors as bits, so that thousands are joined at once
    kept: set[Pair] = set()
    for unit in order:
        implied = 0
        for parent in parents.get(unit, ()):
            implied |= above[parent]
        above[unit] = implied
        for parent in parents.get(unit, ()):
            above[unit] |= bit[parent]
            if not implied & bit[parent]:
                kept.add((unit, parent))
    return frozenset(kept)


def reached(unit: int, onward: Callable[[int], Iterable[int]]) -> frozenset[int]:
    """All that is reached from a unit, itself left out."""
    found: set[int] = set()
    waiting = [unit]
    while waiting:
        fresh = set(onward(waiting.pop())) - found
        found |= fresh
        waiting += fresh
    return frozenset(found - {unit})


def merged(active: Int[np.ndarray, " k"], same: Iterable[Pair]) -> dict[int, int]:
    """The node of each unit that has synonyms: the one of them that is on most."""
    groups: dict[int, set[int]] = {}
    for a, b in same:
        both = groups.get(a, {a}) | groups.get(b, {b})
        groups |= dict.fromkeys(both, both)
    return {u: min(its, key=lambda v: (-int(active[v]), v)) for u, its in groups.items()}


def circles(pairs: Collection[Pair], size: int) -> list[tuple[int, ...]]:
    """Sets of units that lie on common cycles, in order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return []
    rows, columns = np.array(sorted(pairs)).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), (size, size))
    _, label = connected_components(graph, directed=True, connection="strong")
    many = np.flatnonzero(np.bincount(label) > 1)
    return sorted(tuple(np.flatnonzero(label == one).tolist()) for one in many)


def parallel(atoms: Atoms, least: float = 0.9) -> list[Pair]:
    """Pairs of units whose atoms point the same way: their cosine is at least `least`."""
    if not 0 < least <= 1:
        raise BadInput(f"atoms are parallel from a cosine above 0, at most 1; it got {least}.")
    unit = torch.nn.functional.normalize(atoms.detach().double(), dim=1)
    found: list[Pair] = []
    for start in range(0, len(unit), ROWS):
        near = (unit[start : start + ROWS] @ unit.T >= least).triu(start + 1)
        found += [(start + i, j) for i, j in near.nonzero().tolist()]
    return found
