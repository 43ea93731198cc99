import math

import pytest
import torch

from legenda.core.codebook import Codebook
from legenda.models.kmeans import cells_of, first_entries, lloyd, sampled


def lot(seed=0):
    return torch.Generator().manual_seed(seed)


def cloud(count=60, width=3, seed=0):
    return torch.randn(count, width, generator=lot(seed), dtype=torch.float64)


def distortion(cells, entries):
    """D, written out."""
    return sum(min(math.dist(a, c) ** 2 for c in entries.tolist()) for a in cells.tolist()) / len(cells)  # fmt: skip # noqa: E501


def slow_lloyd(cells, entries):
    """Lloyd's two steps by hand, until the second changes nothing."""
    while True:
        groups = [[] for _ in entries]
        for a in cells:
            gaps = [math.dist(a, c) for c in entries]
            groups[gaps.index(min(gaps))].append(a)
        means = [[sum(column) / len(group) for column in zip(*group, strict=True)] for group in groups]  # fmt: skip # noqa: E501
        if all(math.dist(m, c) < 1e-12 for m, c in zip(means, entries, strict=True)):
            return means
        entries = means


@pytest.mark.parametrize("seed", range(5))
def test_it_ends_where_lloyds_steps_by_hand_end(seed):
    cells = cloud(seed=seed)
    start = cells[:4]
    slow = torch.tensor(slow_lloyd(cells.tolist(), start.tolist()), dtype=torch.float64)
    assert distortion(cells, slow) < 0.9 * distortion(cells, start), "there was something to do"
    torch.testing.assert_close(lloyd(cells, start), slow, rtol=0, atol=1e-10)


def test_a_fixed_point_stays_where_it_is():
    cells = cloud()
    found = lloyd(cells, cells[:5])
    assert torch.equal(lloyd(cells, found, rounds=1), lloyd(cells, found))
    torch.testing.assert_close(lloyd(cells, found), found, rtol=0, atol=1e-12)


def test_no_round_raises_the_distortion():
    cells = cloud(200)
    course = [distortion(cells, lloyd(cells, cells[:6], rounds)) for rounds in range(8)]
    assert all(b <= a + 1e-12 for a, b in zip(course, course[1:], strict=False))
    assert course[-1] < course[0]


@pytest.mark.parametrize("seed", range(3))
def test_one_more_entry_never_raises_the_distortion(seed):
    cells = cloud(80, seed=seed)
    entries, course = lloyd(cells, cells[:1]), []
    for _ in range(10):
        course.append(distortion(cells, entries))
        farthest = cells[Codebook(entries).nearest(cells[None])[1][0].argmax()]
        entries = lloyd(cells, torch.cat([entries, farthest[None]]))
    assert all(b < a for a, b in zip(course, course[1:], strict=False))


def test_an_entry_that_is_nearest_to_nothing_is_put_where_it_is_needed():
    cells = torch.tensor([[0.0, 0], [0, 1], [9, 9], [9, 8], [40, 0], [40, 0], [-40, 0]])
    start = torch.tensor([[1.0, 1], [1, 1], [1, 1], [500, 500]])
    first = lloyd(cells, start, rounds=1).tolist()
    assert [40, 0] in first and [-40, 0] in first, "two dead ones go to two places"
    found = lloyd(cells, start)
    counts = torch.bincount(Codebook(found).nearest(cells[None].double())[0][0], minlength=4)
    assert counts.all(), "none is dead at the end"
    wanted = torch.tensor([[-40.0, 0], [0, 0.5], [9, 8.5], [40, 0]], dtype=torch.float64)
    torch.testing.assert_close(found[found[:, 0].argsort()], wanted)


def test_entries_to_begin_with_are_cells_that_differ():
    cells = torch.tensor([[1.0], [1], [1], [1], [1], [2], [3]])
    for seed in range(20):
        chosen = first_entries(cells, 3, lot(seed))
        assert sorted(chosen.flatten().tolist()) == [1, 2, 3]


def test_far_cells_are_likelier_to_begin_with():
    """From 0, the cell at 3 has 9 of 10 chances against the one at 1."""
    cells = torch.tensor([[0.0]] * 1000 + [[1], [3]])
    second = [float(first_entries(cells, 2, lot(seed), candidates=1)[1]) for seed in range(400)]
    assert 0.85 < second.count(3.0) / 400 < 0.95


def test_of_several_candidates_the_one_that_helps_most_begins():
    """The ten cells at 10 weigh 1000, the one at 30 weighs 900; the ten help more."""
    cells = torch.tensor([[0.0]] * 1000 + [[10]] * 10 + [[30]])
    alone, among = (
        [float(first_entries(cells, 2, lot(seed), candidates)[1]) for seed in range(200)]
        for candidates in (1, 8)
    )
    assert 70 < alone.count(10.0) < 135, "1000 of 1900 chances"
    assert among.count(10.0) > 195


def test_a_sample_is_uniform_and_keeps_the_order():
    cells, times = torch.arange(40.0)[None, :, None], torch.zeros(40)
    for seed in range(400):
        kept = sampled(cells, 10, lot(seed)).flatten()
        assert len(kept) == 10 and torch.equal(kept, kept.sort().values)
        times[kept.long()] += 1
    assert times.min() > 100 - 45 and times.max() < 100 + 45, "five standard deviations"


@pytest.mark.parametrize("most", [7, 1000])
def test_how_latents_are_batched_changes_nothing(most):
    latents = torch.randn(9, 4, 3, generator=lot())
    parts = [sampled(latents.split(size), most, lot(3)) for size in (1, 2, 9)]
    assert torch.equal(parts[0], parts[1]) and torch.equal(parts[0], parts[2])
    assert torch.equal(parts[0], sampled(latents, most, lot(3)))


def test_grids_and_rows_are_the_same_cells():
    grids = torch.randn(2, 3, 4, 5, generator=lot())
    rows = grids.permute(0, 2, 3, 1).reshape(2, 20, 3)
    (from_grids,), (from_rows,) = list(cells_of(grids)), list(cells_of(rows))
    assert torch.equal(from_grids, from_rows) and from_rows.shape == (40, 3)
