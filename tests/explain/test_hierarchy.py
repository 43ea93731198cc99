"""Hierarchies: the planted one is found again, cycles are resolved, and nothing else is lost."""

import json
from dataclasses import replace

import networkx
import numpy as np
import pytest
import torch

from benchmarks.truths.planted_hierarchy import HELD_OUT, dense, found, planted, renamed, surveyed
from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.explain.edges import Edges
from legenda.explain.graph import edge_f1, ordered, parallel, reduced
from legenda.explain.hierarchy import hierarchy, of_plain
from legenda.explain.relations import Relations
from tests.explain.graphs import edges_of, lot_of_pairs


def test_the_planted_hierarchy_has_what_the_issue_asks_for():
    world = planted()
    strengths = world.strengths(20_000)
    roots = [node for node, its in enumerate(world.parents) if not its]
    assert len(world) >= 40 and max(world.levels) == 2
    assert sum(len(its) > 1 for its in world.parents) == 3, "it is no tree"
    assert float((strengths[:, roots] > 0).sum(1).double().mean()) > 1
    assert reduced(world.edges) == world.edges
    assert torch.equal(world.rows(700, 3900), world.rows(9000)[3900:4600])
    for child, parent in world.edges:
        assert not ((strengths[:, child] > 0) & (strengths[:, parent] == 0)).any()


@pytest.mark.parametrize("seed", range(3))
def test_true_codes_give_the_planted_hierarchy(seed):
    world = planted(seed)
    tree = hierarchy(Relations(drawn=0)(surveyed(world.strengths(20_000))))
    assert edge_f1(tree.pairs, world.edges).f1 == 1.0
    assert tree.implied > 0, "grandchildren imply their roots"
    assert tree.levels == dict(enumerate(world.levels)) and set(tree.roots) == set(range(5))


def test_codes_with_noise_give_it_nearly():
    """Each weight is off by a fifth, one in ten is lost, and some are on for no reason."""
    world, lot = planted(), torch.Generator().manual_seed(0)
    strengths = world.strengths(20_000, HELD_OUT)
    kept = torch.rand(strengths.shape, generator=lot) > 0.1
    weights = strengths * kept * (1 + 0.2 * torch.randn(strengths.shape, generator=lot))
    weights += 0.2 * (torch.rand(strengths.shape, generator=lot) < 0.002)
    assert found(world, dense(weights), world.directions).agreement.f1 >= 0.9


@pytest.mark.slow
def test_a_learned_dictionary_gives_it():
    """Learned from the rows alone; random atoms give nothing."""
    from legenda.dictionaries.auxiliary import Revival
    from legenda.dictionaries.batch_top_k import BatchTopK
    from legenda.dictionaries.course import PLAN, learn
    from legenda.dictionaries.random_atoms import RandomAtoms

    world = planted(1)
    rows, held = world.rows(65_536), world.rows(20_480, HELD_OUT)[:, None]
    plan = replace(PLAN, steps=2000, lr=5e-3, warmup=100)
    learner = BatchTopK(96, 3, Revival(after=20_000, most=16))
    learned = learn(learner, rows, batch=256, seed=1, plan=plan)
    assert found(world, learned.encode(held), learned.atoms).agreement.f1 >= 0.9
    chance = RandomAtoms(96, 3).fit(rows, 1)
    assert found(world, chance.encode(held), chance.atoms).agreement.f1 < 0.1


def test_shuffled_codes_give_none():
    world, lot = planted(), torch.Generator().manual_seed(0)
    strengths = world.strengths(20_000)
    mixed = torch.stack([column[torch.randperm(len(column), generator=lot)] for column in strengths.T], 1)  # fmt: skip # noqa: E501
    edges = Relations()(surveyed(mixed))
    assert len(edges) == 0 and edges.chance.edges == 0


def test_reduction_is_that_of_networkx():
    for seed in range(20):
        pairs = lot_of_pairs(seed)
        wanted = networkx.transitive_reduction(networkx.DiGraph(list(pairs))).edges
        assert reduced(pairs) == set(wanted)


