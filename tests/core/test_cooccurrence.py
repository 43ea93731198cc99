import math

import pytest
import torch

from legenda.core import cooccurrence as module
from legenda.core.cooccurrence import PairCounts, lifts, presence, strongest_pairs
from legenda.core.interval import wilson
from legenda.errors import BadInput


def seen(images=40, k=7, share=0.4, seed=0):
    lot = torch.Generator().manual_seed(seed)
    return torch.rand(images, k, generator=lot) < share


def counted(x, units=None):
    return PairCounts(x.shape[1], units).update(x)


def slow_twin(x):
    """Equation (1), image by image and pair by pair."""
    k = x.shape[1]
    pairs = [[0] * k for _ in range(k)]
    for row in x.tolist():
        for i in range(k):
            for j in range(k):
                pairs[i][j] += row[i] and row[j]
    return pairs


def four_cells(images, first, second, lift, draws, seed=0):
    """Counts of two units whose true lift is known, drawn many times."""
    both = lift * first * second
    shares = torch.tensor([both, first - both, second - both, 1 - first - second + both])
    lot = torch.Generator().manual_seed(seed)
    cell = torch.multinomial(shares.expand(draws, 4), images, True, generator=lot)
    one, mine, its = ((cell == q).sum(1).double() for q in range(3))
    return one + mine, one + its, one


@pytest.mark.parametrize("rows", [1, 3, 1 << 10])
def test_counts_are_the_literal_double_loop(monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)
    x = seen()
    pairs = counted(x).result()
    assert pairs.pairs.tolist() == slow_twin(x)
    assert pairs.counts.tolist() == x.sum(0).tolist() and pairs.images == 40
    assert pairs.pairs.dtype == torch.int64


def test_a_token_grid_counts_once_per_image_however_often_a_token_is_in_it():
    grids = torch.tensor([[0, 0, 2], [2, 2, 2], [1, 0, 3]])
    wanted = [[1, 0, 1, 0, 0], [0, 0, 1, 0, 0], [1, 1, 0, 1, 0]]
    assert presence(grids, 5).int().tolist() == wanted
    pairs = PairCounts(5).update(grids).result()
    assert torch.equal(pairs.pairs, counted(torch.tensor(wanted, dtype=torch.bool)).pairs)
    assert pairs.pairs[0, 2] == 1 and pairs.pairs[2, 2] == 2


def test_counting_goes_on_where_float32_would_stop():
    large = 1 << 24
    assert torch.tensor(large).float() + 1 == large
    counts = counted(torch.ones(1, 2, dtype=torch.bool))
    counts.pairs[:] = large
    assert counts.update(torch.ones(1, 2, dtype=torch.bool)).pairs.tolist() == [[large + 1] * 2] * 2
    assert module.ROWS < large


def test_counts_of_parts_merge_to_those_of_the_whole_in_any_order():
    x = seen()
    whole, (a, b) = counted(x), (counted(x[:13]), counted(x[13:]))
    for both in (a.merge(b), b.merge(a)):
        assert both.images == 40 and torch.equal(both.pairs, whole.pairs)
    assert a.images == 13, "a merge leaves its parts as they were"


def test_a_result_is_not_changed_by_what_is_counted_later():
    counts = counted(seen())
    early = counts.result()
    before = early.pairs.clone()
    counts.update(seen(seed=1))
    assert torch.equal(early.pairs, before)


def test_chosen_units_keep_their_numbers():
    x = seen()
    whole, some = counted(x).result(), counted(x, [6, 1, 4]).result()
    assert some.units.tolist() == [1, 4, 6] and some.pairs.shape == (3, 3)
    assert some.lift(6, 1) == whole.lift(6, 1)
    assert {(p.first, p.second) for p in some.strongest(9, 1)} == {(1, 4), (1, 6), (4, 6)}


