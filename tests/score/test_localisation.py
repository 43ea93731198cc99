import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.intervene.pixels import upsample
from legenda.score.localisation import EnergyInside, NamedFirst, Pointing, ceiling, dilated
from legenda.score.overlap import BestIoU, IoU
from tests.score.toys import (
    GRID,
    Sentences,
    maps,
    noise,
    of_words,
    pictures,
    sentences,
    told,
    units,
)

X = pictures(4)
MASKS = torch.zeros(4, 32, 32, dtype=torch.bool)
for number, (top, left) in enumerate([(0, 0), (8, 8), (17, 3), (20, 20)]):
    MASKS[number, top : top + 9, left : left + 11] = True
MIXED = maps(noise(4, seed=7) - 0.3, X)


def each(measure, evidence=MIXED):
    return measure.each(units(), X, Logit(0), evidence)


def heat(evidence=MIXED):
    return upsample(evidence.scores, GRID, (32, 32))


def literal_pointing(reach):
    hits = []
    for plane, mask in zip(heat(), MASKS, strict=True):
        # beyond the centres of the outermost patches interpolation repeats itself
        r, c = divmod(int(plane[3:29, 3:29].flatten().argmax()), 26)
        r, c = r + 3, c + 3
        near = [((r - i) ** 2 + (c - j) ** 2) ** 0.5 for i, j in mask.nonzero().tolist()]
        hits.append(1.0 if min(near) <= reach else 0.0)
    return hits


@pytest.mark.parametrize("reach", [0.0, 3.0, 8.5, 40.0])
def test_pointing_agrees_with_its_literal_twin(reach):
    assert each(Pointing(MASKS, reach)).tolist() == literal_pointing(reach)


def test_dilation_only_adds_and_adds_more_with_more_reach():
    wide = [dilated(MASKS, r) for r in (0.0, 1.0, 4.0)]
    assert torch.equal(wide[0], MASKS)
    assert all((a <= b).all() and a.sum() < b.sum() for a, b in zip(wide, wide[1:], strict=False))


def test_a_constant_map_scores_what_a_blind_throw_would():
    area = MASKS.flatten(1).float().mean(1)
    for value in (0.0, 0.1):
        flat = maps(torch.full((4, 16), value), X)
        inner = MASKS[:, 3:29, 3:29].flatten(1).float().mean(1)
        torch.testing.assert_close(each(Pointing(MASKS), flat), inner)
        torch.testing.assert_close(each(EnergyInside(MASKS), flat), area)
    negative = maps(-noise(4), X)
    torch.testing.assert_close(each(EnergyInside(MASKS), negative), area)


OBJECTS = torch.stack([MASKS, MASKS.roll(1, 0), torch.zeros_like(MASKS)], 1)
NAMED = torch.tensor([0, 1, 1, 0])


@pytest.mark.parametrize("by", ["mean", "peak"])
def test_named_first_agrees_with_its_literal_twin(by):
    want = []
    for plane, objects, named in zip(heat(), OBJECTS, NAMED.tolist(), strict=True):
        inside = [plane[m] for m in objects[:2]]
        strength = [float(v.mean() if by == "mean" else v.max()) for v in inside]
        want.append(1.0 if strength[named] == max(strength) else 0.0)
    assert each(NamedFirst(OBJECTS, NAMED, by)).tolist() == want


def test_objects_that_tie_share_the_first_place():
    twice = torch.stack([MASKS, MASKS], 1)
    assert each(NamedFirst(twice, NAMED)).tolist() == [0.5] * 4


def test_energy_agrees_with_its_literal_twin():
    want = [
        float(plane.clamp(min=0)[mask].sum() / plane.clamp(min=0).sum())
        for plane, mask in zip(heat(), MASKS, strict=True)
    ]
    torch.testing.assert_close(each(EnergyInside(MASKS)), torch.tensor(want))


