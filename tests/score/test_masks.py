import pytest
import torch

from legenda.errors import BadInput
from legenda.score.masks import (
    MODES,
    Order,
    at_random,
    by_ids,
    by_score,
    depth,
    equal_area,
    gone_by_id,
    gone_by_list,
    gone_by_position,
    ran_out,
)

K, N = 9, 25


def tokens(count=6, k=K, seed=5):
    return torch.randint(k, (count, N), generator=torch.Generator().manual_seed(seed))


def scores(count=6, seed=2):
    return torch.rand(count, N, generator=torch.Generator().manual_seed(seed))


def orders(x):
    lists = torch.stack([torch.randperm(K)[:4] for _ in range(len(x))])
    return {
        "score": by_score(x, scores(len(x))),
        "flat": by_score(x, torch.zeros(x.shape)),
        "ids": by_ids(x, torch.tensor([4, 0, 7])),
        "lists": by_ids(x, lists),
        "random": at_random(x),
    }


def test_an_order_holds_every_position_once():
    x = tokens()
    for order in orders(x).values():
        assert torch.equal(order.positions.sort(1).values, torch.arange(N).expand(6, N))
        assert torch.equal(order.positions.gather(1, order.place), torch.arange(N).expand(6, N))


def test_a_score_puts_the_highest_first_and_ties_go_by_lot():
    x = tokens()
    assert torch.equal(by_score(x, scores()).positions, scores().argsort(1, descending=True))
    steps = (scores() * 4).floor()
    tied = by_score(x, steps)
    assert (steps.gather(1, tied.positions).diff(dim=1) <= 0).all()
    assert not torch.equal(tied.positions, by_score(x, steps, seed=1).positions)
    assert not torch.equal(tied.place[0], tied.place[1])


def test_ids_put_their_positions_first_in_the_order_of_the_list():
    x, ids = tokens(), [4, 0, 7, 4]
    order = by_ids(x, torch.tensor(ids))
    for b in range(len(x)):
        ranks = [ids.index(t) if t in ids else 9 for t in x[b, order.positions[b]].tolist()]
        assert ranks == sorted(ranks)
        assert int(order.listed[b]) == sum(t in ids for t in x[b].tolist())


def test_a_list_per_image_is_that_list_and_may_be_filled_up():
    x = tokens(3)
    lists = torch.tensor([[3, 1, -1], [8, -1, -1], [-1, 2, 0]])
    order = by_ids(x, lists)
    for b, ids in enumerate(([3, 1], [8], [2, 0])):
        alone = by_ids(x[b : b + 1], torch.tensor(ids))
        assert torch.equal(alone.positions[0], order.positions[b])
        assert torch.equal(alone.listed[0], order.listed[b])
        hidden = gone_by_list(x, lists)[b]
        assert torch.equal(hidden, torch.isin(x[b], torch.tensor(ids)))


def test_lists_may_name_ids_that_no_image_has():
    x = tokens()
    order = by_ids(x, torch.tensor([500, 3]))
    assert torch.equal(order.listed, (x == 3).sum(1))
    assert not by_ids(x, torch.tensor([500])).listed.any()


def literal_by_id(x, order, count):
    """The published way: look up the ids of the best positions, and go over every position."""
    gone = torch.zeros(x.shape, dtype=torch.bool)
    for b in range(len(x)):
        ids = {int(x[b, p]) for p in order.positions[b, :count].tolist()}
        for p in range(x.shape[1]):
            gone[b, p] = int(x[b, p]) in ids
    return gone


@pytest.mark.parametrize("count", [0, 1, 5, 25])
def test_masks_are_those_of_the_literal_twin(count):
    x = tokens()
    for order in orders(x).values():
        assert torch.equal(gone_by_id(x, order, count), literal_by_id(x, order, count))
        for b, row in enumerate(gone_by_position(order, count)):
            assert set(row.nonzero()[:, 0].tolist()) == set(order.positions[b, :count].tolist())


def walked(tokens, positions, listed, cells):
    """Whole ids in the order in which they are met, one image; the id that is cut; the rest."""
    whole, left = [], cells
    for p in positions[:listed]:
        token = tokens[p]
        if token in whole:
            continue
        size = tokens.count(token)
        if size > left:
            return whole, token, left
        whole.append(token)
        left -= size
    return whole, None, left


