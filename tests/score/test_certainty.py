import pytest
import torch

from legenda.errors import BadInput
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import Sampler, certainty
from tests.score.answer_toys import SILENT, lot, says

UP, DOWN, HUE = says("size", 1), says("size", -1), says("hue", 1)


def agreement(n=6, seed=0):
    rows = torch.rand(n, n, generator=lot(seed), dtype=torch.float64)
    return ((rows + rows.T) / 2).fill_diagonal_(1)


def published(matrix):
    """The mean off the diagonal, pair after pair."""
    n = len(matrix)
    pairs = [float(matrix[i, j]) for i in range(n) for j in range(n) if i != j]
    return sum(pairs) / len(pairs)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_it_is_the_published_mean_off_the_diagonal(n):
    found = certainty(agreement(n))
    assert found.value == pytest.approx(published(agreement(n)), abs=1e-12)
    assert found.n == n
    for i in range(n):
        others = [float(agreement(n)[i, j]) for j in range(n) if j != i]
        assert float(found.per_answer[i]) == pytest.approx(sum(others) / (n - 1), abs=1e-14)
    assert found.medoid == int(found.per_answer.argmax())


def test_the_diagonal_is_not_looked_at():
    one, other = agreement(), agreement().fill_diagonal_(0)
    assert certainty(one).value == certainty(other).value
    assert certainty(one).interval == certainty(other).interval


def test_the_interval_is_the_loop_over_resamples():
    matrix, n, draws = agreement(5, 3), 5, 80
    picks = torch.randint(n, (draws, n), generator=lot(7))
    found = []
    for pick in picks.tolist():
        pairs = [float(matrix[i, j]) for i in pick for j in pick if i != j]
        found += [sum(pairs) / len(pairs)] if pairs else []
    edges = torch.tensor([(1 - 0.9) / 2, (1 + 0.9) / 2], dtype=torch.float64)
    want = torch.tensor(found, dtype=torch.float64).quantile(edges).tolist()
    ours = certainty(matrix, seed=7, draws=draws, level=0.9)
    assert ours.interval == pytest.approx(want, abs=1e-12)
    assert ours.interval != certainty(matrix, seed=8, draws=draws, level=0.9).interval


def test_the_first_of_equal_medoids_speaks():
    answers = [HUE, UP, UP, DOWN, UP]
    assert certainty(AttributeAgreement()(answers)).medoid == 1
    thirds = torch.tensor([[1, 0.1, 0.2, 0.3], [0.1, 1, 0.3, 0.2], [0.2, 0.3, 1, 0.1],
                           [0.3, 0.2, 0.1, 1]])  # fmt: skip
    assert certainty(thirds).medoid == 0, "sums in another order are still ties"


def test_equal_certainties_are_equal_to_the_last_bit():
    values = set()
    for seed in range(40):
        order = torch.randperm(9, generator=lot(seed))
        values.add(certainty(agreement(9)[order][:, order], draws=2).value)
    assert len(values) == 1, "a threshold must not tell them apart"


def test_answers_that_agree_are_certain_and_two_leave_it_open():
    found = certainty(AttributeAgreement()([UP] * 5))
    assert (found.value, found.interval) == (1.0, (1.0, 1.0))
    assert certainty(AttributeAgreement()([UP] * 2)).interval == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
def test_a_mixture_is_recovered(share):
    """Answers say UP with chance s, else HUE: two agree with chance s² + (1 - s)²."""
    values, held, truth = [], 0, share**2 + (1 - share) ** 2
    for seed in range(40):
        ups = torch.rand(10, generator=lot(seed)) < share
        found = certainty(AttributeAgreement()([UP if up else HUE for up in ups]), draws=300)
        values.append(found.value)
        held += found.interval[0] - 1e-9 <= truth <= found.interval[1] + 1e-9
    assert sum(values) / 40 == pytest.approx(truth, abs=0.04)
    assert held >= 30


def test_one_answer_has_no_certainty():
    with pytest.raises(BadInput) as caught:
        certainty(torch.ones(1, 1))
    assert str(caught.value) == (
        "certainty compares two answers or more, by finite agreements; it got 1 answers, "
        "0 agreements not finite. Ask more than once."
    )
    with pytest.raises(BadInput, match="2 agreements not finite"):
        certainty(torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]]))


def sampled(answers, **fields):
    asked = []

    def ask(i):
        asked.append(i)
        return answers[i % len(answers)]

    found = Sampler(ask, AttributeAgreement(), **fields)()
    assert asked == list(range(len(found.answers)))
    return found


def literal_stop(answers, least, most, stable, width):
    """How many are asked, from the start each time."""
    for n in range(2, most + 1):
        said = answers[:n]
        claims = [said[0]]
        for m in range(2, n + 1):
            claims.append(said[certainty(AttributeAgreement()(said[:m])).medoid])
            others = [one for one in said[:m] if one == claims[-1]]
            claims[-1] = claims[-1] if len(others) > 1 else None
        low, high = certainty(AttributeAgreement()(said)).interval
        same = len(claims) >= stable and all(one == claims[-1] for one in claims[-stable:])
        same = same and claims[-1] is not None
        if n >= least and same and high - low <= width:
            return n
    return most


@pytest.mark.parametrize("seed", range(12))
def test_asking_stops_where_the_rule_says(seed):
    kinds = (UP, UP, UP, HUE)
    answers = [kinds[i] for i in torch.randint(4, (12,), generator=lot(seed)).tolist()]
    rule = {"least": 3, "most": 12, "stable": 3, "width": 0.7}
    assert len(sampled(answers, **rule).answers) == literal_stop(answers, **rule)


def test_sure_answers_need_few_and_others_all():
    few, many = sampled([UP]), sampled([UP, HUE, DOWN])
    assert len(few.answers) == 3 and few.stable and few.answer == UP
    assert len(many.answers) > 2 * len(few.answers)
    apart = [says(name, 1) for name in ("size", "hue", "x")]
    assert len(sampled(apart, most=3).answers) == 3 and not sampled(apart, most=3).stable
    assert len(sampled([SILENT]).answers) == 3, "silence is stable, too"
    assert sampled([SILENT]).certainty.value == 0


def test_the_medoid_must_stay_as_long_as_is_asked():
    assert len(sampled([UP], stable=6).answers) == 6
    assert len(sampled([UP, says("scale", 1)]).answers) == 3, "another word is no other claim"


def test_asking_twice_gives_the_same():
    one, other = sampled([UP, UP, HUE]), sampled([UP, UP, HUE])
    assert one.answers == other.answers and one.certainty.interval == other.certainty.interval


def test_a_sampler_that_cannot_stop_is_refused():
    with pytest.raises(BadInput) as caught:
        Sampler(lambda i: UP, AttributeAgreement(), least=5, most=4)
    assert str(caught.value) == (
        "Sampler asks at least twice and no more than `most` times, and stops after one stable "
        "answer or more; it got least=5, most=4, stable=3, width=0.3."
    )
