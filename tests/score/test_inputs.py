import dataclasses

import pytest
import torch

from legenda.catalog import CATALOG, lookup
from legenda.core.evidence import Frames
from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.score.drop import ConfidenceDrop, ConfidenceIncrease
from legenda.score.inputs import check, lots, pooled, random_like, span
from legenda.score.insertion_deletion import Deletion, Insertion
from legenda.score.road import RemoveAndDebias
from tests.score.toys import maps, noise, pictures, told, truth, units

SCORES = [name for name in CATALOG if name.startswith("score.")]
FAITHFUL = [
    ConfidenceDrop(), ConfidenceIncrease(), Deletion(steps=4), Insertion(steps=4),
    RemoveAndDebias(shares=(0.2,)),
]  # fmt: skip


@pytest.mark.parametrize("name", SCORES)
def test_every_catalogued_score_is_a_frozen_dataclass(name):
    found = lookup("score", name.removeprefix("score."))
    assert dataclasses.is_dataclass(found) and found.__dataclass_params__.frozen
    assert "er is better" in found.__doc__


@pytest.mark.parametrize("measure", FAITHFUL, ids=lambda m: m.name)
def test_a_score_has_an_interval_and_a_control_on_the_same_pairs(measure):
    x = pictures()
    first = measure(units(), x, Logit(0), told(truth(x)))
    assert first == measure(units(), x, Logit(0), told(truth(x)))
    assert first.n == len(x) and first.name == measure.name and first.unit == measure.unit
    assert first.interval[0] <= first.value <= first.interval[1]
    assert first.control_interval[0] <= first.control <= first.control_interval[1]
    assert repr(eval(repr(measure))) == repr(measure)


@pytest.mark.parametrize("measure", FAITHFUL, ids=lambda m: m.name)
def test_shards_put_end_to_end_give_the_whole(measure):
    x = pictures(4)
    evidence = maps(noise(4), x)
    parts = [slice(0, 1), slice(1, 4)]
    values, control = [], []
    for part in parts:
        shard = maps(evidence.scores[part], x[part])
        values.append(measure.each(units(), x[part], Logit(0), shard))
        blind = random_like(x[part], shard, measure.seed)
        control.append(measure.each(units(), x[part], Logit(0), blind))
    whole = measure(units(), x, Logit(0), told(evidence))
    again = pooled(measure, torch.cat(values), torch.cat(control))
    assert again.value == pytest.approx(whole.value, abs=1e-5)
    assert again.control == pytest.approx(whole.control, abs=1e-5)


@pytest.mark.parametrize("measure", FAITHFUL, ids=lambda m: m.name)
def test_one_map_for_a_batch_is_refused(measure):
    x = pictures(3)
    with pytest.raises(ShapeError) as caught:
        measure(units(), x, Logit(0), told(maps(noise(1), x)))
    assert str(caught.value) == (
        f"{measure.name} needs one map per input, scores and drawn (3, n) each; it got (1, 16) "
        "and (1, 16). Explain the whole batch."
    )


def test_maps_that_do_not_fill_their_grid_are_refused():
    x = pictures(3)
    with pytest.raises(ShapeError) as caught:
        check("drop", x, maps(noise(3, 17), x))
    assert str(caught.value) == (
        "drop needs maps that fill their grid of 4 x 4 patches; it got [17] drawn positions per "
        "image. Leave out special tokens."
    )


def test_scores_that_are_not_finite_are_refused():
    x = pictures(3)
    scores = noise(3)
    scores[1, 2] = torch.nan
    with pytest.raises(BadInput) as caught:
        check("drop", x, maps(scores, x))
    assert str(caught.value) == (
        "drop needs finite scores; it got NaN or infinity. Mend the attribution."
    )


def test_other_evidence_is_refused():
    frames = Frames(pictures(2), torch.zeros(2))
    with pytest.raises(Unsupported) as caught:
        ConfidenceDrop()(units(), pictures(2), Logit(0), told(frames))
    assert str(caught.value) == (
        "drop needs an Attribution; Frames has none. Score an attribution method."
    )


def test_nothing_to_score_is_refused():
    with pytest.raises(BadInput) as caught:
        pooled(Deletion(), torch.zeros(0), torch.zeros(0))
    assert str(caught.value) == "deletion needs at least one pair to be scored; it got none."


def test_the_lot_of_a_pair_is_its_own():
    x = pictures(4)
    drawn = torch.ones(4, 16, dtype=torch.bool)
    whole = lots(x, drawn, 3)
    assert torch.equal(whole[2:], lots(x[2:], drawn[2:], 3))
    assert not torch.equal(whole, lots(x, drawn, 4))
    assert len({tuple(row.tolist()) for row in whole}) == 4
    ids = torch.tensor([[1, 5, 6, 2]])
    padded = torch.tensor([[1, 5, 6, 2, 0, 0]])
    assert torch.equal(lots(ids, ids > 3, 0), lots(padded, padded > 3, 0)[:, :4])


def test_span_stretches_each_map_and_calls_a_constant_one():
    got = span(torch.tensor([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0], [0.0, 0.0, 0.0]]))
    assert torch.equal(got, torch.tensor([[0, 0.5, 1], [1, 1, 1], [1, 1, 1.0]]))
