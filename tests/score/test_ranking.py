from itertools import permutations
from math import isclose

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from legenda.errors import BadInput, ShapeError
from legenda.score.ranking import pr_auc, resamples, risk_auc, risk_coverage, roc_auc
from tests.score.answer_toys import lot, ranked_units

SEEDS = range(6)


def literal_risk(clear, sure):
    """Equation (3): every order that ties allow, one after another."""
    n, found = len(clear), []
    for order in permutations(range(n)):
        if all(sure[a] >= sure[b] for a, b in zip(order, order[1:], strict=False)):
            wrong = [sum(not clear[i] for i in order[:t]) / t for t in range(1, n + 1)]
            found.append(sum(wrong) / n)
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_areas_are_those_of_scikit_learn(seed):
    clear, sure, _ = ranked_units(seed=seed)
    assert roc_auc(clear, sure).value == pytest.approx(roc_auc_score(clear, sure), abs=1e-12)
    want = average_precision_score(clear, sure)
    assert pr_auc(clear, sure).value == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_risk_area_is_the_mean_over_all_orders_of_ties(seed):
    sure = torch.randint(3, (7,), generator=lot(seed)).double()
    clear = torch.tensor([True, False, True, False, True, True, False])
    want = literal_risk(clear.tolist(), sure.tolist())
    assert risk_auc(clear, sure).value == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("score", [roc_auc, pr_auc])
def test_the_interval_is_the_loop_over_resamples(grouped, score):
    clear, sure, groups = ranked_units(40)
    rule = roc_auc_score if score is roc_auc else average_precision_score
    weights = resamples(clear, groups if grouped else None, 4, 50)
    found = []
    for row in weights:
        rows = [i for i, times in enumerate(row.tolist()) for _ in range(times)]
        if len({bool(clear[i]) for i in rows}) == 2:
            found.append(rule(clear[rows], sure[rows]))
    edges = torch.tensor([0.5 * (1 - 0.95), 1 - 0.5 * (1 - 0.95)], dtype=torch.float64)
    want = torch.tensor(found, dtype=torch.float64).quantile(edges).tolist()
    ours = score(clear, sure, groups if grouped else None, seed=4, draws=50)
    assert ours.interval == pytest.approx(want, abs=1e-12)


def test_resamples_keep_kinds_or_whole_groups():
    clear, _, groups = ranked_units(40)
    apart = resamples(clear, None, 0, 20)
    assert apart[:, clear].sum(1).unique().tolist() == [int(clear.sum())]
    assert apart[:, ~clear].sum(1).unique().tolist() == [int((~clear).sum())]
    whole = resamples(clear, groups, 0, 20)
    for name in set(groups):
        rows = torch.tensor([group == name for group in groups])
        assert (whole[:, rows] == whole[:, rows][:, :1]).all(), "a model is drawn whole"
    assert len(whole.unique(dim=0)) > 10


def test_models_that_differ_widen_the_interval():
    """Units of one model share its luck: as many units say less."""
    shift = torch.randn(6, generator=lot(2)) * 3
    clear, sure, groups = ranked_units(240, gap=0.5)
    moved = sure + torch.tensor([float(shift[int(group[1])]) for group in groups])
    kind = torch.tensor([int(group[1]) % 2 == 0 for group in groups]) ^ (~clear & (sure > 0))
    (low, high), (wide_low, wide_high) = (
        roc_auc(kind, moved, of).interval for of in (None, groups)
    )
    assert wide_high - wide_low > 1.5 * (high - low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(100):
        clear = torch.arange(60) < 30
        sure = torch.randn(60, generator=lot(seed)) + clear
        low, high = roc_auc(clear, sure, seed=seed, draws=200).interval
        held += low <= 0.7602 <= high  # Φ(1/√2)
    assert 86 <= held <= 100


def test_controls_are_chance():
    clear, sure, _ = ranked_units(200)
    prevalence = float(clear.double().mean())
    roc, pr, risk = (score(clear, sure) for score in (roc_auc, pr_auc, risk_auc))
    assert roc.control == pytest.approx(0.5, abs=0.01) and roc.beats_control
    assert pr.control == pytest.approx(prevalence, abs=0.03) and pr.beats_control
    assert risk.control == pytest.approx(1 - prevalence, abs=0.02) and risk.beats_control
    assert not risk.higher_is_better


def test_order_is_all_that_counts():
    clear, sure, groups = ranked_units()
    for score in (roc_auc, pr_auc, risk_auc):
        assert score(clear, sure, groups).value == score(clear, (sure / 2).exp(), groups).value
    assert roc_auc(clear, -sure).value == pytest.approx(1 - roc_auc(clear, sure).value)
    assert roc_auc(clear, clear.double()).interval == (1, 1)
    assert roc_auc(clear, torch.zeros(60)).value == 0.5


def test_the_curve_ends_at_all_units_and_their_risk():
    clear, sure, _ = ranked_units()
    coverage, risk = risk_coverage(clear, sure)
    for share, wrong, value in zip(coverage, risk, sure.unique().flip(0), strict=True):
        held = sure >= value
        assert isclose(float(share), float(held.double().mean()))
        assert isclose(float(wrong), float((~clear[held]).double().mean()))
    assert float(coverage[-1]) == 1


def test_what_cannot_be_ranked_is_refused():
    clear, sure = torch.tensor([True, False]), torch.tensor([0.5, 0.1])
    with pytest.raises(BadInput) as caught:
        roc_auc(torch.tensor([True, True]), sure)
    assert str(caught.value) == (
        "ROC-AUC compares clear units with unclear ones; 2 of 2 are clear. "
        "Give units of both kinds."
    )
    with pytest.raises(BadInput) as caught:
        pr_auc(clear, torch.tensor([0.5, torch.nan]))
    assert str(caught.value) == (
        "PR-AUC needs certainties that can be ordered; 1 of 2 are NaN. Leave those units out."
    )
    with pytest.raises(ShapeError) as caught:
        risk_auc(clear, sure, ["a"])
    assert str(caught.value) == (
        "AURC needs a label, a certainty and a group for each unit; it got 2 labels, "
        "2 certainties and 1 groups. Give one of each."
    )
