import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError
from legenda.score.drop import ConfidenceDrop, ConfidenceIncrease, above_median, explained
from tests.score.toys import (
    BOS,
    EOS,
    MASK,
    Patches,
    Sentences,
    maps,
    noise,
    of_words,
    pictures,
    refused,
    sentences,
    told,
    truth,
    units,
    wrong,
)  # fmt: skip


def literal(x, evidence, fill):
    """Equations (1) to (3), one picture at a time."""
    model, drops, rises = Patches(), [], []
    for i in range(len(x)):
        heat = evidence.heatmap()[i]
        m = (heat - heat.min()) / (heat.max() - heat.min())
        other = torch.zeros_like(x[i])
        if fill == "blur":
            at = torch.arange(16).double()
            w = torch.exp(-((at[:, None] - at) ** 2) / (2 * 0.8**2))
            w = (w / w.sum(1, keepdim=True)).float()
            other = torch.stack([w @ plane @ w.T for plane in x[i]])
        o = model.run(x[i : i + 1]).output[0, 0]
        s = model.run((m * x[i] + (1 - m) * other)[None]).output[0, 0]
        drops.append(max(0.0, float(o - s)) * 100)
        rises.append(100.0 if s > o else 0.0)
    return drops, rises


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_both_agree_with_their_literal_twin(fill):
    x = pictures()
    evidence = maps(noise(), x)
    drops, rises = literal(x, evidence, fill)
    got = ConfidenceDrop(fill=fill, batch=2).each(units(), x, Logit(0), evidence)
    torch.testing.assert_close(got, torch.tensor(drops), rtol=1e-4, atol=1e-4)
    got = ConfidenceIncrease(fill=fill).each(units(), x, Logit(0), evidence)
    assert got.tolist() == rises


@pytest.mark.parametrize("soft", [True, False])
def test_the_true_map_loses_less_than_its_opposite(soft):
    x = pictures()
    measure = ConfidenceDrop(soft=soft)
    good = measure(units(), x, Logit(0), told(truth(x)))
    bad = measure(units(), x, Logit(0), told(wrong(x)))
    assert good.value < good.control < bad.value
    assert good.interval[1] < bad.interval[0]


def test_the_map_rises_where_only_harm_is_left_out():
    x = pictures()
    harm = Logit(0)
    x[:, :, 4:8, 4:8] *= -1  # patch 5 now speaks against
    scores = torch.ones(len(x), 16)
    scores[:, 5] = 0
    got = ConfidenceIncrease(soft=False)(units(), x, harm, told(maps(scores, x)))
    assert got.value == 100 and got.unit == "percent"


@pytest.mark.parametrize("fill", ["mean", "blur"])
@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_a_constant_map_neither_drops_nor_increases(value, fill):
    x = pictures()
    flat = told(maps(torch.full((5, 16), value), x))
    for soft in (True, False):
        assert ConfidenceDrop(soft, fill)(units(), x, Logit(0), flat).value == 0
        assert ConfidenceIncrease(soft, fill)(units(), x, Logit(0), flat).value == 0


def test_rows_do_not_mix():
    x = pictures(3)
    scores = noise(3)
    before = ConfidenceDrop().each(units(), x, Logit(0), maps(scores, x))
    scores[0] = scores[0].flip(0)
    after = ConfidenceDrop().each(units(), x, Logit(0), maps(scores, x))
    assert torch.equal(before[1:], after[1:]) and before[0] != after[0]


@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16), (3, 16)])
def test_a_flat_map_is_never_spread_over_a_batch(shape):
    with pytest.raises(ShapeError) as caught:
        explained(pictures(3), torch.zeros(shape), True, "mean", 0.05)
    assert str(caught.value) == (
        f"drop needs one map per picture, (3, 16, 16); it got {shape}. "
        "One map is never spread over a batch."
    )


@pytest.mark.parametrize("kind", [ConfidenceDrop, ConfidenceIncrease])
def test_an_unknown_fill_is_refused(kind):
    with pytest.raises(BadInput) as caught:
        refused(kind(), "fill", "gray")
    name = "drop" if kind is ConfidenceDrop else "increase"
    assert str(caught.value) == f"{name} fills with 'mean' or 'blur'; it got 'gray'. Choose one."


def literal_words(ids, evidence, blank):
    """Keep words above the median of their sentence; everything else by hand."""
    model, drops = Sentences(), []
    for row, scores in zip(ids, evidence.scores, strict=True):
        at = [i for i in range(len(row)) if row[i] > MASK]
        ordered = sorted(float(scores[i]) for i in at)
        half = len(ordered) // 2
        middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
        kept = [i for i in at if scores[i] > middle]
        o = model.run(row[None]).output[0, 0]
        acts, changed = model.acts(row), row.clone()
        for i in at:
            if i not in kept and blank is not None:
                changed[i] = blank
        edited = model.acts(changed).clone()
        for i in at:
            if i not in kept and blank is None:
                edited[i] = acts[at].mean(0)
        s = model.run(changed[None], edit=lambda _, e=edited: e[None]).output[0, 0]
        drops.append(max(0.0, float(o - s)) * 100)
    return drops


@pytest.mark.parametrize("blank", [MASK, None])
def test_words_agree_with_their_literal_twin(blank):
    ids, _ = sentences()
    evidence = of_words(noise(3, 6, seed=4), ids)
    got = ConfidenceDrop(blank=blank).each(units(Sentences()), ids, Logit(0), evidence)
    want = torch.tensor(literal_words(ids, evidence, blank))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_keeping_the_word_that_matters_costs_nothing_to_speak_of():
    ids, _ = sentences()
    good = of_words((ids >= 20).float(), ids)
    measure = ConfidenceDrop(blank=MASK)
    bad = of_words((ids < 20).float(), ids)
    kept = measure.each(units(Sentences()), ids, Logit(0), good)
    lost = measure.each(units(Sentences()), ids, Logit(0), bad)
    assert (kept + 20 < lost).all()


def test_a_constant_attribution_keeps_all_words():
    ids, drawn = sentences()
    assert torch.equal(above_median(torch.ones(3, 6), drawn), drawn)


@pytest.mark.parametrize(
    ("blank", "what"),
    [(5, "is a word of"), (EOS, "begins or ends"), (BOS, "begins or ends")],
)
def test_a_blank_that_says_something_is_refused(blank, what):
    ids, _ = sentences()
    with pytest.raises(BadInput) as caught:
        ConfidenceDrop(blank=blank)(
            units(Sentences()), ids, Logit(0), told(of_words(noise(3, 6), ids))
        )
    assert str(caught.value) == (
        f"words are blanked by a token that says nothing; token {blank} {what} these sentences. "
        "Give the mask token, or None for a neutral embedding."
    )