@pytest.mark.parametrize("cells", [1, 4, 9, 16, 24])
def test_equal_area_walks_down_the_list_and_cuts_the_last_id(cells):
    x = tokens()
    for order in orders(x).values():
        gone = equal_area(x, order, cells)
        assert (gone.sum(1) == cells).all()
        for b in range(len(x)):
            row, positions = x[b].tolist(), order.positions[b].tolist()
            whole, cut, left = walked(row, positions, int(order.listed[b]), cells)
            for p in range(N):
                if row[p] in whole:
                    assert gone[b, p]
            others = [row[p] for p in gone[b].nonzero()[:, 0].tolist() if row[p] not in whole]
            assert len(others) == left
            if cut is not None:
                assert set(others) <= {cut}
            assert bool(ran_out(order, cells)[b]) == (int(order.listed[b]) < cells)


def test_the_last_id_is_cut_by_lot_each_cell_as_often():
    x = torch.zeros(1, N, dtype=torch.int64)
    order = by_score(x, scores(1))
    often = sum(equal_area(x, order, 5, seed).double() for seed in range(400))
    assert (often[0] / 400 - 0.2).abs().max() < 0.09  # four and a half standard errors
    assert torch.equal(equal_area(x, order, 5, 3), equal_area(x, order, 5, 3))


def test_what_the_list_did_not_name_goes_by_lot_one_by_one():
    x = torch.tensor([[1] * 5 + [2] * 10 + [3] * 10])
    order = by_ids(x, torch.tensor([1]))
    gone = equal_area(x, order, 15)[0]
    assert gone[:5].all() and 0 < gone[5:15].sum() < 10, "no whole id that nobody named"
    assert ran_out(order, 15).all() and not ran_out(order, 5).any()


def test_an_order_of_ids_is_of_equal_area_already():
    x = tokens()
    order = by_ids(x, torch.tensor([4, 0, 7]))
    for cells in (3, 8, 20):
        assert torch.equal(equal_area(x, order, cells), gone_by_position(order, cells))


@pytest.mark.parametrize("mode", MODES)
def test_masking_more_never_gives_back_and_nothing_is_nothing(mode):
    x = tokens()
    for order in orders(x).values():
        deep = depth(x, order, mode)
        assert (deep >= 0).all() and (deep < N).all()
        for count in range(N):
            less, more = deep < count, deep < count + 1
            assert not (less & ~more).any()


def test_by_id_takes_what_by_position_takes_and_more():
    x = tokens()
    for order in orders(x).values():
        for count in (1, 5, 12):
            assert not (gone_by_position(order, count) & ~gone_by_id(x, order, count)).any()
    order = orders(x)["score"]
    assert gone_by_id(x, order, 5).sum() > gone_by_position(order, 5).sum()


@pytest.mark.parametrize("mode", MODES)
def test_an_image_does_not_depend_on_its_batch_mates(mode):
    x = tokens()
    rows = torch.tensor([4, 1])
    for name, make in {
        "score": lambda t, r: by_score(t, (scores()[r] * 3).floor()),
        "ids": lambda t, r: by_ids(t, torch.tensor([4, 0, 7])),
        "random": lambda t, r: at_random(t),
    }.items():
        every, few = make(x, torch.arange(6)), make(x[rows], rows)
        assert torch.equal(every.at(rows).positions, few.positions), name
        assert torch.equal(depth(x, every, mode)[rows], depth(x[rows], few, mode)), name


def test_the_kind_of_integer_changes_nothing():
    x = tokens()
    for kind in (torch.int32, torch.int16):
        small = x.to(kind)
        order = by_ids(small, torch.tensor([4, 0, 7]))
        assert torch.equal(order.positions, orders(x)["ids"].positions)
        assert torch.equal(depth(small, order, "id"), depth(x, order, "id"))
        assert torch.equal(depth(small, order, "equal-area"), depth(x, order, "equal-area"))


def test_masks_refuse_scores_that_are_no_numbers_and_too_many_cells():
    x, broken = tokens(), scores()
    broken[1, 3] = torch.nan
    broken[4, 0] = torch.inf
    with pytest.raises(BadInput) as error:
        by_score(x, broken)
    assert str(error.value) == (
        "an order needs finite scores; 2 of 6 images hold NaN or infinity. Mend the importance."
    )
    order = by_score(x, scores())
    for take in (
        lambda n: gone_by_position(order, n),
        lambda n: gone_by_id(x, order, n),
        lambda n: equal_area(x, order, n),
    ):
        with pytest.raises(BadInput) as error:
            take(26)
        assert str(error.value) == (
            "masks take 0 to 25 cells of a grid of 25; 26 were asked for. Choose fewer."
        )
        with pytest.raises(BadInput, match="-1 were asked for"):
            take(-1)
    assert isinstance(order.at(torch.tensor([0])), Order)