def test_reduction_keeps_ancestors_and_no_edge_can_go():
    pairs = lot_of_pairs(3, units=25, many=120)
    tree = hierarchy(edges_of(pairs))
    assert tree.implied == len(pairs) - len(tree.edges) > 20
    whole = networkx.DiGraph(list(pairs))
    for unit in tree.active:
        assert tree.ancestors(unit) == networkx.descendants(whole, unit)
        assert tree.descendants(unit) == networkx.ancestors(whole, unit)
    for pair in tree.pairs:
        rest = networkx.DiGraph(list(tree.pairs - {pair}))
        assert pair[0] not in rest or pair[1] not in rest or not networkx.has_path(rest, *pair)


def test_levels_are_the_longest_way_up():
    tree = hierarchy(edges_of({(1, 0), (2, 1), (3, 2), (3, 0), (4, 3), (4, 9), (9, 0)}))
    assert tree.levels == {0: 0, 1: 1, 9: 1, 2: 2, 3: 3, 4: 4}
    assert [e.parent for e in tree.parents(4)] == [3, 9]
    assert [e.child for e in tree.children(0)] == [1, 9]
    assert tree.roots == (0,) and repr(tree) == "Hierarchy(6 units, 6 edges, 1 roots)"


LOOP = {(0, 1): 0.9, (1, 2): 0.8, (2, 0): 0.95, (3, 0): 0.9, (2, 4): 0.85, (5, 6): 0.9}


def test_a_cycle_is_merged_into_its_most_active_unit():
    tree = hierarchy(edges_of(LOOP, active=[50, 80, 60, 20, 100, 10, 20]))
    assert [c.units for c in tree.cycles] == [(0, 1, 2)] and tree.cycles[0].cut == ()
    assert tree.synonyms == {1: (0, 2)}
    assert tree.pairs == {(3, 1), (1, 4), (5, 6)}
    assert tree.ancestors(3) == {1, 4} == tree.ancestors(2) | {1}, "a synonym finds its node"


def test_a_cycle_is_cut_at_its_weakest_edge():
    tree = hierarchy(edges_of(LOOP), cycles="cut")
    assert tree.cycles == (((0, 1, 2), ((1, 2),)),) and not tree.synonyms
    assert tree.pairs == {(3, 0), (0, 1), (2, 0), (2, 4), (5, 6)}
    both = {(0, 1): 0.8, (1, 0): 0.9, (1, 2): 0.7, (2, 1): 0.95}
    (cycle,) = hierarchy(edges_of(both), cycles="cut").cycles
    assert cycle.units == (0, 1, 2) and set(cycle.cut) == {(0, 1), (1, 2)}


def test_the_published_rule_makes_cycles_and_ours_none():
    lot = torch.Generator().manual_seed(0)
    twin = (torch.rand(2000, 1, generator=lot) < 0.2) * (1 + torch.rand(2000, 2, generator=lot))
    twin[:20, 1] = 0
    published = hierarchy(Relations(published=True, drawn=0)(surveyed(twin)))
    assert [c.units for c in published.cycles] == [(0, 1)] and not published.edges
    assert hierarchy(Relations(drawn=0)(surveyed(twin))).pairs == {(1, 0)}


def test_synonyms_are_one_node():
    pairs = {(1, 0): 0.9, (2, 0): 0.95, (3, 2): 0.9, (2, 1): 0.8}
    tree = hierarchy(edges_of(pairs, active=[9, 8, 7, 1]), synonyms=[(2, 1)])
    assert tree.synonyms == {1: (2,)} and tree.pairs == {(1, 0), (3, 1)} and not tree.cycles
    assert tree.parents(1)[0].weighted == 0.95, "the stronger of two parallel edges"


def test_merging_may_close_a_cycle_which_is_merged_too():
    tree = hierarchy(edges_of({(0, 1): 0.9, (2, 3): 0.9, (4, 0): 0.9}), synonyms=[(1, 2), (0, 3)])
    assert [c.units for c in tree.cycles] == [(0, 1)]
    assert tree.pairs == {(4, 0)} and tree.synonyms == {0: (1, 2, 3)}


