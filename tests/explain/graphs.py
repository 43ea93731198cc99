"""Small graphs of units, as edges with made-up support."""

import numpy as np

from legenda.explain.edges import Edges


def edges_of(pairs, active=None, kinds=()):
    """Edges by pair, with P_D where given; earlier units are on more unless said otherwise."""
    found = dict(pairs) if isinstance(pairs, dict) else dict.fromkeys(sorted(pairs), 0.9)
    size = 1 + max((u for pair in found for u in pair), default=0)
    on = np.array(active if active is not None else [100 * (size - i) for i in range(size)])
    child, parent = (np.array([p[i] for p in found], np.int64) for i in (0, 1))
    weighted = np.array(list(found.values()), np.float64)
    share, lift = weighted - 0.02, np.full(len(found), 3.0)
    return Edges(
        10_000, on, child, parent, (share * on[child]).astype(np.int64), weighted, share,
        np.stack([share - 0.05, share + 0.01], 1), lift, np.stack([lift - 1, lift + 1], 1),
        on[child].astype(np.float64), tuple(kinds),
    )  # fmt: skip


def lot_of_pairs(seed, units=15, many=40):
    """Edges by lot from later units to earlier ones, so that there is no cycle."""
    lot = np.random.default_rng(seed)
    ends = np.sort(lot.integers(0, units, (many, 2)), axis=1)
    return {(int(b), int(a)) for a, b in ends if a != b}
