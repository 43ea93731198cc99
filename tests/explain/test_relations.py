"""Relations against slow dense twins, the laws of edges, and what chance alone makes."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.truths.planted_hierarchy import survey_of, surveyed
from legenda.core.codes import Codes
from legenda.core.cooccurrence import lifts
from legenda.core.interval import wilson
from legenda.corpus.unit_survey import FLOOR
from legenda.errors import BadInput
from legenda.explain.edges import lift_ends, worth
from legenda.explain.relations import Relations

PUBLISHED = Relations(published=True, drawn=0)


def dense(seed=0, rows=1500, units=200, rate=0.04):
    """Weights of units, a tenth of which follow another unit."""
    lot = torch.Generator().manual_seed(seed)
    on = torch.rand(rows, units, generator=lot) < rate * torch.rand(units, generator=lot) * 4
    for child in range(0, units, 10):
        on[:, child + 1] |= on[:, child] & (torch.rand(rows, generator=lot) < 0.85)
    return on * (0.2 + torch.rand(rows, units, generator=lot))


def grouped(weights, positions):
    """The same positions, several of them an image."""
    k = weights.shape[1]
    index = torch.arange(k).expand(len(weights), k)
    return survey_of(Codes(index.unflatten(0, (-1, positions)), weights.unflatten(0, (-1, positions)), k))  # fmt: skip # noqa: E501


def twin(weights, how, images=None):
    """All pairs, one by one; an image of each position unless said otherwise."""
    on = weights > FLOOR
    n, k = weights.shape
    images = range(n) if images is None else images
    counts = on.sum(0).tolist()
    effective = []
    for i in range(k):
        held = len({m for m, seen in zip(images, on[:, i].tolist(), strict=True) if seen})
        per_image = counts[i] / max(1, held)
        effective.append(counts[i] / (1 + (max(1, per_image) - 1) * how.within))
    found = {}
    for i in range(k):
        mine = weights[:, i].double()[on[:, i]]
        for j in range(k):
            if i == j or not counts[i]:
                continue
            weighted = float(mine[on[on[:, i], j]].sum() / mine.sum())
            if weighted <= how.share:
                continue
            both = int((on[:, i] & on[:, j]).sum())
            low = wilson_of(both / counts[i], effective[i])[0]
            scale = min(effective[i] / counts[i], effective[j] / counts[j])
            least = lift_of(*(x * scale for x in (n, counts[i], counts[j], both)))[0]
            surely = low > how.sure and least > how.lift
            if how.published or (surely and counts[j] > how.general * counts[i] and counts[i] >= how.least):  # fmt: skip # noqa: E501
                found[i, j] = (weighted, both / counts[i], low, both * n / counts[i] / counts[j], least)  # fmt: skip # noqa: E501
    return found


def wilson_of(share, n, z=1.959964):
    centre, half = share + z * z / 2 / n, z * (share * (1 - share) / n + z * z / 4 / n / n) ** 0.5
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def lift_of(n, a, b, both):
    numbers = (torch.tensor([x], dtype=torch.float64) for x in (a, b, both))
    return tuple(float(x) for x in lift_ends(*(np.array([float(x)]) for x in (n, a, b, both)))[0]) if n != int(n) else tuple(float(x) for x in lifts(int(n), *numbers)[1:])  # fmt: skip # noqa: E501


def said(edges):
    return {
        (e.child, e.parent): (e.weighted, e.share, e.interval[0], e.lift, e.lift_interval[0])
        for e in edges
    }


@pytest.mark.parametrize(
    ("how", "positions"),
    [
        (Relations(drawn=0), 1),
        (PUBLISHED, 1),
        (Relations(share=0.3, sure=0.2, general=0.0, drawn=0), 1),
        (Relations(share=0.5, sure=0.3, drawn=0), 5),
        (Relations(share=0.5, sure=0.3, within=0.3, drawn=0), 5),
    ],
    ids=["default", "published", "loose", "images", "correlated"],
)
def test_it_is_the_dense_twin(how, positions):
    weights = dense()
    survey = grouped(weights, positions) if positions > 1 else surveyed(weights)
    found = said(how(survey))
    wanted = twin(weights, how, [row // positions for row in range(len(weights))])
    assert found.keys() == wanted.keys() and len(wanted) >= 10
    for pair, numbers in wanted.items():
        assert found[pair] == pytest.approx(numbers, rel=1e-6), pair


def test_eight_thousand_units_take_a_second():
    """Twelve of 8192 units are on at each position; 100 children come with their parents."""
    lot = torch.Generator().manual_seed(0)
    rows, child = 20_000, torch.arange(0, 200, 2)
    pick = child[torch.randint(100, (rows,), generator=lot)]
    start, step = torch.randint(1, 7919, (2, rows, 1), generator=lot)
    others = 200 + (start + step * torch.arange(10)) % 7919  # a prime: ten that differ
    index = torch.cat([pick[:, None], pick[:, None] + 1, others], 1)[:, None]
    weight = 0.5 + torch.rand(index.shape, generator=lot)
    weight[:, 0, 0] *= torch.rand(rows, generator=lot) < 0.4
    survey = survey_of(Codes(index, weight, 8192))
    assert survey.together.nnz > 500_000
    start = time.process_time()
    found = Relations()(survey)
    assert time.process_time() - start < 3, "about one second, and some for a busy machine"
    assert found.pairs.tolist() == [[c, c + 1] for c in child.tolist()]
    assert found.chance.edges < 1 and found.chance.drawn == 256


def test_lift_has_the_interval_of_co_occurrence():
    numbers = torch.tensor([[30.0, 40, 20], [5, 900, 5], [100, 100, 0]], dtype=torch.float64)
    wanted = torch.stack(lifts(1000, *numbers.T)[1:], 1).numpy()
    found = lift_ends(np.full(3, 1000.0), *numbers.numpy().T)
    assert np.allclose(found, wanted, rtol=1e-12)


def test_shares_have_wilsons_interval():
    edges = PUBLISHED(surveyed(dense()))
    for edge in list(edges)[:20]:
        counts = int(edges.active[edge.child])
        assert edge.interval == pytest.approx(wilson(edge.together, counts), abs=1e-12)


def test_each_condition_takes_edges_away():
    survey = surveyed(dense())
    loose = Relations(share=0.2, sure=0.0, lift=0.0, general=0.0, least=1, drawn=0)
    most = {(e.child, e.parent) for e in loose(survey)}
    for stricter in ({"share": 0.6}, {"sure": 0.5}, {"lift": 1.5}, {"general": 1.0}, {"least": 60}):
        fewer = {(e.child, e.parent) for e in replace(loose, **stricter)(survey)}
        assert fewer < most, stricter


def test_positions_of_one_image_are_worth_less():
    """Ten copies of each position in one image say no more than one, and are not believed to."""
    weights = dense(rows=300, units=30, rate=0.1)
    copies = weights.repeat_interleave(10, 0)
    alone, wide = Relations(share=0.3, drawn=0)(surveyed(weights)), grouped(copies, 10)
    careful = Relations(share=0.3, drawn=0)(wide)
    assert np.allclose(worth(wide, 1.0), surveyed(weights).active)
    assert said(careful) == {p: pytest.approx(v) for p, v in said(alone).items()} and len(alone)
    naive = Relations(share=0.3, within=0.0, drawn=0)(wide)
    width = {pair: v[2] for pair, v in said(naive).items()}
    assert all(width[pair] > low[2] for pair, low in said(careful).items())


def test_a_unit_that_is_nearly_always_on_is_everyones_ancestor_by_the_published_rule_only():
    weights = dense()
    weights[:, 7] = (torch.rand(len(weights)) < 0.9) * 1.0
    survey = surveyed(weights)
    published = Relations(published=True, drawn=200)(survey)
    ours = Relations(drawn=200)(survey)
    assert (published.parent == 7).sum() > 150 and (ours.parent == 7).sum() < 20
    assert published.chance.edges > 150 > 25 > ours.chance.edges


def test_the_control_is_how_many_edges_a_shuffle_makes():
    weights = dense(rows=800, units=60)
    weights[:, 3] = (torch.rand(len(weights)) < 0.7) * 1.0
    weights[:, 5] = (torch.rand(len(weights)) < 0.8) * 1.0
    how = Relations(published=True, share=0.7, drawn=60)
    chance = how(surveyed(weights)).chance
    lot = torch.Generator().manual_seed(1)
    many = []
    for _ in range(20):
        rows = torch.stack([torch.randperm(len(weights), generator=lot) for _ in range(60)], 1)
        many.append(len(replace(how, drawn=0)(surveyed(weights.gather(0, rows)))))
    assert chance.drawn == int((weights > 0).any(0).sum())
    assert chance.edges == pytest.approx(np.mean(many), rel=0.25) and np.mean(many) > 20
    assert chance.interval[0] <= chance.edges <= chance.interval[1]
    assert how(surveyed(weights)).chance == chance, "the same seed"
    assert replace(how, seed=1)(surveyed(weights)).chance != chance


def test_edges_know_their_kind_once_told():
    edges = Relations(drawn=0)(surveyed(dense()))
    kinds = ["is-a", *["part-of"] * (len(edges) - 1)]
    assert [e.kind for e in edges.typed(kinds)] == kinds
    few = edges.typed(kinds).where(np.arange(len(edges)) < 2)
    assert [e.kind for e in few] == ["is-a", "part-of"] and few.pairs.tolist() == edges.pairs[:2].tolist()  # fmt: skip # noqa: E501
    with pytest.raises(BadInput) as caught:
        edges.typed(["is-a"])
    assert str(caught.value) == (
        f"edges take one kind each; there are {len(edges)} edges and 1 kinds. Judge the pairs of "
        "these very edges."
    )


def test_a_survey_without_edges_has_none():
    weights = torch.eye(30).repeat(10, 1)
    assert len(Relations()(surveyed(weights))) == 0


def test_refusals():
    with pytest.raises(BadInput) as caught:
        Relations(share=1.5)
    assert str(caught.value) == (
        "Relations needs share, sure and within from 0 to 1, and no negative lift, general or "
        "drawn; it got share=1.5, sure=0.5, within=1.0, lift=1.0, general=1.0, drawn=256."
    )
    with pytest.raises(BadInput) as caught:
        Relations()(surveyed(torch.zeros(20, 4)))
    assert str(caught.value) == (
        "Relations needs units that are on somewhere; in the survey of planted/nodes none of 4 is, "
        "at 20 positions. Survey more images."
    )
