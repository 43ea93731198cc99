"""Which tokens two groups hold unequally often: the slow twin, the laws, and what is planted."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from legenda.audit.difference import DifferingTokens
from legenda.errors import BadInput

GROUPS = ("cat", "dog")
FEW = DifferingTokens(draws=60)


def world(count=60, kinds=20, cells=12, planted=0.0, seed=0):
    """Random grids; token 0 takes the place of some cells of cats, where it is planted."""
    lot = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, kinds, (count, cells), generator=lot)
    labels = [GROUPS[i % 2] for i in range(count)]
    cats = torch.tensor([label == "cat" for label in labels])
    worn = torch.rand(count, 3, generator=lot) < torch.where(cats, planted, 0.1)[:, None]
    tokens[:, :3] = tokens[:, :3].where(~worn, 0)
    return tokens, labels


def test_it_is_the_slow_twin():
    tokens, labels = world(planted=0.2)
    found = FEW(tokens, labels, GROUPS)
    assert len(found.tokens) == 20 and found.images == (30, 30)
    for row, token in enumerate(found.tokens.tolist()):
        n = [[grid.tolist().count(token) for grid, own in zip(tokens, labels, strict=True) if own == g] for g in GROUPS]  # fmt: skip # noqa: E501
        won = sum((x > y) - (x < y) for x in n[0] for y in n[1])
        assert float(found.delta[row]) == won / 900
        theirs = stats.mannwhitneyu(*n, method="asymptotic", use_continuity=False).pvalue
        assert float(found.p[row]) == pytest.approx(theirs, rel=1e-10)
        assert found.present[row].tolist() == [sum(x > 0 for x in one) for one in n]
    theirs = stats.false_discovery_control(found.p.numpy())
    assert found.adjusted.tolist() == pytest.approx(theirs, rel=1e-12)


def test_the_planted_token_differs_most():
    found = FEW(*world(planted=0.8), GROUPS)
    differ = found.tokens[found.differ].tolist()
    assert differ[0] == 0 and len(differ) <= 2, "what it takes the place of is a little rarer"
    (low, high), delta = found.intervals[0].tolist(), float(found.delta[found.differ[0]])
    assert 0.3 < low < delta < high, "the first group has more"
    assert found.control <= 0.2
    other = FEW(*world(planted=0.8), ("dog", "cat"))
    assert float(other.delta[other.differ[0]]) == -delta
    assert torch.equal(other.p, found.p)


def test_groups_that_are_alike_seldom_differ():
    bold, hits = DifferingTokens(draws=1, least=0.0, fdr=0.2), 0
    for seed in range(40):
        tokens, labels = world(planted=0.1, seed=seed)
        hits += len(bold(tokens, labels, GROUPS).differ) > 0
    assert 1 <= hits <= 16, "of 40 worlds, 8 are expected at a rate of 20 %"


def test_rare_tokens_are_not_tested_and_only_some_get_an_interval():
    tokens, labels = world(planted=0.8)
    tokens[:4, 5] = 99
    assert 99 not in FEW(tokens, labels, GROUPS).tokens.tolist()
    assert 99 in replace(FEW, min_count=4)(tokens, labels, GROUPS).tokens.tolist()
    loose = replace(FEW, fdr=0.9, least=0.0, most=2)(tokens, labels, GROUPS)
    assert len(loose.differ) > 2 and loose.intervals.shape == (2, 2)
    p = loose.p[loose.differ].tolist()
    assert p == sorted(p), "the surest first"
    assert len(replace(FEW, min_count=61)(tokens, labels, GROUPS).tokens) == 0


def test_same_seed_same_numbers_and_a_token_everywhere_says_nothing():
    tokens, labels = world(planted=0.8)
    tokens[:, 11] = 50
    found, again = FEW(tokens, labels, GROUPS), FEW(tokens, labels, GROUPS)
    assert torch.equal(found.intervals, again.intervals) and found.control == again.control
    row = found.tokens.tolist().index(50)
    assert float(found.delta[row]) == 0 and float(found.p[row]) == 1
    assert not math.isnan(float(found.adjusted[row]))
    assert eval(repr(FEW)) == FEW


def test_refusals():
    tokens, labels = world(count=10)
    with pytest.raises(BadInput) as error:
        FEW(tokens, labels[:-1], GROUPS)
    assert str(error.value) == (
        "DifferingTokens needs a group for each image; it got 10 images and 9 groups."
    )
    with pytest.raises(BadInput) as error:
        FEW(tokens, ["cat"] * 9 + ["cow"], GROUPS)
    assert str(error.value) == (
        "DifferingTokens compares 'cat' with 'dog', two images or more of each and no others; it "
        "got 9 and 0 of 10 images."
    )
    with pytest.raises(BadInput) as error:
        DifferingTokens(fdr=1.0)
    assert str(error.value) == (
        "DifferingTokens needs a rate between 0 and 1, a least |δ| from 0 to 1, and counts and "
        "draws of 1 or more; it got DifferingTokens(fdr=1.0, least=0.147, min_count=5, most=20, "
        "draws=2000, seed=0)."
    )
