"""TopK: the k largest readings of each row, and nothing k wide to teach them."""

import pytest
import torch

from legenda.dictionaries.auxiliary import Revival, silent
from legenda.dictionaries.selection import above, rough, strongest, strongest_of_all
from legenda.dictionaries.sparse_gradient import error
from legenda.dictionaries.top_k import TopK
from legenda.errors import BadInput
from tests.dictionaries import toys
from tests.dictionaries.planted import Planted, fvu, matched, taught

UNITS, K = 40, 3


@pytest.fixture
def rows():
    return toys.drawn(60)


def test_value_and_gradient_are_those_of_the_dense_twin(rows):
    module = toys.stirred(TopK(UNITS, K, revive=None), rows)
    loss, figures = module.learner.loss(module, rows, 0, 1)
    z = toys.top_k(toys.readings(module, rows), K)
    slow, left = toys.nested_loss(module, rows, z, (UNITS,), (1.0,))
    toys.agree(loss, slow, module)
    spread = (rows - rows.mean(0)).square().sum()
    assert figures["fvu"] == pytest.approx(float(left.detach().square().sum() / spread), rel=1e-5)
    assert figures["l0"] == float((z > 0).sum()) / len(rows)
    assert figures["idle"] == float((z <= 0).all(0).double().mean())


@pytest.mark.parametrize("most", [2, 100], ids=["few", "all"])
def test_dead_units_explain_what_is_left(rows, most):
    rows = rows[:10]
    revive = Revival(weight=0.5, after=60, most=most)
    module = toys.stirred(TopK(UNITS, K, revive), toys.drawn(60))
    silent(module)[:] = 50
    z = toys.top_k(toys.readings(module, rows), K)
    dead = (z <= 0).all(0)
    assert 0 < int(dead.sum()) < UNITS
    loss, figures = module.learner.loss(module, rows, 0, 1)
    assert torch.equal(silent(module), torch.where(dead, 50 + len(rows), 0))
    assert figures["dead"] == float(dead.double().mean())
    slow, left = toys.nested_loss(module, rows, z, (UNITS,), (1.0,))
    slow = slow + 0.5 * toys.aux_loss(module, rows, left, dead, most)
    toys.agree(loss, slow, module)


def test_nobody_is_dead_before_their_time(rows):
    module = toys.stirred(TopK(UNITS, K), rows)
    rows = rows[:10]
    learner = TopK(UNITS, K, Revival(after=len(rows) + 1))
    with_aux, figures = learner.loss(module, rows, 0, 1)
    without, _ = TopK(UNITS, K, revive=None).loss(module, rows, 0, 1)
    assert torch.equal(with_aux, without) and figures["dead"] == 0.0
    assert figures["idle"] > 0, "some would be dead at once, were they not given time"


def test_bfloat16_changes_no_bit(rows):
    rows = toys.drawn(300, 64)
    module = toys.stirred(TopK(256, 5), rows)
    encoder, offset = module.encoder.detach(), module.offset.detach()
    centred = rows - module.bias.detach()
    exact = strongest(centred, encoder, offset, 5, half=False)
    half = strongest(centred, encoder, offset, 5, half=True)
    assert torch.equal(exact.units, half.units) and torch.equal(exact.weights, half.weights)
    rounded = (centred.bfloat16() @ encoder.bfloat16().T).float() + offset
    naive = rounded.topk(5, dim=1).indices.sort(1).values.flatten()
    assert not torch.equal(exact.units, naive), "rounding alone would have chosen others"
    many = strongest_of_all(centred, encoder, offset, 1500, half=False)
    half = strongest_of_all(centred, encoder, offset, 1500, half=True)
    assert torch.equal(many.units, half.units) and torch.equal(many.weights, half.weights)


def test_who_stands_beside_a_row_changes_no_bit():
    rows = toys.drawn(1500, 30)
    module = toys.stirred(TopK(96, 4), rows)
    together = module.encode(rows[None])
    for start, stop in ((0, 1), (500, 700), (1499, 1500)):
        alone = module.encode(rows[None, start:stop])
        assert torch.equal(alone.index, together.index[:, start:stop])
        assert torch.equal(alone.weight, together.weight[:, start:stop])


def test_of_equal_readings_the_lower_unit_wins():
    encoder, offset = torch.eye(4).repeat(8, 1), torch.zeros(32)
    rows = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    found = strongest(rows, encoder, offset, 3)
    assert found.units.tolist() == [0, 4, 8, 0, 1, 4] and found.starts.tolist() == [0, 3, 6, 6]
    every = strongest_of_all(rows, encoder, offset, 10)
    assert every.units.tolist() == [0, 4, 8, 12, 16, 20, 24, 28, 0, 1]
    assert every.rows.tolist() == [0] * 8 + [1] * 2


