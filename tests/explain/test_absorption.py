"""Absorption: planted, it is found; where units merely ignore each other, it is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.truths.planted_hierarchy import planted, surveyed
from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.explain.absorption import Absorption, others
from legenda.explain.relations import Relations

CHILDREN = (17, 18, 19)
"""Of a root that shares no child with another."""


def absorbed(children=CHILDREN, seed=0, rows=20_000):
    """Codes and atoms of a dictionary whose children have absorbed their parent."""
    world = planted(seed)
    weights, atoms = world.strengths(rows), world.directions.clone()
    for child in children:
        (parent,) = world.parents[child]
        weights[weights[:, child] > 0, parent] = 0
        atoms[child] = torch.nn.functional.normalize(atoms[child] + atoms[parent], dim=0)
    return world, weights, atoms


def test_planted_absorption_is_found_and_nothing_else():
    world, weights, atoms = absorbed()
    report = Absorption()(surveyed(weights), atoms)
    assert {tuple(p) for p in report.pairs.tolist()} == {(c, world.parents[c][0]) for c in CHILDREN}  # fmt: skip # noqa: E501
    assert report.total.absorbed == 3 and report.control.absorbed == 0
    assert (report.along[report.absorbs] > 0.6).all() and (report.silent[report.absorbs] == 1).all()


def test_the_edge_that_absorption_took_is_lost_to_relations():
    world, weights, atoms = absorbed()
    edges = {tuple(p) for p in Relations(drawn=0)(surveyed(weights)).pairs.tolist()}
    lost = {(c, world.parents[c][0]) for c in CHILDREN}
    assert not edges & lost and world.edges - lost - edges == set()


def test_true_codes_absorb_nothing():
    world = planted()
    pairs = np.array(sorted(world.edges))
    report = Absorption()(surveyed(world.strengths(20_000)), world.directions, pairs)
    assert report.total.recall == 1 and report.total.absorbed == 0 and report.total.pairs == 51
    assert report.control.recall < 0.4 and report.control.pairs == 51
    assert report.total.interval[0] > report.control.interval[1]


def test_it_is_the_slow_twin():
    world, weights, atoms = absorbed()
    drop = torch.rand(weights.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    weights = weights.masked_fill(drop, 0)
    pairs = np.array(sorted(world.edges))
    report = Absorption()(surveyed(weights), atoms, pairs)
    both = mine = 0
    for at, (i, j) in enumerate(pairs.tolist()):
        on = weights[:, i] > 1e-3
        spoken = on & (weights[:, j] > 1e-3)
        both, mine = both + int(spoken.sum()), mine + int(on.sum())
        assert report.edges.share[at] == pytest.approx(int(spoken.sum()) / int(on.sum()))
        assert report.edges.interval[at] == pytest.approx(wilson(int(spoken.sum()), int(on.sum())))
        unspoken = 1 - float(weights[spoken, i].double().sum() / weights[on, i].double().sum())
        assert report.unspoken[at] == pytest.approx(unspoken)
        assert report.along[at] == pytest.approx(float(atoms[i] @ atoms[j]), abs=1e-6)
        assert report.absorbs[at] == (report.along[at] >= 0.5 and wilson(int(spoken.sum()), int(on.sum()))[1] < 0.5)  # fmt: skip # noqa: E501
    assert report.total.recall == pytest.approx(both / mine)
    assert report.total.interval[0] < report.total.recall < report.total.interval[1]


def test_suspects_are_those_of_the_dense_product():
    lot = torch.Generator().manual_seed(0)
    atoms = torch.randn(1500, 12, generator=lot)
    weights = torch.rand(400, 1500, generator=lot) * (torch.rand(400, 1500, generator=lot) < 0.1)
    survey = surveyed(weights)
    unit = torch.nn.functional.normalize(atoms, dim=1)
    wanted = []
    for i, row in enumerate((unit @ unit.T).tolist()):
        more = [j for j in range(1500) if survey.active[j] > survey.active[i] >= 30]
        best = max(more, key=row.__getitem__, default=None)
        wanted += [[i, best]] if best is not None and row[best] >= 0.7 else []
    found = Absorption(along=0.7, least=30).suspects(survey, atoms).tolist()
    assert found == wanted and len(found) > 100


def test_units_that_ignore_each_other_absorb_nothing():
    """They are silent for each other, and their atoms know it."""
    lot = torch.Generator().manual_seed(0)
    weights = torch.rand(4000, 60, generator=lot) * (torch.rand(4000, 60, generator=lot) < 0.1)
    atoms = torch.randn(60, 64, generator=lot)
    pairs = np.array([(i, i + 1) for i in range(0, 60, 2)])
    report = Absorption()(surveyed(weights), atoms, pairs)
    assert report.total.recall < 0.2 and report.total.absorbed == 0


def test_a_unit_that_is_never_on_says_nothing():
    weights = planted().strengths(4096)
    weights[:, 0] = 0
    report = Absorption()(surveyed(weights), planted().directions, np.array([(5, 0), (0, 1)]))
    assert report.edges.share.tolist() == [0, 0] and report.edges.lift.tolist() == [0, 0]
    assert report.edges.interval[1].tolist() == pytest.approx([0, 1])
    assert report.absorbs.tolist() == [False, False]


def test_a_stricter_rule_calls_fewer():
    _, weights, atoms = absorbed()
    survey = surveyed(weights)
    few = Absorption(least=10_000)(survey, atoms)
    assert few.total.pairs == 0 and few.total.interval == (0.0, 1.0)
    assert Absorption(along=0.9)(survey, atoms).total.absorbed == 0
    assert Absorption(silent=1.0)(survey, atoms).total.absorbed == 0


def test_the_control_is_on_as_often_and_another_unit():
    survey = surveyed(planted().strengths(20_000))
    pairs = np.array(sorted(planted().edges))
    found = others(survey, pairs, 0)
    assert (found[:, 0] == pairs[:, 0]).all() and (found[:, 1] != pairs[:, 1]).all()
    assert (found[:, 1] != found[:, 0]).all() and not np.array_equal(found, others(survey, pairs, 1))  # fmt: skip # noqa: E501
    ratio = survey.active[found[:, 1]] / survey.active[pairs[:, 1]]
    assert np.median(np.abs(np.log(ratio))) < 0.7


def test_refusals():
    survey = surveyed(planted().strengths(4096))
    with pytest.raises(BadInput) as caught:
        Absorption(along=0.0)
    assert str(caught.value) == (
        "Absorption needs along above 0, silent and within of 0 or more, and all at most 1; it got "
        "0.0, 0.5 and 1.0."
    )
    with pytest.raises(BadInput) as caught:
        Absorption()(survey, torch.randn(5, 64))
    assert str(caught.value) == (
        "Absorption needs the atoms of the 53 units of planted/nodes; it got 5. Use the dictionary "
        "that was surveyed."
    )
    assert replace(Absorption(), seed=3) != Absorption()
