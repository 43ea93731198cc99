import pytest
import torch

from legenda.core.interval import wilson
from legenda.errors import BadInput, ShapeError
from legenda.score.null_sheets import NullSheets, null_threshold
from tests.score.answer_toys import lot

SEEDS = range(8)


def nulls(n=99, seed=0, levels=0):
    found = torch.rand(n, generator=lot(seed), dtype=torch.float64)
    return (found * levels).floor() / levels if levels else found


def literal(z, alpha):
    """The least of all thresholds that at most α of the nulls, one more counted, reach."""
    values = sorted(z.tolist())
    for value in values:
        reach = sum(other > value for other in values)  # these reach what lies just above it
        if (reach + 1) / (len(values) + 1) <= alpha + 1e-12:
            return value
    return None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("levels", [0, 6])
def test_the_threshold_lies_just_above_the_literal_one(seed, alpha, levels):
    z = nulls(41, seed, levels)
    found, want = null_threshold(z, alpha), literal(z, alpha)
    assert found > want and not ((z > want) & (z < found)).any()
    assert found == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("levels", [0, 5])
def test_another_null_reaches_it_at_most_as_often_as_allowed(levels):
    named = 0
    for seed in range(400):
        z = nulls(40, seed, levels)
        named += bool(z[0] >= null_threshold(z[1:], 0.1))
    assert named / 400 <= 0.14
    assert levels or named / 400 >= 0.06, "with no ties it is not far below, either"


def test_the_fewest_nulls_give_their_largest():
    z = nulls(19)
    assert 0 < null_threshold(z, 0.05) - float(z.max()) < 1e-12
    with pytest.raises(BadInput) as caught:
        null_threshold(nulls(18), 0.05, "shuffled")
    assert str(caught.value) == (
        "a threshold that at most 0.05 of shuffled sheets reach needs 19 of them or more, "
        "none NaN; it got 18, 0 NaN. Make more null sheets, or take a larger alpha."
    )
    with pytest.raises(BadInput, match="it got 20, 1 NaN"):
        null_threshold(torch.cat([z, torch.tensor([torch.nan])]), 0.05)


def test_the_harder_kind_decides():
    easy, hard = torch.zeros(60), nulls(60)
    found = NullSheets(0.1)({"constant": easy, "shuffled": hard})
    assert found.threshold == found.by_kind["shuffled"] == null_threshold(hard, 0.1)
    assert found.by_kind["constant"] == pytest.approx(0) and found.by_kind["constant"] > 0
    pooled = null_threshold(torch.cat([easy.double(), hard]), 0.1)
    assert pooled < found.threshold, "pooled, the easy kind would hide the other"


def test_others_abstain_as_often_as_promised_with_wilsons_interval():
    z = {"shuffled": nulls(400), "constant": nulls(300, 1) / 2}
    found = NullSheets(0.1)(z)
    for kind, n in (("shuffled", 400), ("constant", 300), ("all", 700)):
        score = found.abstained[kind]
        assert score.n == n
        assert score.interval == wilson(round(score.value * n), n)
    assert found.abstained["shuffled"].interval[0] <= 0.9 <= found.abstained["shuffled"].interval[1]
    assert found.abstained["constant"].value == 1


def test_each_null_is_judged_by_those_of_other_models():
    z = {"shuffled": nulls(60), "constant": nulls(40, 1)}
    groups = {"shuffled": [f"m{i % 4}" for i in range(60)], "constant": ["m0"] * 20 + ["m3"] * 20}
    found, silent = NullSheets(0.1)(z, groups), {}
    for kind, values in z.items():
        silent[kind] = 0
        for value, own in zip(values.tolist(), groups[kind], strict=True):
            limits = []
            for other, of in z.items():
                rows = [i for i, group in enumerate(groups[other]) if group != own]
                limits.append(null_threshold(of[rows], 0.1))
            silent[kind] += value < max(limits)
        assert found.abstained[kind].value == pytest.approx(silent[kind] / len(values))


def test_a_model_unlike_the_others_is_seen():
    z = torch.cat([nulls(80) * 0.5, 0.6 + 0.1 * nulls(20, 1)])
    groups = [f"m{i % 4}" for i in range(80)] + ["odd"] * 20
    apart = NullSheets(0.05)({"shuffled": z}, {"shuffled": groups}).abstained["all"]
    mixed = NullSheets(0.05)({"shuffled": z}).abstained["all"]
    assert apart.value == pytest.approx(0.8) and mixed.value > 0.9


def test_what_is_no_calibration_is_refused():
    with pytest.raises(BadInput) as caught:
        NullSheets(0.0)
    assert str(caught.value) == (
        "NullSheets needs a share alpha between 0 and 1 and two folds or more; it got alpha=0.0, "
        "folds=5."
    )
    with pytest.raises(BadInput) as caught:
        NullSheets()({})
    assert str(caught.value) == (
        "NullSheets needs certainties of null sheets; it got none of any kind."
    )
    with pytest.raises(ShapeError) as caught:
        NullSheets()({"shuffled": nulls(30)}, {"shuffled": ["m"] * 29})
    assert str(caught.value) == (
        "NullSheets needs the group of every null; it got {'shuffled': 30} nulls and "
        "{'shuffled': 29} groups. Give one for each."
    )
