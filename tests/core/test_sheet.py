import pytest
import torch

from legenda.core.sheet import Sheet, constant, reordered, shuffled


def sheet(rows=5, steps=8):
    """Frames that are numbered by their row and step."""
    number = torch.arange(rows * steps).float().view(rows, steps, 1, 1, 1) / (rows * steps)
    return Sheet(number.expand(-1, -1, 3, 4, 4).contiguous(), torch.linspace(-2, 2, steps), "m/3", 3)  # fmt: skip # noqa: E501


def steps_of(images):
    return images[:, :, 0, 0, 0].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_rows_are_permutations_that_run_neither_way(seed):
    plain = sheet(steps=3)
    mixed = plain.shuffled(seed)
    for own, other in zip(steps_of(plain.images), steps_of(mixed.images), strict=True):
        assert sorted(other) == own
        assert other not in (own, own[::-1])
    assert mixed.kind == "shuffled" and mixed.values.equal(plain.values) and mixed.index == 3


@pytest.mark.parametrize("seed", range(5))
def test_of_two_steps_the_other_order_is_taken(seed):
    assert shuffled(torch.zeros(6, 2, 1), seed).tolist() == [[1, 0]] * 6
    plain = sheet(steps=2)
    assert not any(map(torch.equal, plain.shuffled(seed).images, plain.images))
    assert shuffled(torch.zeros(2, 1, 1), seed).tolist() == [[0], [0]]


def test_rows_are_shuffled_each_by_its_own_lot():
    orders = shuffled(sheet(rows=12).images, 0)
    assert len({tuple(order.tolist()) for order in orders}) == 12
    assert orders.equal(shuffled(sheet(rows=12).images, 0))
    assert not orders.equal(shuffled(sheet(rows=12).images, 1))
    assert orders[:4].equal(shuffled(sheet(rows=4).images, 0))  # whatever rows follow


def test_constant_rows_are_one_of_their_own_frames_throughout():
    plain, still = sheet(rows=12), sheet(rows=12).constant(0)
    for own, other in zip(steps_of(plain.images), steps_of(still.images), strict=True):
        assert len(set(other)) == 1 and other[0] in own
    assert len(set(constant(plain.images, 0)[:, 0].tolist())) > 3
    assert still.kind == "constant" and float(still.effect().max()) == 0
    assert float(still.change().max()) == 0


def test_controls_leave_the_sheet_and_the_global_lot_alone():
    plain, before = sheet(), torch.get_rng_state()
    kept = plain.images.clone()
    plain.shuffled(3), plain.constant(3)
    assert plain.images.equal(kept) and plain.kind == "traversal"
    assert torch.get_rng_state().equal(before)


def test_reordering_goes_row_by_row():
    frames = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([[3, 2, 1, 0], [0, 0, 0, 0], [1, 3, 0, 2]])
    found = reordered(frames, order)
    for r in range(3):
        for s in range(4):
            assert found[r, s].equal(frames[r, order[r, s]])


def test_change_and_effect_are_spreads_along_rows():
    images = torch.rand(3, 5, 3, 6, 7, generator=torch.Generator().manual_seed(1))
    one = Sheet(images, torch.arange(5.0))
    change, effect = torch.zeros(6, 7), torch.zeros(3)
    for r in range(3):
        deviation = images[r] - images[r].mean(0)
        change += deviation.square().mean(0).sqrt().sum(0) / 9
        effect[r] = deviation.square().mean().sqrt()
    assert torch.allclose(one.change(), change, atol=1e-6)
    assert torch.allclose(one.effect(), effect, atol=1e-6)
    blink = torch.tensor([0.0, 1, 0, 1]).view(1, 4, 1, 1, 1).expand(2, 4, 3, 2, 2)
    assert float(Sheet(blink, torch.arange(4.0)).effect().max()) == pytest.approx(0.5)


def test_rows_may_be_taken_in_any_order_and_twice():
    found = sheet().rows([3, 0, 3])
    assert len(found) == 3 and found.images.equal(sheet().images[[3, 0, 3]])


def test_panels_name_row_and_value():
    panels = sheet(2, 3).panels()
    rows, values = ("row 1", "row 2"), ("-2.00", "+0.00", "+2.00")
    assert [p.caption for p in panels] == [f"{row}, {value}" for row in rows for value in values]
    assert panels[4].image.equal(sheet(2, 3).images[1, 1])
    assert set(sheet().arrays()) == {"images", "values"}