def test_sets_of_units_and_odd_sizes_find_the_same():
    lot = torch.Generator().manual_seed(3)
    for units in (1, 7, 96, 129, 512):
        encoder = torch.randn(units, 9, generator=lot)
        offset = torch.randn(units, generator=lot)
        rows = torch.randn(50, 9, generator=lot)
        a = rows @ encoder.T + offset
        for k in {1, min(4, units), units}:
            z = strongest(rows, encoder, offset, k)
            index, weight = z.slots()
            dense = torch.zeros(50, units).scatter_add(1, index, weight)
            torch.testing.assert_close(dense, toys.top_k(a, k), rtol=1e-5, atol=1e-5)
            assert all(len(set(row)) == len(row) for row in index.tolist()), "a unit has one slot"
        over = above(rows, encoder, offset, 0.5)
        assert len(over) == int((a > 0.5).sum())


def test_slots_are_the_strongest_first_and_name_each_unit_once(rows):
    module = toys.stirred(TopK(8, 8), rows)
    codes = module.encode(rows[None])
    assert all(len(set(row)) == len(row) for row in codes.index[0].tolist()), "none comes twice"
    assert (codes.weight.diff(dim=-1) <= 0).all() and (codes.weight == 0).any()
    dense = toys.top_k(toys.readings(module, rows), 8).detach()
    torch.testing.assert_close(codes.dense()[0], dense, rtol=1e-5, atol=1e-6)


def test_atoms_keep_their_length_and_gradients_do_not_pull_at_it(rows):
    module = toys.stirred(TopK(UNITS, K), rows)
    loss, _ = module.learner.loss(module, rows, 0, 1)
    grads = toys.gradients(loss, module)
    along = (grads["decoder"] * module.decoder).sum(1)
    assert along.abs().max() > 1e-3
    module.learner.shape(module, grads)
    torch.testing.assert_close(
        (grads["decoder"] * module.decoder).sum(1), torch.zeros(UNITS), atol=1e-6, rtol=0
    )
    with torch.no_grad():
        module.decoder *= 3
    module.learner.settle(module)
    torch.testing.assert_close(module.decoder.norm(dim=1), torch.ones(UNITS))


def test_a_planted_dictionary_is_found():
    source = Planted(width=16, units=24, active=2)
    module = taught(TopK(32, 3, Revival(after=2000, most=8)), source, steps=250)
    assert matched(module.atoms, source.atoms).mean() > 0.95
    assert fvu(module, source(1000, 5)) < 0.12
    assert matched(module.learner.begin(source(500, 1), 0).atoms, source.atoms).mean() < 0.7


def test_nothing_k_wide_is_kept_for_the_gradient(rows):
    module = toys.stirred(TopK(UNITS, K, revive=None), rows)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: sizes.append(t.shape) or t, lambda t: t
    ):
        on = module.learner.filled(module, rows)
        error(module, rows, on)
    assert sizes and all(shape != (len(rows), UNITS) for shape in sizes)


def test_more_units_on_explain_more(rows):
    left = []
    for k in (1, 4, 16):
        module = toys.stirred(TopK(UNITS, k), rows)
        with torch.no_grad():
            module.encoder.copy_(0.2 * module.decoder)
            module.offset.zero_()
        left.append(module.learner.loss(module, rows, 0, 1)[1]["fvu"])
    assert left[0] > left[1] > left[2]


@pytest.mark.parametrize("k", [0, 41])
def test_a_k_that_no_row_can_have_is_refused(k):
    with pytest.raises(BadInput) as caught:
        TopK(UNITS, k)
    assert str(caught.value) == (
        f"TopK has from 1 to 40 units on at a row, all that it has; it got k={k}. "
        "Change k, or units."
    )


def test_a_revival_that_revives_nobody_is_refused():
    with pytest.raises(BadInput) as caught:
        Revival(after=0)
    assert str(caught.value) == (
        "Revival needs a weight of 0 or more, and after and most of 1 or more; it got "
        "weight=0.03125, after=0, most=256. Change these."
    )


@pytest.mark.parametrize("half", [False, True])
def test_a_rough_reading_is_wrong_by_its_bound_at_most(half):
    rows = toys.drawn(200, 33) * torch.logspace(-3, 3, 200)[:, None]
    module = toys.stirred(TopK(96, 5), toys.drawn(200, 33))
    encoder = module.encoder.detach() * torch.logspace(-1, 1, 96)[:, None]
    offset = module.offset.detach() * 30
    exact = rows.double() @ encoder.double().T + offset.double()
    for start, readings, wrong in rough(rows, encoder, offset, half):
        gap = (readings.double() - exact[start : start + len(readings)]).abs()
        rounding = torch.finfo(readings.dtype).eps * readings.double().abs()
        assert (gap <= wrong[:, None] + rounding).all()
        loose = float((wrong.double() / gap.amax(1)).median())
        assert loose < (60 if half else 2000), "a bound that says nothing finds everybody"
