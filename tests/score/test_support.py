import math

import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput, ShapeError
from legenda.score.support import dilated, on_cells, on_maps, scattered, shifted, support
from tests.score.concept_toys import CELLS, GRID, lot, mixed, parts, sparse


def literal_support(values: list[float], share: float) -> list[bool]:
    """Equation (1), one value after another."""
    total, mass, cut = math.fsum(values), 0.0, math.inf
    for value in sorted(values, reverse=True):
        mass, cut = mass + value, value
        if mass >= share * total:
            break
    return [value >= cut and value > 0 for value in values]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_support_agrees_with_its_literal_twin(share):
    maps = torch.rand(20, 30, generator=lot(1)).double().pow(3)
    want = torch.tensor([literal_support(row, share) for row in maps.tolist()])
    assert torch.equal(support(maps, share), want)


def test_support_by_hand():
    maps = torch.tensor([[5.0, 3.0, 1.0, 0.5, 0.5], [4.0, 4.0, 1.0, 1.0, 0.0]])
    assert support(maps).tolist() == [[True, True, True, False, False], [True] * 4 + [False]]
    assert support(maps, 0.5).tolist() == [[True] + [False] * 4, [True, True] + [False] * 3]


def test_support_knows_no_scale_and_grows_with_its_share():
    maps = torch.rand(5, 4, 9, generator=lot(2))
    assert torch.equal(support(maps), support(1000 * maps))
    sizes = [int(support(maps, share).sum()) for share in (0.2, 0.5, 0.9, 1.0)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] == maps.numel()


def test_a_map_of_zeros_has_no_support():
    assert not support(torch.zeros(2, 5)).any()
    assert support(torch.zeros(0, 5)).shape == (0, 5)


def test_dilated_agrees_with_its_literal_twin():
    masks = torch.rand(4, *GRID, generator=lot(3)) < 0.15
    want = torch.zeros_like(masks)
    for i, r, c in masks.nonzero().tolist():
        for y in range(max(0, r - 1), min(GRID[0], r + 2)):
            for x in range(max(0, c - 1), min(GRID[1], c + 2)):
                want[i, y, x] = True
    assert torch.equal(dilated(masks), want) and not torch.equal(want, masks)


def test_a_cell_belongs_to_a_mask_that_covers_enough_of_it():
    masks = torch.zeros(1, 4, 6, dtype=torch.bool)
    masks[0, 0, :3] = True  # half of the first cell of 2 x 3, ...
    masks[0, 2, 3] = True  # ... a sixth of the last
    assert on_cells(masks, (2, 2)).tolist() == [[[True, False], [False, False]]]
    assert on_cells(masks, (2, 2), 0.1).tolist() == [[[True, False], [False, True]]]
    assert torch.equal(on_cells(parts(), GRID), parts())
    assert torch.equal(on_cells(parts(scale=3), GRID), parts())


def test_on_maps_are_the_dense_code_of_one_image():
    dense = mixed(k=9)
    found = on_maps(sparse(dense), 4)
    want = dense[4].T
    assert found.units.tolist() == want.any(1).nonzero()[:, 0].tolist()
    torch.testing.assert_close(found.maps, want[found.units].double())


def test_padding_and_negative_weights_are_off():
    codes = Codes(torch.tensor([[[3, 1], [2, 0]]]), torch.tensor([[[1.0, 0.0], [-1.0, 0.5]]]), 5)
    assert on_maps(codes, 0).units.tolist() == [0, 3]


def test_the_strongest_are_kept_by_their_peak():
    dense = torch.zeros(1, CELLS, 4)
    dense[0, :, 0] = 0.1
    dense[0, 0, 1], dense[0, 1, 2], dense[0, 2, 3] = 3.0, 1.0, 2.0
    assert on_maps(sparse(dense), 0, 2).units.tolist() == [1, 3]
    assert on_maps(sparse(dense), 0, 9).units.tolist() == [0, 1, 2, 3]


def test_controls_keep_values_and_move_places():
    found = on_maps(sparse(mixed()), 0)
    for moved in (scattered(found, 0), shifted(found, GRID, 0)):
        assert torch.equal(moved.maps.sort(1).values, found.maps.sort(1).values)
        assert not torch.equal(moved.maps, found.maps)
    assert torch.equal(scattered(found, 3).maps, scattered(found, 3).maps)
    assert not torch.equal(scattered(found, 3).maps, scattered(found, 4).maps)


def test_a_shifted_map_keeps_its_shape():
    found = on_maps(sparse(mixed(k=5)), 1)
    moved = shifted(found, GRID, 0).maps.unflatten(1, GRID)
    for was, now in zip(found.maps.unflatten(1, GRID), moved, strict=True):
        rolls = [was.roll((y, x), (0, 1)) for y in range(GRID[0]) for x in range(GRID[1])]
        assert any(torch.equal(roll, now) for roll in rolls)


def test_padded_slots_change_no_lot():
    codes = sparse(mixed())
    spare = (torch.zeros_like(codes.index[..., :2]), torch.zeros_like(codes.weight[..., :2]))
    wider = Codes(torch.cat([codes.index, spare[0]], 2), torch.cat([codes.weight, spare[1]], 2), 6)
    one, other = (scattered(on_maps(c, 2), 0).maps for c in (codes, wider))
    assert torch.equal(one, other)


def test_what_has_no_support_is_refused():
    with pytest.raises(BadInput) as caught:
        support(torch.tensor([[1.0, -0.5, 2.0]]))
    assert str(caught.value) == (
        "support needs maps of 0 or more; 1 of 3 values are below, or NaN. "
        "Give the positive part of each map."
    )
    with pytest.raises(BadInput) as caught:
        support(torch.ones(1, 2), 0.0)
    assert str(caught.value) == (
        "support keeps a share of a map's mass above 0 and up to 1; it got 0.0. Try 0.9."
    )
    with pytest.raises(ShapeError) as caught:
        on_cells(torch.ones(1, 3, 3, dtype=torch.bool), (4, 4))
    assert str(caught.value) == (
        "masks for a grid of 4 x 4 need at least as many pixels; they have 3 x 3. "
        "Give masks at a higher resolution."
    )
