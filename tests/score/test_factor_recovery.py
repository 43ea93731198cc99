import math

import pytest
import torch

from legenda.core.interval import auroc, wilson
from legenda.errors import BadInput, ShapeError
from legenda.score.factor_counts import slots_of
from legenda.score.factor_recovery import FactorRecovery
from tests.score.concept_toys import lot, marking, mixed, parts, resampled, sparse


def truth(masks):
    return masks.flatten(2).mT


def literal(dense, factors, of="iou", by="overlap", cuts=(0.0,), seed=0):
    """Equations (1) and (3), one unit, factor and cut at a time."""
    order = torch.randperm(len(dense), generator=lot(seed))
    here, there = order[: len(order) // 2], order[len(order) // 2 :]
    units, values, areas = [], [], []

    def fit(on, true):
        both = float((on & true).sum())
        below = float((on | true).sum()) if of == "iou" else float(on.sum() + true.sum())
        return (1 if of == "iou" else 2) * both / max(1, below)

    def area(u, f, rows):
        a, true = dense[rows, :, u].flatten(), factors[rows, :, f].flatten()
        return auroc(a[true].double(), a[~true].double())

    for f in range(factors.shape[2]):
        best = (-math.inf, 0, 0.0)
        for u in range(dense.shape[2]):
            top = float(dense[here, :, u].max())
            worth = [
                (fit(dense[here, :, u] > cut * top, factors[here, :, f]), cut * top) for cut in cuts
            ]  # noqa: E501
            value, floor = max(worth, key=lambda one: one[0])
            value = area(u, f, here) if by == "auroc" else value
            best = max(best, (value, u, floor), key=lambda one: one[0])
        units.append(best[1])
        values.append(fit(dense[there, :, best[1]] > best[2], factors[there, :, f]))
        areas.append(area(best[1], f, there))
    return units, values, areas


@pytest.mark.parametrize("of", ["iou", "f1"])
@pytest.mark.parametrize("by", ["overlap", "auroc"])
@pytest.mark.parametrize("cuts", [(0.0,), (0.0, 0.25, 0.6)])
def test_recovery_agrees_with_its_literal_twin(of, by, cuts):
    masks = parts(16, 4)
    dense = torch.cat([marking(masks)[..., [0, 2, 5]], mixed(16, 3)], 2)
    found = FactorRecovery(by, of, cuts=cuts)(sparse(dense), truth(masks))
    units, values, areas = literal(dense, truth(masks), of, by, cuts)
    assert found.units.tolist() == units
    assert found.each.tolist() == pytest.approx(values, rel=1e-9)
    assert found.each_auroc.tolist() == pytest.approx(areas, rel=1e-9)
    hits = sum(value >= 0.5 for value in values)
    assert found.recovered.value == hits / 4 and found.recovered.interval == wilson(hits, 4)
    assert found.overlap.value == pytest.approx(sum(values) / 4) and found.overlap.n == 8


def test_planted_factors_are_recovered_and_others_are_not():
    masks = parts(30, 5)
    dense = marking(masks, extra=20)[..., 2:]  # factors 0 and 1 have no unit
    found = FactorRecovery()(sparse(dense), truth(masks))
    assert found.recovered.value == 3 / 5 and found.recovered.n == 5
    assert found.units[2:].tolist() == [0, 1, 2] and (found.each[2:] == 1).all()
    assert (found.each[:2] < 0.3).all() and found.recovered.control == 0
    assert found.overlap.beats_control and found.auroc.value > 0.7


def test_the_control_grows_with_the_number_of_units_and_honest_noise_does_not_beat_it():
    masks = parts(10, 6)
    controls = []
    for k in (2, 600):
        noise = (torch.rand(10, 42, k, generator=lot(8)) < 0.15).float()
        found = FactorRecovery()(sparse(noise), truth(masks))
        assert not found.overlap.beats_control and not found.recovered.beats_control
        controls.append(found.auroc.control)
    chosen_in = FactorRecovery().choose(slots_of(sparse(noise)), truth(masks))
    assert len(chosen_in.unit.unique()) > 3 and controls[0] is not None


def test_a_unit_that_is_always_in_the_middle_is_held_against_the_middle():
    """Places alone recover a factor whose place is fixed, and the control says so."""
    masks = torch.zeros(20, 1, 6, 7, dtype=torch.bool)
    masks[:, 0, 2:4, 2:5] = True
    found = FactorRecovery()(sparse(marking(masks)), truth(masks))
    assert found.recovered.value == 1 == found.recovered.control
    assert not found.overlap.beats_control


def test_a_cut_helps_a_unit_that_is_faintly_on_everywhere():
    masks = parts(16, 2)
    dense = marking(masks, extra=0) + 0.01
    plain, cut = (FactorRecovery(cuts=c)(sparse(dense), truth(masks)) for c in ((0.0,), (0.0, 0.2)))
    assert plain.recovered.value == 0 and cut.recovered.value == 1
    assert FactorRecovery("auroc")(sparse(dense), truth(masks)).auroc.value == 1


def test_matches_hold_on_both_halves():
    masks = parts(20, 3)
    dense = marking(masks)
    dense[..., 3] = dense[..., 0]  # two units of one factor
    names = ["ball", "cube", "ring"]
    found = FactorRecovery().matches(sparse(dense), truth(masks), names)
    assert found == {
        0: frozenset({"ball"}), 1: frozenset({"cube"}), 2: frozenset({"ring"}),
        3: frozenset({"ball"}),
    }  # fmt: skip
    half = torch.randperm(20, generator=lot(0))[:10]
    dense[half, :, 1] = 0
    assert 1 not in FactorRecovery().matches(sparse(dense), truth(masks), names)


def test_a_factor_that_one_half_lacks_is_left_out():
    masks = parts(12, 3)
    masks[torch.randperm(12, generator=lot(0))[:6], 1] = False
    found = FactorRecovery()(sparse(marking(masks)), truth(masks))
    assert found.recovered.n == 2 and found.recovered.value == 1
    assert found.units.tolist() == [0, -1, 2] and found.each[1].isnan()


def test_the_interval_is_that_of_a_bootstrap_over_images():
    masks = parts(80, 3)
    dense = marking(masks, 3) * (torch.rand(80, 1, 6, generator=lot(11)) < 0.7)
    found = FactorRecovery()(sparse(dense), truth(masks))
    there = torch.randperm(80, generator=lot(0))[40:].sort().values
    on, true = dense[there][..., :3] > 0, truth(masks)[there]

    def at(rows):
        both, either = (side[rows].sum((0, 1)).double() for side in (on & true, on | true))
        return float((both / either).mean())

    want = resampled(at, 40)
    width = want[1] - want[0]
    assert found.units.tolist() == [0, 1, 2]
    assert found.overlap.interval == pytest.approx(want, abs=0.2 * width) and width > 1e-2


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ShapeError) as caught:
        FactorRecovery()(sparse(mixed()), truth(parts(11)))
    assert str(caught.value) == (
        "FactorRecovery needs to know of each position of the codes whether each factor is true "
        "there (b n f); it got (11, 42, 3) for codes of (12, 42, 6)."
    )
    with pytest.raises(BadInput) as caught:
        FactorRecovery()(sparse(mixed(3)), truth(parts(3)))
    assert str(caught.value) == (
        "FactorRecovery needs 4 images or more, to choose on one half and measure on the other; "
        "it got 3."
    )
    with pytest.raises(BadInput) as caught:
        FactorRecovery().matches(sparse(mixed()), truth(parts()), ["ball"])
    assert str(caught.value) == "FactorRecovery needs a name for each of 3 factors; it got 1."
    with pytest.raises(BadInput) as caught:
        FactorRecovery(cuts=(0.0, 1.0))
    assert str(caught.value) == (
        "FactorRecovery cuts at shares of a unit's largest weight from 0 to below 1; it got "
        "(0.0, 1.0). (0.0,) cuts nothing."
    )
