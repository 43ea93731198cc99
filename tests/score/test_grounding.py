import math

import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import upsample
from legenda.score.grounding import (
    Grounding,
    chosen,
    joined,
    kept_to,
    map_iou,
    nearest,
    part_of,
)
from legenda.score.support import dilated, on_cells, support
from tests.score.concept_toys import CELLS, GRID, lot, marking, mixed, parts, resampled, sparse


def literal_pieces(dense, masks, at="grid", strongest=None, widened=True):
    """IoU, impurity and presence of every image, unit and part, over k-wide maps."""
    b, k, p = len(dense), dense.shape[2], masks.shape[1]
    iou, impurity = torch.zeros(b, k, p), torch.full((b, k), math.nan)
    on, seen = torch.zeros(b, k, dtype=torch.bool), torch.zeros(b, p, dtype=torch.bool)
    for i in range(b):
        small = on_cells(masks[i], GRID) if at == "grid" else masks[i]
        wide = dilated(small) if widened else small
        seen[i] = small.flatten(1).any(1)
        peaks = dense[i].amax(0)
        keep = peaks.argsort(descending=True)[: strongest or k].tolist()
        for u in keep:
            if peaks[u] <= 0:
                continue
            on[i, u] = True
            m = dense[i, :, u].double()
            if at == "masks":
                m = upsample(m[None], GRID, tuple(masks.shape[2:])).flatten()
            s = support(m)
            mass = []
            for q in range(p):
                part = wide[q].flatten()
                iou[i, u, q] = (s & part).sum() / (s | part).sum()
                mass.append(float(m[s & part].sum()))
            mass.append(float(m[s & ~wide.any(0).flatten()].sum()))
            shares = [one / sum(mass) for one in mass if one > 0]
            impurity[i, u] = -sum(one * math.log(one) for one in shares)
    return iou, impurity, on, seen


def literal(dense, masks, least=5, **protocol):
    """Equations (1) to (3), in words of loops."""
    iou, impurity, on, seen = literal_pieces(dense, masks, **protocol)
    k, p = iou.shape[1:]
    shown = [q for q in range(p) if seen[:, q].any()]
    locality = [float(iou[seen[:, q], :, q].amax(1).double().mean()) for q in shown]
    consistency = []
    for q in shown:
        means = [float(iou[on[:, u] | seen[:, q], u, q].double().mean()) for u in range(k)]
        consistency.append(max(means))
    pure = []
    for u in range(k):
        rows = on[:, u] & seen.any(1)
        if int(rows.sum()) >= least:
            pure.append(float(impurity[rows, u].double().mean()))
    return [sum(one) / len(one) for one in (locality, consistency, pure)]


@pytest.mark.parametrize("at", ["grid", "masks"])
@pytest.mark.parametrize(("strongest", "widened"), [(None, True), (3, False)])
def test_grounding_agrees_with_its_literal_twin(at, strongest, widened):
    masks = parts(scale=2)
    dense = marking(on_cells(masks, GRID))
    found = Grounding(at, strongest, widened=widened)(sparse(dense), masks, GRID)
    got = [found.locality.value, found.consistency.value, found.impurity.value]
    want = literal(dense, masks, at=at, strongest=strongest, widened=widened)
    assert got == pytest.approx(want, rel=1e-6)
    assert found.locality.n == 12 and found.impurity.unit == "nats"


def test_mixed_codes_agree_too_and_absent_parts_are_left_out():
    masks = parts(p=4)
    masks[:, 2] = False
    dense = mixed()
    found = Grounding(least=3)(sparse(dense), masks, GRID)
    got = [found.locality.value, found.consistency.value, found.impurity.value]
    assert got == pytest.approx(literal(dense, masks, least=3), rel=1e-6)
    assert found.units[2] == -1 and found.each[2].isnan() and (found.units[[0, 1, 3]] >= 0).all()


def test_batches_change_no_bit():
    masks, dense = parts(), marking(parts())
    codes, how = sparse(dense), Grounding()
    whole = how(codes, masks, GRID)
    pieces = []
    for rows in torch.arange(12).split(5):
        few = 7 if len(rows) == 5 else 6  # another batch, another number of slots
        part = Codes(codes.index[rows][..., :few], codes.weight[rows][..., :few], codes.size)
        pieces.append(how.tally(part, masks[rows], GRID))
    merged = how.scores(joined(pieces))
    assert (codes.weight[10:, :, 6:] == 0).all()
    assert (merged.locality, merged.consistency, merged.impurity) == (
        whole.locality,
        whole.consistency,
        whole.impurity,
    )  # noqa: E501


def test_units_that_mark_parts_are_found():
    masks = parts(40)
    how = Grounding(widened=False)
    found = how(sparse(marking(masks)), masks, GRID)
    assert found.units.tolist() == [0, 1, 2]
    assert found.consistency.beats_control and found.locality.beats_control
    noise = how(sparse(mixed(40)), masks, GRID)
    assert noise.consistency.value < 0.3 < 0.8 < found.consistency.value
    assert not noise.consistency.beats_control
    assert found.locality.value >= found.consistency.value


def test_masks_made_wider_count_against_units_that_keep_to_small_parts():
    masks = parts(40)
    codes = sparse(marking(masks, extra=0))
    exact, wide = (
        Grounding(widened=w)(codes, masks, GRID).consistency.value for w in (False, True)
    )
    assert exact > 0.8 and 6 / 20 < wide < 0.4  # a rectangle of 6 cells becomes one of up to 20


