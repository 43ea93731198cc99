import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support, roc_curve

from legenda.errors import BadInput
from legenda.score.abstention import CrossValidated, balanced, in_sample, judged, threshold
from legenda.score.ranking import resamples, shuffles, tally
from tests.score.answer_toys import lot, ranked_units

SEEDS = range(6)


def published(clear, sure):
    """Every threshold of scikit-learn's curve, the first of the best."""
    _, _, thresholds = roc_curve(clear, sure, drop_intermediate=False)
    rates = [balanced_accuracy_score(clear, sure >= float(t)) for t in thresholds]
    best = max(rates)
    first = next(i for i, rate in enumerate(rates) if rate > best - 1e-12)
    return best, float(thresholds[first])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_threshold_and_its_own_number_are_the_published_ones(seed):
    clear, sure, _ = ranked_units(seed=seed)
    best, at = published(clear, sure)
    found = in_sample(clear, sure, draws=20)
    assert found.value == pytest.approx(best, abs=1e-12)
    assert threshold(clear, sure) == found.threshold == at


@pytest.mark.parametrize("folds", [0, 3])
def test_every_unit_is_judged_by_a_threshold_found_without_its_model(folds):
    clear, sure, groups = ranked_units(seed=3)
    found = CrossValidated(folds, draws=20)(clear, sure, groups)
    for name in set(groups) if not folds else ():
        others = torch.tensor([group != name for group in groups])
        assert found.thresholds[name] == published(clear[others], sure[others])[1]
    for i, group in enumerate(groups):
        assert bool(found.named[i]) == (float(sure[i]) >= found.thresholds[group])
    changed = clear.clone()
    own = torch.tensor([group == "m2" for group in groups])
    changed[own] = ~changed[own]
    again = CrossValidated(folds, draws=20)(changed, sure, groups)
    assert again.thresholds["m2"] == found.thresholds["m2"], "its own labels change nothing"
    assert again.thresholds != found.thresholds, "but they change that of the others"


def test_numbers_are_those_of_scikit_learn():
    clear, sure, groups = ranked_units(seed=1)
    found = CrossValidated(draws=20)(clear, sure, groups)
    p, r, f, _ = precision_recall_fscore_support(clear, found.named, average="binary")
    want = {
        "balanced accuracy": balanced_accuracy_score(clear, found.named), "precision": p,
        "recall": r, "F1": f, "coverage": float(found.named.double().mean()),
    }  # fmt: skip
    assert {name: found.scores[name].value for name in want} == pytest.approx(want)
    assert set(found.scores) == {*want, "ROC-AUC", "PR-AUC", "AURC"}
    for name, score in found.scores.items():
        assert score.interval[0] <= score.value <= score.interval[1], name
        assert score.n == 60 and score.control is not None


def test_intervals_are_the_loop_over_resampled_models():
    clear, sure, groups = ranked_units(40, seed=2)
    named = sure > 0
    found = {"balanced accuracy": [], "precision": [], "coverage": []}
    for row in resamples(clear, groups, 5, 60):
        rows = [i for i, times in enumerate(row.tolist()) for _ in range(times)]
        y, z = clear[rows], named[rows]
        if y.any() and not y.all():
            found["balanced accuracy"].append(balanced_accuracy_score(y, z))
        if z.any():
            found["precision"].append(float(y[z].double().mean()))
        found["coverage"].append(float(z.double().mean()))
    edges = torch.tensor([0.5 * (1 - 0.95), 1 - 0.5 * (1 - 0.95)], dtype=torch.float64)
    scores = judged(clear, named, groups, 5, 60)
    for name, values in found.items():
        want = torch.tensor(values, dtype=torch.float64).quantile(edges).tolist()
        assert scores[name].interval == pytest.approx(want, abs=1e-12), name


def test_labels_without_meaning_still_look_good_in_sample_but_not_held_out():
    gap, out, chance, p = [], [], [], []
    for seed in range(30):
        clear = torch.rand(60, generator=lot(seed)) < 0.8
        sure = torch.rand(60, generator=lot(seed + 100), dtype=torch.float64)
        groups = [f"m{i % 6}" for i in range(60)]
        found = CrossValidated(draws=100)(clear, sure, groups)
        gap.append(found.in_sample.value)
        out.append(found.scores["balanced accuracy"].value)
        chance.append(found.in_sample.chance)
        p.append(found.in_sample.p)
    mean = {n: sum(v) / 30 for n, v in (("in", gap), ("out", out), ("chance", chance), ("p", p))}
    assert mean["in"] > 0.58, "the best of many thresholds is above one half by itself"
    assert mean["out"] < 0.54
    assert mean["chance"] == pytest.approx(mean["in"], abs=0.02)
    assert 0.3 < mean["p"] < 0.7


def test_chance_reaches_what_it_reaches_on_as_many_units_as_were_published():
    """Twelve unclear units, and 108 clear ones as has been assumed."""
    sure = torch.rand(120, generator=lot(), dtype=torch.float64)
    chance = balanced(tally(shuffles(torch.arange(120) >= 12, 0, 4000), sure)).amax(1)
    assert float(chance.mean()) == pytest.approx(0.587, abs=0.003)
    assert float(chance.quantile(0.95)) == pytest.approx(0.676, abs=0.01)


def test_a_planted_difference_is_found_on_other_models():
    clear, sure, groups = ranked_units(240, gap=3.0, step=0.01)
    found = CrossValidated(draws=200)(clear, sure, groups)
    score = found.scores["balanced accuracy"]
    assert score.interval[0] < 0.933 < score.interval[1]  # Φ(1.5)
    assert score.beats_control and score.control == pytest.approx(0.5, abs=0.02)
    assert found.in_sample.p == pytest.approx(1 / 201)
    control = found.scores["precision"].control
    assert control == pytest.approx(float(clear.double().mean()), abs=0.02)


def test_certainties_only_need_an_order():
    clear, sure, groups = ranked_units(seed=4)
    one = CrossValidated(draws=20)(clear, sure, groups)
    other = CrossValidated(draws=20)(clear, (sure / 3).exp(), groups)
    assert torch.equal(one.named, other.named)


def test_naming_nothing_has_no_precision():
    clear, _, groups = ranked_units()
    found = judged(clear, torch.zeros(60, dtype=torch.bool), groups, draws=20)
    assert found["precision"].value != found["precision"].value
    assert found["recall"].value == found["coverage"].value == 0


def test_what_cannot_be_split_is_refused():
    clear, sure, groups = ranked_units()
    with pytest.raises(BadInput) as caught:
        CrossValidated(7)(clear, sure, groups)
    assert str(caught.value) == (
        "CrossValidated splits models: it needs two folds or more and no more than there are "
        "models; it got 7 folds of 6 models."
    )
    with pytest.raises(BadInput, match="got 1 folds of 1 models"):
        CrossValidated()(clear, sure, ["m"] * 60)
    lonely = torch.arange(60) % 6 > 0  # without the other five models, one kind is left
    with pytest.raises(BadInput) as caught:
        CrossValidated()(lonely, sure, groups)
    assert str(caught.value).endswith(
        "compares clear units with unclear ones; 50 of 50 are clear. Give units of both kinds."
    )
    assert str(caught.value).startswith("CrossValidated, without fold ")