def test_lift_is_its_equation_and_treats_both_alike():
    x = seen()
    pairs, n = counted(x).result(), len(x)
    for i in range(7):
        for j in range(7):
            one, other, both = (
                int(x[:, i].sum()),
                int(x[:, j].sum()),
                int((x[:, i] & x[:, j]).sum()),
            )
            found = pairs.lift(i, j)
            assert found.value == pytest.approx(n * both / (one * other))
            assert found.interval[0] <= found.value <= found.interval[1]
            assert (found.together, found.counts, found.images) == (both, (one, other), n)
            assert pairs.lift(j, i).interval == pytest.approx(found.interval)


def test_the_interval_solves_its_quadratic():
    first, second, both, n, z = 30.0, 50.0, 22.0, 200, 1.959964
    _, low, high = (float(v) for v in lifts(n, *(torch.tensor([v]).double() for v in (first, second, both))))  # fmt: skip # noqa: E501
    c, i, j, m = both + 0.5, first + 1, second + 1, n + 2  # half an image in each of four cells
    kappa = 1 - c / i - c / j + c * (2 * m * c / (i * j) - 1) / m
    for end in (low, high):
        mean = end * first * second / n
        assert (both - mean) ** 2 == pytest.approx(z * z * kappa * mean)
    assert low < n * both / (first * second) < high


def test_the_lift_of_a_unit_with_itself_is_one_over_its_share():
    x = seen()
    pairs = counted(x).result()
    for i in range(7):
        assert pairs.lift(i, i).value == pytest.approx(40 / int(x[:, i].sum()))


def test_a_unit_that_is_everywhere_tells_nothing():
    x = seen()
    x[:, 0] = True
    found = counted(x).result().lift(0, 3)
    assert found.value == 1 and found.interval[0] < 1 < found.interval[1]


def test_units_that_never_meet_have_a_lift_of_0_and_an_interval():
    x = torch.zeros(100, 2, dtype=torch.bool)
    x[:10, 0], x[50:70, 1] = True, True
    found = counted(x).result().lift(0, 1)
    assert found.value == found.interval[0] == 0
    assert 1 < found.interval[1] < 3, "two would be expected, none are seen"


def test_four_times_as_many_images_halve_the_interval():
    x = seen(300)
    one, four = (counted(x.repeat(r, 1)).result().lift(0, 1) for r in (1, 4))
    wide, slim = (math.log(f.interval[1] / f.interval[0]) for f in (one, four))
    assert one.value == four.value
    assert slim == pytest.approx(wide / 2, rel=0.05)


@pytest.mark.parametrize(
    ("first", "second", "lift"),
    [(0.05, 0.05, 1), (0.1, 0.1, 1), (0.3, 0.2, 1), (0.9, 0.6, 1), (0.1, 0.1, 5), (0.1, 0.2, 4.8),
     (0.3, 0.3, 3), (0.4, 0.4, 0.3), (0.5, 0.5, 1.8)],
)  # fmt: skip
def test_the_interval_holds_the_true_lift_95_times_of_100(first, second, lift):
    _, low, high = lifts(400, *four_cells(400, first, second, lift, 4000))
    inside = float(((low <= lift) & (lift <= high)).double().mean())
    assert 0.93 < inside < 0.965


def test_wilson_over_the_base_share_would_not():
    first, second, both = four_cells(400, 0.1, 0.2, 4.8, 1000)
    ends = [wilson(int(c), int(i)) for c, i in zip(both, first, strict=True)]
    base = (second / 400).tolist()
    inside = [low / b <= 4.8 <= high / b for (low, high), b in zip(ends, base, strict=True)]
    assert sum(inside) < 600


def test_independent_units_have_a_lift_of_1():
    x = seen(500, 60, 0.3)
    pairs = counted(x).result()
    i, j = torch.triu_indices(60, 60, 1)
    held = pairs.counts.double()
    value, low, high = lifts(500, held[i], held[j], pairs.pairs[i, j].double())
    assert float(value.mean()) == pytest.approx(1, abs=0.01)
    assert 0.93 < float(((low <= 1) & (high >= 1)).double().mean()) < 0.97


