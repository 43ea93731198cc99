"""BatchTopK: rows share a budget while learning, and a threshold afterwards."""

import pytest
import torch

from legenda.dictionaries import selection
from legenda.dictionaries.auxiliary import Revival, silent
from legenda.dictionaries.batch_top_k import BatchTopK, calibrate, threshold
from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.dictionaries.selection import strongest_of_all
from legenda.errors import BadInput
from tests.dictionaries import toys
from tests.dictionaries.planted import Planted, fvu, matched, taught

UNITS, K = 40, 3


@pytest.fixture
def rows():
    return toys.drawn(60)


def test_value_and_gradient_are_those_of_the_dense_twin(rows):
    revive = Revival(weight=0.25, after=70, most=4)
    module = toys.stirred(BatchTopK(UNITS, K, revive), rows)
    rows = rows[:10]
    silent(module)[:] = 65
    loss, figures = module.learner.loss(module, rows, 0, 1)
    z = toys.batch_top_k(toys.readings(module, rows), K * len(rows))
    dead = (z <= 0).all(0)
    assert figures["dead"] == float(dead.double().mean()) > 0
    slow, left = toys.nested_loss(module, rows, z, (UNITS,), (1.0,))
    toys.agree(loss, slow + 0.25 * toys.aux_loss(module, rows, left, dead, 4), module)
    assert figures["l0"] == K and len(set((z > 0).sum(1).tolist())) > 1, "rows differ"


def test_whatever_is_guessed_first_the_strongest_are_found(rows, monkeypatch):
    module = toys.stirred(BatchTopK(UNITS, K), rows)
    centred = rows - module.bias.detach()
    encoder, offset = module.encoder.detach(), module.offset.detach()
    z = toys.batch_top_k(toys.readings(module, rows), 200).detach()
    for guesses in ([5.0, 0.0], [1e9, 1.5, 0.0], [0.0], [0.01]):
        monkeypatch.setattr(selection, "guesses", lambda *_, g=guesses: iter(g))
        found = strongest_of_all(centred, encoder, offset, 200)
        dense = torch.zeros(60, UNITS)
        dense[found.rows, found.units] = found.weights
        torch.testing.assert_close(dense, z, rtol=1e-5, atol=1e-5)


def test_fewer_than_asked_are_on_where_fewer_are_above_nothing():
    encoder, offset = torch.eye(3), torch.tensor([0.0, 0.0, -5.0])
    rows = torch.tensor([[1.0, -1, 1], [-1, -1, 1]])
    found = strongest_of_all(rows, encoder, offset, 4)
    assert found.units.tolist() == [0] and found.starts.tolist() == [0, 1, 1]


def test_the_threshold_follows_the_smallest_reading_that_is_on(rows):
    learner = BatchTopK(UNITS, K, memory=0.75, start=2)
    module = toys.stirred(learner, rows)
    theta = None
    for step in range(6):
        part = toys.drawn(60, seed=step)
        least = toys.batch_top_k(toys.readings(module, part), K * 60)
        least = float(least.detach()[least.detach() > 0].min())
        learner.loss(module, part, step, 100)
        if step <= 2:
            assert threshold(module) == -1
            continue
        theta = least if theta is None else 0.75 * theta + 0.25 * least
        assert float(threshold(module)) == pytest.approx(theta, rel=1e-5)


def test_a_short_training_has_a_threshold_too(rows):
    module = toys.stirred(BatchTopK(UNITS, K, start=1000), rows)
    for step in range(4):
        module.learner.loss(module, rows, step, 4)
        assert (threshold(module) > 0) == (step > 2)


def test_once_learned_a_row_does_not_depend_on_others(rows):
    module = toys.stirred(BatchTopK(UNITS, K), rows)
    threshold(module).fill_(0.7)
    a = toys.readings(module, rows).detach()
    dense = module.encode(rows[None]).dense()[0]
    torch.testing.assert_close(dense, a.where(a > 0.7, 0.0), rtol=1e-5, atol=1e-6)
    alone = module.encode(rows[None, 7:8]).dense()[0]
    assert torch.equal(alone[0], dense[7])


def test_before_there_is_a_threshold_codes_are_those_of_top_k(rows):
    module = toys.stirred(BatchTopK(UNITS, K), rows)
    dense = module.encode(rows[None]).dense()[0]
    slow = toys.top_k(toys.readings(module, rows), K).detach()
    torch.testing.assert_close(dense, slow, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [None, 5, 0.5])
def test_calibrated_rows_have_k_units_on(rows, k):
    module = calibrate(toys.stirred(BatchTopK(UNITS, K), rows), rows, k)
    on = float((module.encode(rows[None]).weight > 0).sum()) / len(rows)
    assert on == pytest.approx(K if k is None else k)


def test_what_has_no_threshold_is_not_calibrated(rows):
    with pytest.raises(BadInput) as caught:
        calibrate(ReLUL1(8).begin(rows, 0), rows)
    assert str(caught.value) == (
        "only a dictionary with a threshold is calibrated; sae was learned by ReLUL1. "
        "Learn it by BatchTopK or MatryoshkaBatchTopK."
    )
    with pytest.raises(BadInput) as caught:
        calibrate(BatchTopK(8, 2).begin(rows, 0), rows, 9)
    assert str(caught.value) == "sae has 8 units; 9 cannot be on on average. Change k."


def test_a_planted_dictionary_is_found():
    source = Planted(width=16, units=24, active=2)
    module = taught(BatchTopK(32, 2, Revival(after=2000, most=8)), source, steps=500)
    assert matched(module.atoms, source.atoms).mean() > 0.94
    assert fvu(module, source(1000, 5)) < 0.12
    assert matched(module.learner.begin(source(500, 1), 0).atoms, source.atoms).mean() < 0.7


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(BadInput) as caught:
        BatchTopK(4, 5)
    assert str(caught.value) == (
        "BatchTopK has from 1 to 4 units on at a row, all that it has; it got k=5. "
        "Change k, or units."
    )
    with pytest.raises(BadInput) as caught:
        BatchTopK(4, 2, memory=1.0)
    assert str(caught.value) == (
        "BatchTopK needs a memory from 0 to below 1 and a start of 0 or more; it got "
        "memory=1.0, start=1000. Change these."
    )