def test_atoms_that_point_the_same_way():
    lot = torch.Generator().manual_seed(0)
    atoms = torch.randn(2100, 16, generator=lot)
    atoms[2050] = 3 * atoms[7] + 0.1 * torch.randn(16, generator=lot)
    atoms[8] = -atoms[9]
    unit = torch.nn.functional.normalize(atoms.double(), dim=1)
    wanted = ((unit @ unit.T).triu(1) >= 0.9).nonzero().tolist()
    assert parallel(atoms) == [tuple(p) for p in wanted] and (7, 2050) in parallel(atoms)
    with pytest.raises(BadInput) as caught:
        parallel(atoms, 0.0)
    assert str(caught.value) == ("atoms are parallel from a cosine above 0, at most 1; it got 0.0.")


def test_agreement_of_edges():
    agreement = edge_f1({(1, 0), (2, 0), (3, 0), (4, 0)}, {(1, 0), (2, 0), (5, 0)})
    precision, recall = 2 / 4, 2 / 3
    assert agreement.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert (agreement.precision, agreement.recall) == (precision, recall)
    assert agreement.precision_interval == wilson(2, 4)
    low, high = wilson(2, 5)
    assert agreement.interval == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert edge_f1(set(), {(1, 0)}).f1 == 0 and edge_f1(set(), set()).f1 == 1
    assert renamed({(4, 2), (9, 2)}, {4: 1, 2: 0}) == {(1, 0), (-10, 0)}


def test_json_reads_back():
    edges = Relations()(surveyed(planted().strengths(8000)))
    tree = hierarchy(edges.typed(["is-a"] * len(edges)))
    again = of_plain(json.loads(json.dumps(tree.plain())))
    assert again.plain() == tree.plain() and again.edges == tree.edges
    merged = hierarchy(edges_of(LOOP), synonyms=[(5, 3)])
    assert of_plain(json.loads(json.dumps(merged.plain()))).plain() == merged.plain()


def test_nothing_makes_an_empty_hierarchy():
    tree = hierarchy(edges_of({}))
    assert (len(tree), tree.roots, tree.levels, tree.edges) == (0, (), {}, ())
    assert of_plain(tree.plain()).plain() == tree.plain()


def test_a_thousand_units_are_reduced_in_a_moment():
    lot = np.random.default_rng(0)
    pairs = {(int(i), int(lot.integers(i))) for i in range(1, 4000) for _ in range(5)}
    assert ordered((), pairs)[0] == 0 and 0 < len(reduced(pairs)) < len(pairs)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: hierarchy(edges_of({}), cycles="keep"),
            "cycles are resolved by 'merge' or 'cut'; it got 'keep'. Choose one.",
        ),
        (
            lambda: hierarchy(edges_of({(1, 0)})).parents(7),
            "unit 7 is not in this hierarchy of 2 units: it has no parent and no child. Ask for "
            "one of `active`.",
        ),
        (
            lambda: of_plain({"schema": 2, "kind": "hierarchy"}),
            "a hierarchy is read from schema 1 of kind 'hierarchy'; it got schema 2 of kind "
            "'hierarchy'. Find the relations anew.",
        ),
        (
            lambda: of_plain({"schema": 1, "kind": "hierarchy", "edges": [{"child": 1}]}),
            "this hierarchy cannot be read: KeyError 'interval'. Find the relations anew.",
        ),
        (
            lambda: reduced({(0, 1), (1, 0), (2, 1)}),
            "3 of 3 units lie on cycles or below them, so that they have no order. Resolve the "
            "cycles first.",
        ),
    ],
    ids=["rule", "unknown", "schema", "broken", "circle"],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == said


def test_edges_are_values():
    edges = edges_of({(1, 0): 0.9})
    assert isinstance(edges, Edges) and len(replace(edges, kind=("is-a",)).typed([""])) == 1