def test_the_closer_control_keeps_maps_in_one_piece():
    """A map in one piece lies on one part or on none, so that it is purer and hits at times."""
    masks = parts(60)
    codes = sparse(marking(masks, extra=0))
    far, near = (Grounding(control=how)(codes, masks, GRID) for how in ("scattered", "shifted"))
    assert far.locality.value == near.locality.value
    assert far.locality.control < near.locality.control < near.locality.value
    assert far.impurity.control > near.impurity.control > near.impurity.value


def test_a_unit_on_one_part_is_pure_and_one_on_two_is_not():
    masks = torch.zeros(6, 2, *GRID, dtype=torch.bool)
    masks[:, 0, 0, :2], masks[:, 1, 4:, 4:] = True, True
    dense = torch.zeros(6, CELLS, 2)
    flat = masks.flatten(2)
    dense[..., 0] = flat[:, 0].float()
    one = Grounding()(sparse(dense), masks, GRID)
    assert one.impurity.value == 0
    dense[..., 0] = flat[:, 0] / flat[:, 0].sum(1, keepdim=True) + flat[:, 1] / flat[:, 1].sum(
        1, keepdim=True
    )  # noqa: E501
    both = Grounding(share=1.0)(sparse(dense), masks, GRID)
    assert both.impurity.value == pytest.approx(math.log(2), rel=1e-6)


def test_rare_units_do_not_count_as_pure():
    masks = parts(12)
    found = Grounding(least=13)(sparse(marking(masks)), masks, GRID)
    assert math.isnan(found.impurity.value) and math.isnan(found.impurity.interval[0])
    assert found.impurity.beats_control is None


def test_map_iou_measures_where_it_did_not_choose():
    masks = parts(40)
    dense = marking(masks)
    overlaps = Grounding().tally(sparse(dense), masks, GRID)
    found = map_iou(overlaps)
    assert found.units.tolist() == [0, 1, 2] and found.score.n == 20 and found.score.beats_control
    iou, _, on, seen = literal_pieces(dense, masks)
    order = torch.randperm(40, generator=lot(0))
    second = order[20:]
    want = [
        float(iou[second[on[second, q] | seen[second, q]], q, q].double().mean()) for q in range(3)
    ]
    assert found.each.tolist() == pytest.approx(want, rel=1e-6)
    assert found.score.value == pytest.approx(sum(want) / 3, rel=1e-6)


def test_choosing_among_many_flatters_and_map_iou_does_not():
    masks = parts(16)
    overlaps = Grounding().tally(sparse(mixed(16, 60, 0.05)), masks, GRID)
    same = Grounding().scores(overlaps).consistency.value
    assert map_iou(overlaps).score.value < 0.9 * same


def test_an_unseen_part_has_no_unit_elsewhere():
    masks = parts(12)
    first = torch.randperm(12, generator=lot(0))[:6]
    masks[first, 1] = False
    found = map_iou(Grounding().tally(sparse(marking(masks)), masks, GRID))
    assert found.units[1] == -1 and found.each[1].isnan() and found.score.value > 0.3


def test_intervals_are_those_of_a_bootstrap_over_images():
    masks = parts(50)
    how = Grounding()
    overlaps = how.tally(sparse(marking(masks)), masks, GRID)
    units, _ = chosen(overlaps, overlaps.measured)
    single = [part_of(overlaps, torch.tensor([i])) for i in range(50)]
    scores = how.scores(overlaps)
    measures = {
        "locality": lambda some: nearest(some, some.measured),
        "consistency": lambda some: kept_to(some, some.measured, units),
        "impurity": lambda some: how.purity(some, some.measured),
    }
    for name, per_image in measures.items():

        def at(rows, per_image=per_image):
            return float(per_image(joined([single[i] for i in rows])).mean())

        want = resampled(at, 50, draws=150)
        width = want[1] - want[0]
        assert getattr(scores, name).interval == pytest.approx(want, abs=0.25 * width)
        assert width > 1e-3


def test_an_image_without_any_unit_counts_against_locality():
    masks, dense = parts(12), marking(parts(12))
    blank = int(masks.flatten(1).any(1).nonzero()[0])
    dense[blank] = 0
    found = Grounding()(sparse(dense), masks, GRID)
    got = [found.locality.value, found.consistency.value, found.impurity.value]
    assert got == pytest.approx(literal(dense, masks), rel=1e-6)


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(BadInput) as caught:
        Grounding(strongest=0)
    assert str(caught.value) == (
        "Grounding counts one unit per image or more; it got strongest=0. None counts all."
    )
    how = Grounding()
    object.__setattr__(how, "control", "turned")  # past the checks that only tests have
    with pytest.raises(BadInput) as caught:
        how.__post_init__()
    assert str(caught.value) == (
        "Grounding compares at the 'grid' or the 'masks', beside maps that are 'scattered' or "
        "'shifted'; it got 'grid' and 'turned'. Choose one of each."
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError) as caught:
        Grounding()(sparse(mixed()), parts(11), GRID)
    assert str(caught.value) == (
        "Grounding needs codes of 6 x 7 positions and masks (b p h w) of the same images; it got "
        "12 images of 42 positions and masks of (11, 3, 6, 7). Leave out special tokens, and give "
        "the masks in the order of the images."
    )
    with pytest.raises(BadInput) as caught:
        joined([])
    assert str(caught.value) == (
        "Grounding needs at least one image; it got none. Give some images."
    )
