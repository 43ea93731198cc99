import pytest
import torch
from torch.nn.functional import normalize

from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError
from legenda.score.removal import without_most
from legenda.score.retrieval_roar import RetrievalROAR, ratio_interval
from legenda.score.roar import QUICK, RemoveAndRetrain
from tests.score.toys import READ, Patches, maps, noise, pictures, told, truth, units, wrong


def brightness(train, test):
    """A toy tuning: a pair is found while its read patches can be seen, in training as well."""
    r, c = divmod(READ[0], 4)
    seen = [x[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].mean((1, 2, 3)) for x in (train, test)]
    return (seen[0].mean() > 0.1) * (seen[1] > 0.1)


def test_a_better_map_costs_more():
    x = pictures(20)
    measure = RemoveAndRetrain(brightness, train=12)
    good = measure(units(), x, Logit(0), told(truth(x)))
    bad = measure(units(), x, Logit(0), told(wrong(x)))
    assert good.value == 1 and good.n == 8 and bad.value == 0
    assert 0 <= good.control < good.value
    assert good.interval[0] <= good.value <= good.interval[1]


def test_roar_agrees_with_its_literal_twin():
    x, shares = pictures(10), (0.2, 0.6)
    evidence = maps(noise(10), x)
    measure = RemoveAndRetrain(lambda train, test: test.mean((1, 2, 3)), 6, shares)
    want = torch.zeros(4)
    for share in shares:
        less = without_most(x, evidence, share, 0)
        want += (x[6:].mean((1, 2, 3)) - less[6:].mean((1, 2, 3))) / 2
    torch.testing.assert_close(measure.each(units(), x, Logit(0), evidence), want)
    curve = measure.curve(x, evidence)
    assert curve.shape == (2, 4) and (curve[0] > curve[1]).all()


def test_the_quick_form_tunes_three_times():
    calls = []

    def tune(train, test):
        calls.append(float((train == 0).float().mean()))
        return torch.ones(len(test))

    x = pictures(8)
    RemoveAndRetrain(tune, 5, QUICK)(units(), x, Logit(0), told(truth(x)))
    assert calls == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("train", [0, 8])
def test_pictures_must_be_left_to_train_and_to_test(train):
    x = pictures(8)
    with pytest.raises(BadInput) as caught:
        RemoveAndRetrain(brightness, train)(units(), x, Logit(0), told(truth(x)))
    assert str(caught.value) == (
        "roar needs pictures to train on and pictures to test on; it got "
        f"train={train} of 8. Leave some of each."
    )


def gallery(b=12):
    x = pictures(b, seed=3) * 2 - 1
    return x, Patches().run(x).output


@pytest.mark.parametrize("way", ["out", "in"])
def test_retrieval_agrees_with_its_literal_twin(way):
    x, partners = gallery()
    evidence = maps(noise(12), x)
    measure = RetrievalROAR(partners, way, share=0.4)
    less = Patches().run(without_most(x, evidence, 0.4, 0)).output
    hits = []
    for found in (partners, less):
        cosine = [
            [float(normalize(a, dim=0) @ normalize(b, dim=0)) for b in partners] for a in found
        ]
        if way == "in":
            cosine = [list(column) for column in zip(*cosine, strict=True)]
        hits.append([float(row.index(max(row)) == i) for i, row in enumerate(cosine)])
    want = [(a - b) / (sum(hits[0]) / 12) for a, b in zip(*hits, strict=True)]
    got = measure.each(units(), x, Logit(0), evidence)
    torch.testing.assert_close(got, torch.tensor(want))
    found = measure(units(), x, Logit(0), told(evidence))
    assert found.value == pytest.approx(sum(want) / 12) and found.n == 12
    assert found.name == f"retrieval-roar-{way}"


def test_removing_what_is_read_costs_the_search():
    x, partners = gallery()
    measure = RetrievalROAR(partners, share=2 / 16)
    good = measure(units(), x, Logit(0), told(truth(x)))
    bad = measure(units(), x, Logit(0), told(wrong(x)))
    assert good.value > 0.8 and bad.value == 0
    assert good.interval[0] <= good.value <= good.interval[1]
    assert good.beats_control


def test_the_ratio_interval_keeps_pairs_together():
    below = torch.tensor([1.0, 0.0, 1.0, 0.0] * 10)
    assert ratio_interval(0.5 * below, below) == (0.5, 0.5)
    low, high = ratio_interval(torch.arange(40.0), torch.ones(40))
    assert low < 19.5 < high and high - low == pytest.approx(2 * 1.96 * 11.5 / 40**0.5, rel=0.15)


def test_partners_of_other_pairs_are_refused():
    x, partners = gallery()
    with pytest.raises(ShapeError) as caught:
        RetrievalROAR(partners[:5])(units(), x, Logit(0), told(truth(x)))
    assert str(caught.value) == (
        "retrieval-roar-out needs the embedding of each partner, (12, 7); it got (5, 7). "
        "Embed them with the other tower."
    )


def test_a_model_that_finds_nothing_is_refused():
    x, partners = gallery()
    with pytest.raises(BadInput) as caught:
        RetrievalROAR(partners.roll(1, 0))(units(), x, Logit(0), told(truth(x)))
    assert str(caught.value) == (
        "retrieval-roar-out needs a model that finds some partners; it found 0 of 12. "
        "Use a smaller gallery or a better model."
    )
