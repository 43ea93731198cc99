"""Along frames: scipy's Spearman and Theil-Sen as twins, angles unwound, laws of both."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr, theilslopes

from legenda.measure.series import LEAST, shift, trend, unwrapped


def rows(count: int = 40, steps: int = 8, gaps: bool = True) -> torch.Tensor:
    """Values with ties, and NaN in places."""
    lot = torch.Generator().manual_seed(0)
    values = torch.randint(6, (count, steps), generator=lot).double()
    gone = torch.rand(count, steps, generator=lot) < (0.2 if gaps else 0)
    return values.masked_fill(gone, torch.nan)


def kept(row):
    there = ~np.isnan(row)
    return np.arange(len(row))[there], row[there]


def test_trend_is_spearmans_rho():
    values = rows()
    for got, row in zip(trend(values).tolist(), values.numpy(), strict=True):
        step, v = kept(row)
        if len(v) < LEAST:
            assert got != got
        elif (v == v[0]).all():
            assert got == 0
        else:
            assert got == pytest.approx(spearmanr(step, v).statistic)


def test_shift_is_theil_and_sens_line():
    values = rows()
    for got, row in zip(shift(values).tolist(), values.numpy(), strict=True):
        step, v = kept(row)
        if len(v) < LEAST:
            assert got != got
        else:
            assert got == pytest.approx(theilslopes(v, step)[0] * (step[-1] - step[0]))


def test_a_line_is_found_and_one_wild_frame_does_not_matter():
    line = torch.linspace(2, 9, 8).double()
    wild = line.clone()
    wild[3] = 1000
    assert shift(torch.stack([line, wild])).tolist() == pytest.approx([7, 7])
    assert float(trend(line[None])) == pytest.approx(1)


def test_backwards_is_the_opposite():
    values = rows(gaps=False)
    torch.testing.assert_close(trend(values.flip(1)), -trend(values))
    torch.testing.assert_close(shift(values.flip(1)), -shift(values))


def test_a_constant_row_does_not_move_and_an_empty_one_is_unknown():
    values = torch.stack([torch.full((8,), 0.3), torch.full((8,), torch.nan)]).double()
    for measured in (trend, shift):
        found = measured(values)
        assert found[0] == 0 and found[1].isnan()
    assert shift(values[1:]).isnan().all()
    assert trend(torch.zeros(0, 8)).shape == shift(torch.zeros(0, 8)).shape == (0,)


def test_only_the_order_counts_for_the_trend():
    values = rows(gaps=False)
    torch.testing.assert_close(trend(values.exp()), trend(values))


@pytest.mark.parametrize("period", [180.0, 360.0])
def test_angles_are_unwound_as_numpy_does(period):
    turns = torch.randn(5, 12, generator=torch.Generator().manual_seed(0)).double() * period / 9
    true = turns.cumsum(1)
    start = true[:, :1] - true[:, :1] % period
    torch.testing.assert_close(unwrapped(true % period, period), true - start)
    twin = np.unwrap((true % period).numpy(), period=period, axis=1)
    np.testing.assert_allclose(unwrapped(true % period, period).numpy(), twin)


def test_gaps_stay_gaps_and_the_angle_goes_on_beyond_them():
    nan = torch.nan
    values = torch.tensor([[nan, 170.0, nan, 10.0, 30.0], [nan] * 5]).double()
    got = unwrapped(values, 180.0)
    torch.testing.assert_close(
        got[0], torch.tensor([nan, 170, nan, 190, 210]).double(), equal_nan=True
    )
    assert got[1].isnan().all()


def test_what_is_not_circular_is_left_as_it_is():
    torch.testing.assert_close(unwrapped(rows(), 0.0), rows(), equal_nan=True)
