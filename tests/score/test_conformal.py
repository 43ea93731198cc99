import pytest
import torch
from scipy.stats import false_discovery_control

from legenda.errors import BadInput
from legenda.score.conformal import Conformal, p_values
from legenda.score.null_sheets import null_threshold
from tests.score.answer_toys import lot

SEEDS = range(6)


def drawn(n, seed, levels=0):
    found = torch.rand(n, generator=lot(seed), dtype=torch.float64)
    return (found * levels).floor() / levels if levels else found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [0, 5])
def test_p_values_are_ranks_counted_one_by_one(seed, levels):
    sure, nulls = drawn(20, seed, levels), drawn(33, seed + 50, levels)
    want = [(1 + sum(z >= c for z in nulls.tolist())) / 34 for c in sure.tolist()]
    assert p_values(sure, nulls).tolist() == pytest.approx(want, abs=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
def test_names_are_benjamini_and_hochbergs(seed):
    sure, nulls = drawn(30, seed) + 0.4, drawn(80, seed + 50)
    found = Conformal(0.2)(sure, {"shuffled": nulls})
    want = false_discovery_control(p_values(sure, nulls).numpy())
    assert found.q.tolist() == pytest.approx(want.tolist(), abs=1e-12)
    assert found.named.tolist() == (want <= 0.2).tolist() and found.named.any()
    assert found.nulls == {"shuffled": 80}


def test_few_of_the_named_are_false_over_many_seeds():
    """Sixty units of which forty are nulls: the mean share of false names is at most α."""
    shares, caught = [], 0
    for seed in range(400):
        nulls, sure = drawn(200, seed), drawn(60, seed + 1000)
        sure[:20] += 0.9
        named = Conformal(0.1)(sure, {"shuffled": nulls}).named
        shares.append(int(named[20:].sum()) / max(1, int(named.sum())))
        caught += int(named[:20].sum())
    assert sum(shares) / 400 <= 0.1
    assert sum(shares) / 400 >= 0.03, "and the bound is not idle"
    assert caught / 400 > 14


def test_where_all_units_are_nulls_hardly_any_study_names_one():
    named = 0
    for seed in range(400):
        sure, nulls = drawn(30, seed, 8), drawn(300, seed + 1000, 8)
        named += bool(Conformal(0.1)(sure, {"shuffled": nulls}).named.any())
    assert named / 400 <= 0.13


def test_one_unit_is_named_as_by_the_threshold_of_nulls():
    for seed in range(60):
        sure, nulls = drawn(1, seed, 10), drawn(30, seed + 100, 10)
        by_threshold = bool(sure[0] >= null_threshold(nulls, 0.2))
        assert bool(Conformal(0.2)(sure, {"any": nulls}).named[0]) == by_threshold


def test_the_kind_that_is_hardest_to_beat_decides():
    sure, easy, hard = drawn(9, 0), torch.zeros(50), drawn(50, 1)
    found = Conformal()(sure, {"constant": easy, "shuffled": hard})
    assert torch.equal(found.p, torch.maximum(p_values(sure, easy), p_values(sure, hard)))


def test_surer_units_have_smaller_p():
    sure = torch.linspace(0, 1.2, 12)
    p = p_values(sure, drawn(40, 0))
    assert (p.diff() <= 0).all() and float(p[-1]) == pytest.approx(1 / 41)
    assert float(p_values(torch.tensor([-1.0]), drawn(40, 0))[0]) == 1


def test_a_product_of_ranks_is_not_rounded_above_alpha():
    """0.05 · 3 / 3 comes out above 0.05."""
    found = Conformal(0.05)(torch.ones(3).double(), {"null": torch.zeros(19).double()})
    assert found.named.all() and float(found.q.max()) > 0.05


def test_what_has_no_p_value_is_refused():
    with pytest.raises(BadInput) as caught:
        Conformal(1.0)
    assert str(caught.value) == "Conformal needs an alpha between 0 and 1; it got 1.0."
    with pytest.raises(BadInput) as caught:
        Conformal()(drawn(3, 0), {})
    assert str(caught.value) == (
        "Conformal needs certainties of null sheets; it got none of any kind."
    )
    with pytest.raises(BadInput) as caught:
        Conformal()(torch.tensor([0.5, torch.nan]), {"shuffled": drawn(3, 0)})
    assert str(caught.value) == (
        "conformal p values need null certainties, and numbers; they got 3 nulls, 0 of them and "
        "1 of 2 units NaN. Leave those out."
    )