def literal_iou(plane, mask, threshold):
    low, high = plane.min(), plane.max()
    region = {i for i, v in enumerate(plane.flatten()) if (v - low) / (high - low) >= threshold}
    truth = set(mask.flatten().nonzero()[:, 0].tolist())
    return len(region & truth) / len(region | truth)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_iou_agrees_with_its_literal_twin(threshold):
    want = [literal_iou(p, m, threshold) for p, m in zip(heat(), MASKS, strict=True)]
    torch.testing.assert_close(each(IoU(MASKS, threshold)), torch.tensor(want))


def test_a_cut_at_a_quantile_keeps_that_share():
    everything = torch.ones(4, 32, 32, dtype=torch.bool)
    got = each(IoU(everything, 0.75, of="quantile"))
    torch.testing.assert_close(got, torch.full((4,), 0.25), rtol=0, atol=2e-3)


def test_the_best_threshold_agrees_with_its_literal_twin():
    cuts = [i / 5 for i in range(1, 5)]
    table = [[literal_iou(p, m, c) for c in cuts] for p, m in zip(heat(), MASKS, strict=True)]
    means = [sum(row[k] for row in table) / 4 for k in range(4)]
    best = means.index(max(means))
    want = torch.tensor([row[best] for row in table])
    torch.testing.assert_close(each(BestIoU(MASKS, 4)), want)
    want = torch.tensor([max(row) for row in table])
    torch.testing.assert_close(each(BestIoU(MASKS, 4, per="image")), want)


def test_the_best_threshold_is_never_worse_than_a_fixed_one():
    fixed, best, each_ = (
        float(each(m).mean())
        for m in (IoU(MASKS, 0.5), BestIoU(MASKS), BestIoU(MASKS, per="image"))
    )
    assert fixed <= best <= each_


def test_the_ceiling_wins_every_column():
    top = told(ceiling(X, MASKS, GRID))
    for measure in (Pointing(MASKS), EnergyInside(MASKS), IoU(MASKS), BestIoU(MASKS)):
        found = measure(units(), X, Logit(0), top)
        assert found.value > found.control, measure.name
        assert found.interval[0] <= found.value <= found.interval[1]
    assert Pointing(MASKS)(units(), X, Logit(0), top).value == 1
    assert (
        NamedFirst(OBJECTS, torch.zeros(4, dtype=torch.long))(units(), X, Logit(0), top).value == 1
    )


def test_coverage_is_the_share_of_each_patch():
    cover = ceiling(X, MASKS, GRID).map()
    for i in range(4):
        for r in range(4):
            for c in range(4):
                share = MASKS[i, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8].float().mean()
                assert float(cover[i, r, c]) == pytest.approx(float(share))


def test_masks_of_other_pictures_are_refused():
    with pytest.raises(ShapeError) as caught:
        each(Pointing(MASKS[:3]))
    assert str(caught.value) == (
        "pointing needs one mask per picture, 4 of them; it got (3, 32, 32). "
        "Give the masks of these pictures, in their order."
    )


def test_an_empty_mask_is_refused():
    masks = MASKS.clone()
    masks[2] = False
    with pytest.raises(BadInput) as caught:
        each(IoU(masks))
    assert str(caught.value) == "iou needs an object in every picture; masks [2] are empty."


def test_words_have_no_place():
    ids, _ = sentences()
    with pytest.raises(Unsupported) as caught:
        Pointing(MASKS[:3])(units(Sentences()), ids, Logit(0), told(of_words(noise(3, 6), ids)))
    assert str(caught.value) == (
        "pointing needs a grid of patches; an attribution of words has none. Give pictures."
    )


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0])
def test_a_threshold_outside_the_map_is_refused(threshold):
    with pytest.raises(BadInput) as caught:
        IoU(MASKS, threshold)
    assert str(caught.value) == (
        f"IoU cuts maps at a threshold between 0 and 1; it got {threshold}. Try 0.5."
    )


def test_names_and_repr_do_not_hold_the_masks():
    assert Pointing(MASKS, 7.5).name == "pointing-7.5"
    assert repr(Pointing(MASKS)) == "Pointing(reach=0.0, seed=0)"
