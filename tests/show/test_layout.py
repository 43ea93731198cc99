import itertools
import math

import numpy as np
import pytest

from legenda.show.layout import layout, majorised, parts, pulls, steps, stress


def random_edges(count, many, seed):
    draw = np.random.default_rng(seed)
    return [tuple(map(int, draw.integers(0, count, 2))) for _ in range(many)]


def slow_steps(count, edges):
    """Floyd and Warshall."""
    far = [[0 if i == j else math.inf for j in range(count)] for i in range(count)]
    for i, j in edges:
        if i != j:
            far[i][j] = far[j][i] = 1
    for k, i, j in itertools.product(range(count), repeat=3):
        far[i][j] = min(far[i][j], far[i][k] + far[k][j])
    return far


def slow_stress(x, far):
    """Equation (1), pair by pair."""
    total = 0.0
    for i in range(len(x)):
        for j in range(i):
            gap = math.hypot(*(x[i] - x[j]))
            total += (gap - far[i][j]) ** 2 / far[i][j] ** 2
    return total


@pytest.mark.parametrize("seed", range(3))
def test_steps_and_stress_are_their_slow_twins(seed):
    edges = random_edges(9, 14, seed)
    assert steps(9, edges).tolist() == slow_steps(9, edges)
    part = parts(9, edges)[0]
    far = steps(9, edges)[np.ix_(part, part)]
    x = np.random.default_rng(seed).normal(size=(len(part), 2))
    assert stress(x, far) == pytest.approx(slow_stress(x, far))


def test_majorisation_never_raises_the_stress_and_lowers_it():
    edges = [(i, (i + 1) % 10) for i in range(10)] + [(0, 5), (2, 7)]
    far, x = steps(10, edges), np.random.default_rng(0).normal(size=(10, 2))
    found = [stress(x, far)]
    for _ in range(30):
        x = majorised(x, far, *pulls(far))
        found.append(stress(x, far))
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(found)) and found[-1] < found[0] / 4


def test_a_chain_lies_straight_and_in_order():
    x = layout(6, [(i, i + 1) for i in range(5)])
    order = x[:, 0].argsort().tolist()
    assert order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0])
    assert np.ptp(x[:, 1]) < 0.05 and np.allclose(np.abs(np.diff(x[:, 0])), 1, atol=0.05)


def test_neighbours_are_nearer_than_strangers():
    edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)]
    x, far = layout(6, edges), steps(6, edges)
    gap = np.linalg.norm(x[:, None] - x[None], axis=2)
    assert gap[far == 1].max() < gap[far == 3].min()


@pytest.mark.parametrize("count, edges", [
    (60, random_edges(60, 120, 0)), (40, [(0, i) for i in range(1, 40)]),
    (7, [(0, 1), (2, 3), (4, 4)]), (1, []), (5, [(i, j) for i in range(5) for j in range(i)]),
])  # fmt: skip
def test_nodes_are_apart_inside_and_the_same_every_time(count, edges):
    x = layout(count, edges)
    assert np.isfinite(x).all() and (x >= 0).all() and (layout(count, edges) == x).all()
    gap = np.linalg.norm(x[:, None] - x[None], axis=2) + 9 * np.eye(count)
    assert gap.min() > 0.5


def test_what_does_not_hang_together_does_not_overlap():
    edges = [(0, 1), (1, 2), (3, 4), (5, 6), (6, 7), (7, 5)]
    x = layout(8, edges)
    boxes = [(x[p].min(0) - 0.2, x[p].max(0) + 0.2) for p in parts(8, edges)]
    for (low, high), (least, most) in itertools.combinations(boxes, 2):
        assert (high <= least).any() or (most <= low).any()


def test_the_largest_part_comes_first():
    assert parts(6, [(4, 5), (1, 2), (2, 3)]) == [[1, 2, 3], [4, 5], [0]]


def test_no_nodes_are_no_places():
    assert layout(0, []).shape == (0, 2)
