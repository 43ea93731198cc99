"""DCI against loops from the paper, and on codes planted good and bad."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from legenda.errors import BadInput
from legenda.score.dci import DCI, complete, concentrated, disentangled, grouped
from tests.score.disentanglement_world import levels, noise, perfect, turned

FAST = DCI(trees=3, folds=3, leaf=10)


def literal(used):
    """Equations (1) to (3), one entry at a time."""
    d, f = used.shape
    of_codes, of_factors = [], []
    for i in range(d):
        p = [used[i, k] / used[i].sum() for k in range(f)]
        of_codes.append(1 + sum(q * math.log(q, f) for q in p if q > 0))
    for k in range(f):
        p = [used[i, k] / used[:, k].sum() for i in range(d)]
        of_factors.append(1 + sum(q * math.log(q, d) for q in p if q > 0))
    rho = [used[i].sum() / used.sum() for i in range(d)]
    whole = sum(r * one for r, one in zip(rho, of_codes, strict=True))
    return of_codes, of_factors, whole, sum(of_factors) / f


def test_entropies_agree_with_their_literal_twin():
    used = torch.from_numpy(np.random.default_rng(0).random((6, 4)) ** 4)
    used[1, :2] = 0
    of_codes, of_factors, d, c = literal(used.numpy())
    assert concentrated(used).tolist() == pytest.approx(of_codes)
    assert concentrated(used.T).tolist() == pytest.approx(of_factors)
    assert disentangled(used) == pytest.approx(d) and complete(used) == pytest.approx(c)


def test_known_matrices():
    eye = torch.eye(4, dtype=torch.float64)
    flat = torch.ones(4, 4, dtype=torch.float64)
    assert (disentangled(eye), complete(eye)) == (1, 1)
    assert (disentangled(flat), complete(flat)) == pytest.approx((0, 0))
    twice = torch.cat([eye, eye])  # two codes for each factor: disentangled, but not complete
    assert disentangled(twice) == 1 and complete(twice) == pytest.approx(1 - math.log(2, 8))
    idle = torch.cat([eye, torch.zeros(2, 4, dtype=torch.float64)])
    assert disentangled(idle) == 1 and concentrated(idle)[4:].tolist() == [0, 0]
    assert disentangled(0 * eye) == 0 and complete(0 * eye) == 0


def test_importance_and_informativeness_agree_with_their_literal_twin():
    v, n = levels(240), 240
    z = turned(perfect(v, 1, blur=0.3))
    found = FAST(z, v)
    order, x = np.random.default_rng(0).permutation(n), z.numpy()
    folds, used = np.array_split(order, 3), np.zeros((5, 4))
    lost, base = np.zeros(4), np.zeros(4)
    for asked in folds:
        fit = np.array([row for row in range(n) if row not in set(asked.tolist())])
        for k in range(4):
            kind = RandomForestClassifier if k == 0 else RandomForestRegressor
            trees = kind(3, min_samples_leaf=10, max_features=None, random_state=0)
            said = trees.fit(x[fit], v[fit, k]).predict(x[asked])
            used[:, k] += trees.feature_importances_ / 3
            if k == 0:
                lost[k] += (said != v[asked, k]).sum()
                base[k] += (v[asked, k] != np.bincount(v[fit, k]).argmax()).sum()
            else:
                lost[k] += ((said - v[asked, k]) ** 2).sum()
                base[k] += ((v[fit, k].mean() - v[asked, k]) ** 2).sum()
    np.testing.assert_allclose(found.importance, used, atol=1e-12)
    of_codes, of_factors, d, c = literal(used)
    np.testing.assert_allclose(found.of_codes, of_codes, atol=1e-9)
    np.testing.assert_allclose(found.of_factors, [of_factors, 1 - lost / base], atol=1e-9)
    assert found.disentanglement.value == pytest.approx(d)
    assert found.completeness.value == pytest.approx(c)
    assert found.informativeness.value == pytest.approx(float((1 - lost / base).mean()))
    assert found.disentanglement.n == found.informativeness.n == n


def test_the_jackknife_leaves_out_a_fold_at_a_time():
    used = torch.from_numpy(np.random.default_rng(1).random((4, 5, 3)))
    value, (low, high) = grouped(disentangled, used)
    each = [disentangled(one) for one in used]
    mean = sum(each) / 4
    half = t.ppf(0.975, 3) * math.sqrt(3 / 4 * sum((one - mean) ** 2 for one in each))
    assert value == pytest.approx(disentangled(used.mean(0)))
    assert (low, high) == pytest.approx((max(0, value - half), min(1, value + half)))


def test_a_perfect_code_is_all_three_and_turned_only_informative():
    v = levels(600)
    good, bad = FAST(perfect(v), v), FAST(turned(perfect(v)), v)
    for score in (good.disentanglement, good.completeness, good.informativeness):
        assert score.value > 0.97 and score.beats_control
    assert bad.disentanglement.value < 0.6 and bad.completeness.value < 0.6
    assert bad.informativeness.value > 0.4 and bad.informativeness.beats_control


def test_noise_scores_like_its_control():
    found = FAST(noise(600), levels(600))
    for score in (found.disentanglement, found.completeness):
        assert score.control is not None and score.value < 0.05
        assert score.value == pytest.approx(score.control, abs=0.03) and not score.beats_control
    assert found.informativeness.value < 0.01


@pytest.mark.parametrize("learner", ["lasso", "boosting"])
def test_other_learners_agree_on_what_is_plain(learner):
    v = levels(300, (4, 6))
    method = DCI(learner, trees=10, leaf=5, folds=2)
    order = [True, True]
    good, bad = (method(z, v, ordered=order) for z in (perfect(v), turned(perfect(v))))
    assert good.disentanglement.value > 0.85 and good.completeness.value > 0.85
    assert good.informativeness.value > 0.4
    assert bad.disentanglement.value < good.disentanglement.value - 0.2


def test_a_dearer_lasso_uses_fewer_codes():
    v = levels(200)
    z = turned(perfect(v))
    used = [(DCI("lasso", penalty=p, folds=2)(z, v).importance > 0).sum() for p in (0.001, 0.2)]
    assert used[0] > used[1] > 0


@pytest.mark.parametrize("method", [FAST, DCI("lasso", folds=2)], ids=["forest", "lasso"])
def test_scale_of_codes_changes_nothing_and_order_next_to_nothing(method):
    v = levels(200)
    z = turned(perfect(v))
    one, other = method(z, v), method(8 * z, v)
    torch.testing.assert_close(one.importance, other.importance)
    order = [5, 3, 1, 0, 2, 4]
    moved = method(z[:, order], v)
    slack = 0.03 if method is FAST else 1e-3  # a tree meets equally good splits in another order
    torch.testing.assert_close(moved.importance, one.importance[order], atol=slack, rtol=0.1)
    assert moved.disentanglement.value == pytest.approx(one.disentanglement.value, abs=slack)


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(BadInput) as caught:
        DCI(folds=1)
    assert str(caught.value) == (
        "DCI learns by forest, boosting, lasso, with a tree, a picture in each leaf and 2 folds or "
        "more; it got 'forest', trees=8, leaf=20, folds=1."
    )
    with pytest.raises(BadInput) as caught:
        DCI()(noise(20), levels(20, (3,)))
    assert str(caught.value) == (
        "DCI needs 8 pictures, 2 codes and 2 factors or more; it got 20, 6 and 1."
    )
