"""Modularity and explicitness against the paper's loops, and on codes planted good and bad."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from legenda.errors import BadInput
from legenda.score.factor_information import FactorInformation
from legenda.score.modularity import Modularity, areas
from tests.score.disentanglement_world import bootstrapped, levels, noise, perfect, turned, width

FEW = FactorInformation(permutations=8)


def literal(m):
    """Equation (1) of one code, by its template."""
    best, theta = int(np.argmax(m)), max(m)
    template = [theta if k == best else 0 for k in range(len(m))]
    off = sum((a - b) ** 2 for a, b in zip(m, template, strict=True))
    return 1 - off / (theta**2 * (len(m) - 1))


def test_modularity_agrees_with_its_literal_twin():
    v = levels(500)
    z = turned(perfect(v))
    found = Modularity(FEW, least=-100.0)(z, v)
    nats = FEW(z, v).nats.clamp(min=0).numpy()
    want = [literal(m.tolist()) for m in nats]
    assert found.each.tolist() == pytest.approx(want)
    assert found.modularity.value == pytest.approx(sum(want) / 6)


@pytest.mark.parametrize("classifier", ["softmax", "one-vs-rest"])
def test_explicitness_agrees_with_its_literal_twin(classifier):
    v = levels(300, (3, 5))
    z = turned(perfect(v, blur=0.5))
    found = Modularity(FEW, classifier=classifier)(z, v)
    fit, asked = np.array_split(np.random.default_rng(0).permutation(300), 2)
    x = z.numpy()
    x = (x - x[fit].mean(0)) / x[fit].std(0)
    want = []
    for k in range(2):
        reader, each = LogisticRegression(max_iter=1000), []
        for at in range(int(v[:, k].max()) + 1):
            if classifier == "softmax":
                said = reader.fit(x[fit], v[fit, k]).predict_proba(x[asked])[:, at]
            else:
                said = reader.fit(x[fit], v[fit, k] == at).decision_function(x[asked])
            each.append(roc_auc_score(v[asked, k] == at, said))
        want.append(np.mean(each))
    assert found.explicit.tolist() == pytest.approx(want)
    assert found.explicitness.value == pytest.approx(np.mean(want)) and found.explicitness.n == 150


def test_a_perfect_code_is_modular_and_explicit():
    v = levels()
    found = Modularity(FEW)(perfect(v), v)
    assert found.modularity.value > 0.99 and found.modularity.beats_control
    assert found.explicitness.value > 0.95 and found.explicitness.beats_control
    bad = Modularity(FEW)(turned(perfect(v)), v)
    assert bad.modularity.value < 0.95
    # turning takes nothing away: whoever may combine codes reads as much
    assert bad.explicitness.value == pytest.approx(found.explicitness.value, abs=0.02)
    blurred = Modularity(FEW)(perfect(v, blur=1.5), v)
    assert blurred.explicitness.value < found.explicitness.value - 0.1


def test_a_code_of_two_factors_is_less_modular():
    v = levels(2000, (8, 8, 8))
    z = perfect(v, 0)
    both = torch.stack([z[:, 0] + z[:, 1], z[:, 2]], 1)
    each = Modularity(FEW)(both, v).each
    assert float(each[0]) == pytest.approx(0.5, abs=0.1) and float(each[1]) > 0.99
    assert len(Modularity(FEW)(both, v).explicit) == 3


def test_idle_codes_are_left_out():
    v = levels()
    found = Modularity(FEW)(perfect(v, 3), v)
    assert found.each.isnan().tolist() == [False] * 4 + [True] * 3
    without = Modularity(FEW)(perfect(v, 0), v)
    assert found.modularity.value == pytest.approx(without.modularity.value, abs=1e-3)


def test_noise_scores_like_its_control():
    found = Modularity(FEW)(noise(), levels())
    assert (found.modularity.value, found.modularity.control) == (0, 0)
    assert found.modularity.interval == (0, 0) and found.each.isnan().all()
    assert found.explicitness.value == pytest.approx(0.5, abs=0.03)
    assert found.explicitness.control == pytest.approx(0.5, abs=0.03)
    assert not found.explicitness.beats_control


def test_one_line_against_the_rest_cannot_single_out_a_middle_level():
    v = levels(sizes=(9, 9))
    by = [
        Modularity(FEW, classifier=c)(perfect(v, 0), v).explicitness.value
        for c in ("softmax", "one-vs-rest")
    ]
    assert by[0] > 0.95 and by[1] < 0.8


def test_order_and_scale_of_codes_change_nothing():
    v = levels(400)
    z = turned(perfect(v))
    one, other = Modularity(FEW)(z, v), Modularity(FEW)(8 * z[:, [5, 3, 1, 0, 2, 4]], v)
    torch.testing.assert_close(other.each, one.each[[5, 3, 1, 0, 2, 4]], equal_nan=True)
    assert other.modularity.value == pytest.approx(one.modularity.value)
    torch.testing.assert_close(other.explicit, one.explicit, atol=1e-3, rtol=0)


def test_intervals_are_about_those_of_a_bootstrap_over_pictures():
    v = levels(400, (4, 4))
    score = noise(400, 4) + 1.5 * torch.from_numpy((v[:, :1] == np.arange(4)).astype(float))
    true = torch.from_numpy(v[:, :1] == np.arange(4))
    said = score.numpy()

    def literal_area(rows):
        return np.mean([roc_auc_score(v[rows, 0] == at, said[rows, at]) for at in range(4)])

    per_picture = areas(score, true)
    assert float(per_picture.mean()) == pytest.approx(literal_area(np.arange(400)))
    spread = float(per_picture.std()) / 20 * 2 * 1.96
    assert spread == pytest.approx(bootstrapped(literal_area, 400, 100), rel=0.3)

    z = torch.stack([perfect(v, 0, blur=0.4) @ torch.tensor([1.0, 0.7]).double()], 1)
    plain = FactorInformation(bins=6, correction="none", permutations=4)
    found = Modularity(plain)(z, v).modularity

    def literal_modularity(rows):
        return literal(plain(z[rows], v[rows]).nats[0].tolist())

    assert width(found.interval) == pytest.approx(
        bootstrapped(literal_modularity, 400, 60), rel=0.4
    )


def test_an_unknown_classifier_is_refused():
    with pytest.raises(BadInput) as caught:
        Modularity(strength=0.0)
    assert str(caught.value) == (
        "Modularity reads factors by softmax or one-vs-rest, of a strength above 0; it got "
        "'softmax' and 0.0."
    )
    with pytest.raises(BadInput) as caught:
        Modularity()(noise(20), levels(20, (3,)))
    assert str(caught.value) == (
        "Modularity needs 8 pictures, 1 codes and 2 factors or more; it got 20, 6 and 1."
    )
