"""Separated attribute predictability against the paper's loops, and on codes planted good and bad."""  # noqa: E501

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from legenda.errors import BadInput
from legenda.score.sap import SeparatedPredictability
from tests.score.disentanglement_world import bootstrapped, levels, noise, perfect, turned, width


def crossed(learner, code, level):
    """Each half told by what was learnt on the other."""
    one, two = np.array_split(np.random.default_rng(0).permutation(len(code)), 2)
    said = np.empty(len(code), dtype=int)
    for fit, asked in ((one, two), (two, one)):
        said[asked] = learner.fit(code[fit, None], level[fit]).predict(code[asked, None])
    return balanced_accuracy_score(level, said)


@pytest.mark.parametrize("classifier", ["thresholds", "svm"])
def test_predictions_agree_with_their_literal_twin(classifier):
    v = levels(300)
    z = turned(perfect(v))
    z = (z - z.mean(0)) / z.std(0, correction=0)
    found, x = SeparatedPredictability(classifier)(z, v), z.numpy()
    matrix = np.zeros((6, 4))
    for i in range(6):
        for k in range(4):
            if k:
                line = LinearRegression().fit(x[:, [i]], v[:, k])
                matrix[i, k] = line.score(x[:, [i]], v[:, k])
                continue
            learner = (
                LinearSVC(C=0.01, class_weight="balanced", random_state=0)
                if classifier == "svm"
                else DecisionTreeClassifier(
                    max_leaf_nodes=3, class_weight="balanced", random_state=0
                )
            )
            matrix[i, k] = crossed(learner, x[:, i], v[:, k])
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-9)
    ranked = np.sort(matrix, 0)
    np.testing.assert_allclose(found.each, ranked[-1] - ranked[-2], atol=1e-9)
    assert found.score.value == pytest.approx(float((ranked[-1] - ranked[-2]).mean()))
    assert found.first.tolist() == matrix.argmax(0).tolist() and found.score.n == 300


def test_a_perfect_code_comes_close_to_one_and_a_turned_one_does_not():
    v = levels()
    z = perfect(v)
    found, bad = SeparatedPredictability()(z, v), SeparatedPredictability()(turned(z), v)
    assert found.each[1:].tolist() == pytest.approx([1, 1, 1], abs=0.02)
    assert float(found.each[0]) == pytest.approx(2 / 3, abs=0.08)  # the second code guesses: 1/3
    assert bad.score.value < 0.35 and found.score.beats_control
    blurred = [
        SeparatedPredictability()(perfect(v, blur=b), v).score.value for b in (0.2, 0.5, 1.0)
    ]
    assert found.score.value > blurred[0] > blurred[1] > blurred[2]


def test_lines_against_the_rest_cannot_tell_many_classes_apart():
    v, classes = levels(sizes=(3, 8)), [False, False]
    by_line = SeparatedPredictability("svm")(perfect(v), v, ordered=classes).matrix
    by_cuts = SeparatedPredictability()(perfect(v), v, ordered=classes).matrix
    assert by_cuts.diagonal().tolist() == [1, 1]
    assert float(by_line[0, 0]) == 1 and float(by_line[1, 1]) < 0.8


def test_a_factor_that_goes_round_is_not_seen_by_a_line():
    v = levels(2000, (40, 40))
    angle = torch.from_numpy(v[:, :1] * 2 * np.pi / 40)
    z = torch.cat([angle.cos(), torch.from_numpy(v[:, 1:].astype(float))], 1)
    matrix = SeparatedPredictability()(z, v).matrix
    assert float(matrix[0, 0]) < 0.02 and float(matrix[1, 1]) == pytest.approx(1)


def test_ordered_levels_may_be_taken_as_classes():
    v = levels(400)
    found = SeparatedPredictability()(perfect(v), v, ordered=[False] * 4)
    assert found.matrix.diagonal()[1:].tolist() == pytest.approx([1, 1, 1], abs=0.15)
    assert float(found.matrix[5, 3]) < 0.25  # one in twelve by chance, not 0


def test_noise_scores_like_its_control():
    score = SeparatedPredictability()(noise(2000), levels(2000)).score
    assert score.control is not None and score.value < 0.015
    assert score.value == pytest.approx(score.control, abs=0.01) and not score.beats_control


def test_order_and_scale_of_codes_change_nothing():
    v = levels(300)
    z = turned(perfect(v))
    one = SeparatedPredictability()(z, v)
    other = SeparatedPredictability()(8 * z[:, [5, 3, 1, 0, 2, 4]], v)
    torch.testing.assert_close(other.matrix, one.matrix[[5, 3, 1, 0, 2, 4]])
    assert other.score.value == pytest.approx(one.score.value)


def test_a_code_that_never_changes_predicts_nothing():
    v = levels(400)
    z = torch.cat([perfect(v), torch.ones(400, 1, dtype=torch.float64)], 1)
    assert SeparatedPredictability()(z, v).matrix[6].tolist() == pytest.approx(
        [1 / 3, 0, 0, 0], abs=0.06
    )


def test_the_interval_is_about_that_of_a_bootstrap_over_pictures():
    v = levels(400, (8, 12))
    z = perfect(v, 1, blur=0.6)
    x = z.numpy()

    def literal(rows):
        r = np.corrcoef(x[rows].T, v[rows].T)[:3, 3:] ** 2
        return float((np.sort(r, 0)[-1] - np.sort(r, 0)[-2]).mean())

    found = SeparatedPredictability()(z, v).score
    assert found.interval[0] < found.value < found.interval[1]
    assert width(found.interval) == pytest.approx(bootstrapped(literal, 400, 400), rel=0.25)


def test_an_unknown_classifier_is_refused():
    with pytest.raises(BadInput) as caught:
        SeparatedPredictability(strength=0.0)
    assert str(caught.value) == (
        "SeparatedPredictability tells classes by thresholds or svm, of a strength above 0; it got "
        "'thresholds' and 0.0."
    )