def test_a_shuffle_keeps_units_and_parts_pairs():
    x = seen(200, 2, 0.3)
    x[:, 1] = x[:, 0]  # one is the other
    pairs = counted(x).result()
    shuffled = [pairs.shuffled(seed) for seed in range(200)]
    assert all(torch.equal(s.counts, pairs.counts) and s.images == 200 for s in shuffled)
    assert torch.equal(shuffled[3].pairs, pairs.shuffled(3).pairs)
    assert not torch.equal(shuffled[3].pairs, shuffled[4].pairs)
    mean = sum(s.lift(0, 1).value for s in shuffled) / 200
    assert pairs.lift(0, 1).value > 2.5
    assert mean == pytest.approx(1, abs=0.03)


def test_a_planted_pair_is_found_and_chance_makes_none_as_strong():
    x = seen(400, 30, 0.1, seed=3)
    x[:, 17] = x[:, 4] ^ (torch.rand(400, generator=torch.Generator().manual_seed(1)) < 0.02)
    found = strongest_pairs(counted(x).result(), count=3)
    assert (found.pairs[0].first, found.pairs[0].second) == (4, 17)
    assert found.control is not None
    assert found.pairs[0].interval[0] > 2 * found.control.interval[0]
    assert found.pairs[1].interval[0] < 1.5 * found.control.interval[0], "the rest is chance"
    lows = [p.interval[0] for p in found.pairs]
    assert len(lows) == 3 and lows == sorted(lows, reverse=True)


def test_a_pair_seen_twice_is_not_enough_and_lower_numbers_win_ties():
    x = torch.zeros(50, 6, dtype=torch.bool)
    x[:2, :2] = True  # a lift of 25 on two images
    x[10:20, 2:5] = True
    pairs = counted(x).result()
    assert [(p.first, p.second) for p in pairs.strongest()] == [(2, 3), (2, 4), (3, 4)]
    assert {(p.first, p.second) for p in pairs.strongest(9, 1)} >= {(0, 1)}
    assert strongest_pairs(counted(x[:5]).result()).control is None
    assert pairs.strongest(2) == pairs.strongest()[:2]
    assert len(pairs.strongest(least=10)) == 3 and not pairs.strongest(least=11)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: PairCounts(5, [1, 5]),
            "PairCounts counts some of 5 units, numbered from 0; it got 1 to 5. Choose one or more "
            "of them.",
        ),
        (
            lambda: PairCounts(5, []),
            "PairCounts counts some of 5 units, numbered from 0; it got none. Choose one or more "
            "of them.",
        ),
        (
            lambda: PairCounts(5).update(seen()),
            "PairCounts needs presence of 5 units, one column each; it got 7 columns. Use the "
            "dictionary that it was made for.",
        ),
        (
            lambda: PairCounts(5).update(torch.tensor([[0, 5]])),
            "token 5 is not one of 5, numbered from 0. Use its codebook.",
        ),
        (
            lambda: PairCounts(5).merge(PairCounts(5, [1, 2])),
            "PairCounts merges counts of the same units; these hold 5 of 5 and 2 of 5. Count the "
            "same in both.",
        ),
        (
            lambda: counted(seen(), [1, 2]).result().lift(1, 3),
            "unit 3 is not among the 2 that were counted. Count it too.",
        ),
        (
            lambda: counted(torch.tensor([[True, False]])).result().lift(0, 1),
            "unit 1 is in none of 1 images, so that it has no lift. Survey more images, or choose "
            "another unit.",
        ),
        (
            lambda: counted(seen()).result().strongest(0),
            "the strongest pairs are one or more, each in one image or more; it got count=0, "
            "least=5.",
        ),
    ],
    ids=["number", "none", "width", "token", "merge", "uncounted", "absent", "count"],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == said
