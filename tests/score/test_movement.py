import re

import numpy as np
import pytest
import torch

from legenda.errors import BadInput
from legenda.score.movement import NAMES, beside, likeness, movement, place_of, tied
from tests.score.moving_world import COUNT, EVEN, lot_of, series


def test_effects_are_equation_1():
    from scipy.stats import spearmanr

    values = series({"size": 2.0, "x": -1.0}, rows=3, noise=0.3)
    spread = torch.linspace(0.5, 2, COUNT, dtype=torch.float64)
    found = movement(values, spread)
    for r in range(3):
        for a, name in enumerate(NAMES):
            if name in ("hue", "orientation"):
                continue
            v = values[r, :, a].numpy()
            slopes = [(v[j] - v[i]) / (j - i) for i in range(8) for j in range(i + 1, 8)]
            steady = spearmanr(v, np.arange(8)).statistic
            wanted = np.median(slopes) * 7 / float(spread[a]) * abs(steady)
            assert float(found.effect[r, a]) == pytest.approx(wanted)
            assert float(found.trend[r, a]) == pytest.approx(steady)


def test_angles_go_on_across_their_period():
    values, hue = series(noise=0.0), NAMES.index("hue")
    values[..., hue] = (300 + 20 * torch.arange(8)) % 360
    assert torch.allclose(movement(values, EVEN).effect[:, hue], torch.full((8,), 140.0).double())


def test_a_row_backwards_moves_the_other_way_and_a_wider_spread_moves_less():
    values = series({"x": 3.0})
    one, back = movement(values, EVEN).effect, movement(values.flip(1), EVEN).effect
    straight = [i for i, name in enumerate(NAMES) if name not in ("hue", "orientation")]
    assert torch.allclose(one[:, straight], -back[:, straight])
    assert torch.allclose(movement(values, 4 * EVEN).effect, one / 4)


def test_likeness_is_that_of_scipy():
    from scipy.stats import spearmanr

    values = torch.randn(60, COUNT, generator=lot_of(0), dtype=torch.float64).round(decimals=1)
    values[:, 1] += values[:, 0]
    values[:30, 4] = torch.nan
    values[:55, 5] = torch.nan
    found = likeness(values)
    assert float(found[0, 1]) == pytest.approx(abs(spearmanr(values[:, 0], values[:, 1])[0]))
    assert float(found[4, 7]) == pytest.approx(abs(spearmanr(values[30:, 4], values[30:, 7])[0]))
    assert found[5].isnan().all(), "five pictures tell nothing"
    assert torch.equal(found.nan_to_num(-1), found.nan_to_num(-1).T)


def test_what_goes_together_among_pictures_is_tied_and_so_are_families():
    values = torch.randn(80, COUNT, generator=lot_of(1), dtype=torch.float64)
    x, texture = NAMES.index("x"), NAMES.index("texture")
    values[:, texture] = -values[:, x].exp()
    ties, known = tied(values), tied()
    assert ties[x, texture] and not known[x, texture]
    assert known[NAMES.index("size"), NAMES.index("stroke")]
    assert known[NAMES.index("hue"), NAMES.index("warmth")]
    assert known[NAMES.index("background"), NAMES.index("contrast")]
    assert torch.equal(ties, ties.T) and ties.diagonal().all()
    assert int((ties & ~known).sum()) == 2, "and nothing more by chance"


def slow_beside(row, named, ties):
    size = {a: abs(float(v)) for a, v in enumerate(row) if v == v}
    own = max((v for a, v in size.items() if ties[named, a]), default=0.0)
    left = {a: v for a, v in size.items() if not ties[named, a]}
    others = []
    while left and max(left.values()) > 0:
        best = max(left, key=left.__getitem__)
        others.append(left[best])
        left = {a: v for a, v in left.items() if not ties[best, a]}
    return own, others


def test_tied_attributes_are_counted_once():
    lot = lot_of(2)
    effects = torch.randn(6, COUNT, generator=lot, dtype=torch.float64)
    effects[torch.rand(6, COUNT, generator=lot) < 0.2] = torch.nan
    effects[5] = 0.0
    ties = tied(torch.randn(30, COUNT, generator=lot))
    for named in (0, 2, 16):
        found = beside(effects, named, ties)
        for r in range(6):
            own, others = slow_beside(effects[r].tolist(), named, ties)
            assert float(found.own[r]) == pytest.approx(own)
            got = [v for v in found.others[r].tolist() if v > 0]
            assert got == pytest.approx(others)


def test_what_it_refuses():
    message = (
        "movement is of the 25 attributes of core.attribute, in their order; it got values of 25 "
        "and a spread of 24. Give what `measure` gives."
    )
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        # the axes are checked in tests: a mistake must come in by the back door
        movement.__wrapped__(series(), EVEN[:24])
    with pytest.raises(BadInput, match="^'hair length' is not measured. Measured are x, y, size"):
        place_of("hair length")
