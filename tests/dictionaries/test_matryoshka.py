"""Matryoshka BatchTopK: the first groups must do without the later ones."""

import pytest
import torch

from legenda.core.codes import Codes
from legenda.dictionaries.auxiliary import Revival, silent
from legenda.dictionaries.batch_top_k import BatchTopK, together
from legenda.dictionaries.matryoshka import MatryoshkaBatchTopK
from legenda.dictionaries.sparse_gradient import error, split
from legenda.errors import BadInput
from tests.dictionaries import toys
from tests.dictionaries.planted import taught

GROUPS = (3, 7, 30)


@pytest.fixture
def rows():
    return toys.drawn(60)


@pytest.mark.parametrize("double", [False, True], ids=["mean", "published"])
@pytest.mark.parametrize("weights", [None, (0.5, 0.0, 2.0)], ids=["alike", "weighted"])
def test_value_and_gradient_are_those_of_the_reference_formula(rows, double, weights):
    revive = Revival(weight=1 / 32, after=70, most=4)
    learner = MatryoshkaBatchTopK(40, 3, GROUPS, weights, double, revive)
    module = toys.stirred(learner, rows)
    rows = rows[:10]
    silent(module)[:] = 65
    loss, _ = learner.loss(module, rows, 0, 1)
    z = toys.batch_top_k(toys.readings(module, rows), 30)
    dead = (z <= 0).all(0)
    assert 0 < int(dead.sum()) < 40
    shares = weights or (1 / 3,) * 3
    errors, left = toys.nested_loss(module, rows, z, GROUPS, shares)
    if double:
        errors = errors / 3  # the published code takes a mean of what is weighted by 1 / 3 already
    aux = toys.aux_loss(module, rows, left, dead, 4)
    toys.agree(loss, errors + aux / 32, module)


def test_groups_start_where_their_first_slot_is(rows):
    module = toys.stirred(MatryoshkaBatchTopK(40, 3, GROUPS), rows)
    on = together(module.learner, module, rows)
    starts, begin = split(on, GROUPS), 0
    edges = [0, 3, 10, 40]
    for place in range(60 * 3):
        row, group = divmod(place, 3)
        inside = (on.rows == row) & (on.units >= edges[group]) & (on.units < edges[group + 1])
        assert starts[place] == begin
        begin += int(inside.sum())
    assert starts[-1] == begin == len(on)


def test_one_group_is_batch_top_k(rows):
    one = toys.stirred(MatryoshkaBatchTopK(40, 3, (40,)), rows)
    plain = toys.stirred(BatchTopK(40, 3), rows)
    ours, theirs = one.learner.loss(one, rows, 0, 1), plain.learner.loss(plain, rows, 0, 1)
    assert torch.equal(ours[0], theirs[0]) and ours[1] == theirs[1]


def test_what_comes_later_teaches_what_came_before_but_not_the_reverse(rows):
    module = toys.stirred(MatryoshkaBatchTopK(40, 3, GROUPS), rows)
    on = together(module.learner, module, rows)
    first, _ = error(module, rows, on, GROUPS, (1.0, 0.0, 0.0))
    assert not toys.gradients(first, module)["decoder"][3:].any()
    last, _ = error(module, rows, on, GROUPS, (0.0, 0.0, 1.0))
    assert toys.gradients(last, module)["decoder"][:3].any()
    whole, _ = error(module, rows, on)
    torch.testing.assert_close(last, whole)


ATOMS = torch.nn.functional.normalize(
    torch.randn(16, 24, generator=torch.Generator().manual_seed(99)), dim=1
)


class Tree(toys.Source):
    """Rows of a parent, 0 to 3, and of one of its three children."""

    def batch(self, step, size, seed):
        lot = torch.Generator().manual_seed(1000 * seed + step)
        parent = torch.randint(4, (size,), generator=lot)
        child = 4 + 3 * parent + torch.randint(3, (size,), generator=lot)
        strength = 1 + 0.2 * torch.rand(size, 2, generator=lot)
        return strength[:, :1] * ATOMS[parent] + 0.7 * strength[:, 1:] * ATOMS[child]


def left_by_first(module, rows, count):
    """FVU of what the first units write."""
    codes = module.encode(rows[None])
    first = Codes(codes.index, codes.weight * (codes.index < count), codes.size)
    left = rows - module.decode(first)[0]
    return float(left.square().sum() / (rows - rows.mean(0)).square().sum())


def test_the_first_group_can_do_without_the_later_ones():
    revive, rows = Revival(after=2000, most=8), Tree(24).batch(9999, 1000, 0)
    learner = MatryoshkaBatchTopK(20, 2, (4, 16), revive=revive)
    nested = taught(learner, Tree(24), steps=250)
    flat = taught(BatchTopK(20, 2, revive), Tree(24), steps=250)
    assert left_by_first(nested, rows, 4) < 0.35, "four units for four parents"
    assert left_by_first(flat, rows, 4) > 0.6, "four units among equals"
    assert left_by_first(nested, rows, 20) < 0.05


def test_settings_that_make_no_sense_are_refused():
    for groups in ((3, 7), (), (0, 40)):
        with pytest.raises(BadInput) as caught:
            MatryoshkaBatchTopK(40, 3, groups)
        assert str(caught.value) == (
            f"MatryoshkaBatchTopK needs groups of 1 unit or more that sum to its 40 units; it got "
            f"{groups}, which sum to {sum(groups)}. Change these."
        )
    with pytest.raises(BadInput) as caught:
        MatryoshkaBatchTopK(40, 3, GROUPS, (1.0, 2.0))
    assert str(caught.value) == (
        "MatryoshkaBatchTopK needs a weight of 0 or more for each of its 3 groups, not all 0; "
        "it got (1.0, 2.0). Change these."
    )
    with pytest.raises(BadInput) as caught:
        MatryoshkaBatchTopK(40, 41, GROUPS)
    assert str(caught.value) == (
        "MatryoshkaBatchTopK has from 1 to 40 units on at a row, all that it has; it got k=41. "
        "Change k, or units."
    )
