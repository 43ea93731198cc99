"""Spread: scipy's deviation as a twin, angles the short way round, floors."""

import re

import pytest
import torch
from scipy.stats import median_abs_deviation

from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput
from legenda.measure.spread import FLOORS, LEAST, spread

NAMES = tuple(ATTRIBUTES)


def table(**columns) -> torch.Tensor:
    """NaN but for some columns."""
    count = max(len(v) for v in columns.values())
    values = torch.full((count, len(NAMES)), torch.nan).double()
    for name, column in columns.items():
        values[: len(column), NAMES.index(name)] = column
    return values


def test_every_attribute_has_a_floor():
    assert tuple(FLOORS) == NAMES
    assert min(FLOORS.values()) > 0


def test_it_is_the_median_deviation_made_normal():
    values = torch.randn(101, generator=torch.Generator().manual_seed(0)).double()
    got = spread(table(x=values))[NAMES.index("x")]
    assert float(got) == pytest.approx(median_abs_deviation(values.numpy(), scale="normal"), 1e-4)


def test_angles_near_their_return_are_near_each_other():
    angles = torch.tensor([170.0, 175, 178, 179, 1, 2, 5, 10] * 4).double()
    got = float(spread(table(orientation=angles))[NAMES.index("orientation")])
    assert got == pytest.approx(1.4826 * 3.5, abs=1.5)
    assert float(spread(table(hue=angles))[NAMES.index("hue")]) > 60


def test_what_no_one_sees_is_the_least_spread():
    got = spread(table(count=torch.ones(20), size=torch.full((20,), 0.2)))
    assert float(got[NAMES.index("count")]) == FLOORS["count"]
    assert float(got[NAMES.index("size")]) == FLOORS["size"]


def test_what_too_few_pictures_have_is_unknown():
    got = spread(table(x=torch.rand(LEAST), y=torch.rand(LEAST - 1)))
    assert got[NAMES.index("x")] > 0
    assert got[NAMES.index("y")].isnan()


def test_a_table_of_other_columns_is_refused():
    says = "A spread needs a column for each of 25 attributes; it got 3. Give what `measure` returns."  # fmt: skip # noqa: E501
    with pytest.raises(BadInput, match=re.escape(says)):
        spread(torch.zeros(9, 3))
