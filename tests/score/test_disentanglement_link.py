"""The link of disentanglement and certainty against scipy, with worlds mixed and held fixed."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, rankdata, spearmanr

from legenda.errors import BadInput, ShapeError
from legenda.score.disentanglement_link import DisentanglementLink
from tests.score.disentanglement_world import noise, unwrapped, width

LINK = DisentanglementLink(draws=400, permutations=400)


def linked(m=24, strength=1.0, seed=0):
    """Two values per model that go together as much as `strength` says, some equal."""
    x, e = noise(m, 2, seed).T
    return (x * 4).round() / 4, strength * x + e


def test_correlations_agree_with_scipy():
    x, y = linked()
    worlds = ["grey", "colour", "faces"] * 8
    found = LINK(x, y, worlds)
    assert found.score.value == pytest.approx(spearmanr(x, y).statistic) and found.score.n == 24
    member = np.array([[w == one for one in ("grey", "colour", "faces")] for w in worlds]) * 1.0
    left = [
        (ranks := rankdata(side)) - member @ np.linalg.lstsq(member, ranks, rcond=None)[0]
        for side in (x, y)
    ]
    assert found.within is not None
    assert found.within.value == pytest.approx(pearsonr(*left).statistic)


def test_p_counts_permutations_at_least_as_far_out():
    x, y = linked(8, 0.0, 5)
    found = DisentanglementLink(permutations=4000)(x, y)
    exact = spearmanr(x, y).statistic
    lot, far = np.random.default_rng(7), 0
    for _ in range(4000):
        far += abs(spearmanr(x, lot.permutation(y)).statistic) >= abs(exact) - 1e-12
    assert found.p == pytest.approx(far / 4000, abs=0.04) and 0.02 < found.p < 0.98


def test_a_link_is_found_and_chance_is_not():
    strong, none = LINK(*linked(strength=2.0)), LINK(*linked(strength=0.0, seed=3))
    assert strong.score.value > 0.7 and strong.score.beats_control and strong.p < 0.01
    assert strong.score.interval[0] < strong.score.value < strong.score.interval[1]
    assert not none.score.beats_control and none.p > 0.05
    assert none.score.control == pytest.approx(0, abs=0.05)
    assert strong.within is None and np.isnan(strong.within_p)


def test_worlds_that_differ_in_both_make_a_link_that_is_not_there():
    """Within each world the two go against each other; between worlds they go together."""
    lot = np.random.default_rng(0)
    world = np.repeat([0, 1, 2], 10)
    x = lot.random(30)
    y = torch.from_numpy(10 * world - x + 0.1 * lot.random(30))
    found = LINK(torch.from_numpy(10 * world + x), y, [str(w) for w in world])
    assert found.score.value > 0.7 and found.p < 0.01
    assert found.within is not None and found.within.value < -0.9 and found.within_p < 0.01
    assert found.within.control == pytest.approx(0, abs=0.1)


def test_a_world_of_its_own_tells_nothing():
    """Models that are alone in their worlds leave nothing to correlate."""
    x, y = linked(6)
    found = LINK(x, y, list("abcdef"))
    assert found.within is not None and np.isnan(found.within.value)
    assert np.isnan(found.within_p) and found.within.beats_control is None


def test_only_ranks_count_and_the_sign_turns_with_either():
    x, y = linked()
    one = LINK(x, y)
    assert LINK(x.exp(), y * 3 + 1) == one
    assert LINK(-x, y).score.value == pytest.approx(-one.score.value)


def test_the_interval_narrows_with_more_models():
    widths = [width(LINK(*linked(m, 0.0)).score.interval) for m in (10, 60, 360)]
    assert widths[0] > widths[1] > widths[2]


def test_a_measure_that_never_changes_has_no_link():
    found = LINK(torch.ones(8).double(), torch.arange(8).double())
    assert np.isnan(found.score.value) and np.isnan(found.p)


def test_what_cannot_be_linked_is_refused():
    call, x = unwrapped(DisentanglementLink.__call__), torch.arange(5).double()
    with pytest.raises(ShapeError) as caught:
        call(LINK, x, x, ["a"])
    assert str(caught.value) == (
        "DisentanglementLink needs a measure, a certainty and, if any, a world for each model; it "
        "got (5,), (5,) and 1 worlds."
    )
    with pytest.raises(BadInput) as caught:
        LINK(x, x / 0)
    assert str(caught.value) == (
        "DisentanglementLink needs finite values of 4 models or more; it got 5 models, 5 of them "
        "without. Leave those out, or train more."
    )
    with pytest.raises(BadInput) as caught:
        DisentanglementLink(draws=0)
    assert str(caught.value) == (
        "DisentanglementLink needs a draw and a permutation or more; it got draws=0, "
        "permutations=2000."
    )
