"""Places for the nodes of a graph, the same every time: near what they are tied to.

Each part that hangs together is laid out so that distances on paper are those along the edges,
counted in steps d, weighted towards near pairs; then the parts are put on shelves, largest first.

    stress(x) = Σ (‖x_i - x_j‖ - d_ij)² / d_ij²                           (1)

is brought down by majorisation, from the place that classical scaling gives.

References
----------
Gansner, Koren, North. Graph drawing by stress majorization. Graph Drawing 2004.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Edges = Sequence[tuple[int, int]]
STEPS, NEAR, MARGIN = 120, 0.8, 1.0
"""Rounds of majorisation; nodes closer than `NEAR` are pushed apart; room around each part."""


def layout(count: int, edges: Edges, seed: int = 0) -> Float[np.ndarray, "k 2"]:
    """Places of nodes 0 … count - 1, from (0, 0) on; an edge is about 1 long."""
    places = np.zeros((count, 2))
    pieces = parts(count, edges)
    drawn = [_part(part, edges, seed) for part in pieces]
    wide = max(
        np.sqrt(1.7 * sum(np.prod(np.ptp(x, 0) + MARGIN) for x in drawn)),
        max((np.ptp(x[:, 0]) + MARGIN for x in drawn), default=0.0),
    )
    left = top = shelf = 0.0
    for part, x in zip(pieces, drawn, strict=True):
        width, height = np.ptp(x, 0) + MARGIN
        if left and left + width > wide + 1e-9:
            left, top, shelf = 0.0, top + shelf, 0.0
        places[part] = x - x.min(0) + MARGIN / 2 + (left, top)
        left, shelf = left + width, max(shelf, height)
    return places


def parts(count: int, edges: Edges) -> list[list[int]]:
    """What hangs together, largest first."""
    near = _near(count, edges)
    seen: set[int] = set()
    found = []
    for start in range(count):
        if start in seen:
            continue
        part = [start]
        seen.add(start)
        for here in part:
            part += (fresh := sorted(near[here] - seen))
            seen |= set(fresh)
        found.append(sorted(part))
    return sorted(found, key=lambda part: (-len(part), part[0]))


def steps(count: int, edges: Edges) -> Float[np.ndarray, "k k"]:
    """How many edges lie between each two nodes of what hangs together."""
    near = _near(count, edges)
    far = np.full((count, count), np.inf)
    for start in range(count):
        far[start, start] = 0
        waiting = [start]
        for here in waiting:
            for other in sorted(near[here]):
                if np.isinf(far[start, other]):
                    far[start, other] = far[start, here] + 1
                    waiting.append(other)
    return far


def stress(x: Float[np.ndarray, "k 2"], far: Float[np.ndarray, "k k"]) -> float:
    """Equation (1), over all pairs."""
    i, j = np.triu_indices(len(x), 1)
    gap = np.linalg.norm(x[i] - x[j], axis=1)
    return float((((gap - far[i, j]) / far[i, j]) ** 2).sum())


def _near(count: int, edges: Edges) -> list[set[int]]:
    near: list[set[int]] = [set() for _ in range(count)]
    for one, other in edges:
        if one != other:
            near[one].add(other)
            near[other].add(one)
    return near


def _part(part: list[int], edges: Edges, seed: int) -> Float[np.ndarray, "k 2"]:
    if len(part) == 1:
        return np.zeros((1, 2))
    place = {node: i for i, node in enumerate(part)}
    inside = [(place[a], place[b]) for a, b in edges if a in place and b in place]
    far = steps(len(part), inside)
    x = _scaled(far) + np.random.default_rng(seed).normal(0, 1e-3, (len(part), 2))
    ready = pulls(far)
    for _ in range(STEPS):
        x = majorised(x, far, *ready)  # (1)
    return _apart(_turned(x))


def _scaled(far: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "k 2"]:
    """Classical scaling: the two directions in which squared distances are spread most."""
    centre = np.eye(len(far)) - 1 / len(far)
    values, vectors = np.linalg.eigh(-0.5 * centre @ far**2 @ centre)
    found = vectors[:, -2:] * np.sqrt(values[-2:].clip(0))
    signs = np.sign(found[np.abs(found).argmax(0), range(found.shape[1])])
    return found * np.where(signs == 0, 1, signs)


def pulls(far: Float[np.ndarray, "k k"]) -> tuple[np.ndarray, np.ndarray]:
    """The weights of pairs, and the inverse of their Laplacian."""
    weight = np.where(far > 0, 1 / np.where(far > 0, far, 1) ** 2, 0)
    return weight, np.linalg.pinv(np.diag(weight.sum(1)) - weight)


def majorised(
    x: Float[np.ndarray, "k 2"], far: Float[np.ndarray, "k k"],
    weight: Float[np.ndarray, "k k"], inverse: Float[np.ndarray, "k k"],
) -> Float[np.ndarray, "k 2"]:  # fmt: skip
    """One step of majorisation, which never raises the stress."""
    gap = np.linalg.norm(x[:, None] - x[None], axis=2)
    pull = weight * far / np.where(gap > 1e-9, gap, 1) * (gap > 1e-9)
    return inverse @ (np.diag(pull.sum(1)) - pull) @ x


def _turned(x: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
    """Along its longest direction, left to right."""
    x = x - x.mean(0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    return x @ axes.T if axes.shape == (2, 2) else x


def _apart(x: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
    """Push apart what is closer than `NEAR`."""
    for _ in range(60):
        gap = x[:, None] - x[None]
        far = np.linalg.norm(gap, axis=2)
        short = np.where((far < NEAR) & (far > 1e-9), (NEAR - far) / np.where(far > 0, far, 1), 0)
        if not short.any():
            break
        x = x + 0.4 * (gap * short[..., None]).sum(1)
    return x
