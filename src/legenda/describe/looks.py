"""Looks: which rows of a sheet each answer is given from.

Answers that agree say little if all looked at the same pictures in the same order. Each look is a
choice of rows in an order of its own; looks differ from one another while there are others left.
"""

from math import perm

import numpy as np

from legenda.errors import BadInput


def looks(there: int, rows: int, count: int, seed: int = 0) -> list[list[int]]:
    """`count` choices of `rows` rows, in order, of as many as are there; fewer where fewer are.

    Examples
    --------
    >>> sorted(looks(2, 5, 2))
    [[0, 1], [1, 0]]
    """
    if min(there, rows, count) < 1:
        raise BadInput(
            f"a look needs a row, and an answer a look; it got {there} rows, {rows} of them for "
            f"each of {count} looks."
        )
    lot, rows = np.random.default_rng([seed, 7]), min(rows, there)
    found: list[list[int]] = []
    while len(found) < count:
        drawn = lot.permutation(there)[:rows].tolist()
        used = len(found) // perm(there, rows)  # how often each was taken, once all were
        if found.count(drawn) <= used:
            found.append(drawn)
    return found
