"""Likeness of attributes is scipy's Spearman, pair by pair."""

import pytest
import torch
from scipy.stats import spearmanr

from legenda.measure.likeness import FEWEST, likeness


def world(seed=0):
    values = torch.randn(60, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values[:, 1] = values[:, 0].exp() + 0.3 * values[:, 1]
    values[:, 2] = values[:, 2].round()
    values[::5, 3] = torch.nan
    return values


def test_it_is_spearmans_of_the_pictures_that_have_both():
    values = world()
    found = likeness(values)
    for i in range(4):
        for j in range(4):
            both = ~values[:, [i, j]].isnan().any(1)
            rho = spearmanr(values[both, i].numpy(), values[both, j].numpy()).statistic
            assert float(found[i, j]) == pytest.approx(abs(rho))


def test_a_rising_map_changes_nothing():
    values = world()
    mapped = values.clone()
    mapped[:, 0] = mapped[:, 0].exp()
    assert torch.equal(likeness(values), likeness(mapped))


def test_few_pictures_tell_nothing_and_equal_ones_nothing_alike():
    values = world()[: FEWEST - 1]
    assert likeness(values).isnan().all()
    still = world()
    still[:, 0] = 2.0
    assert float(likeness(still)[0, 1]) == 0.0
