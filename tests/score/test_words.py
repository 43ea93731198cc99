import pytest
import torch

from legenda.core.interval import wilson
from legenda.core.target import Logit
from legenda.errors import BadInput, ShapeError
from legenda.score.words import ForeignWordFirst, differing
from tests.score.toys import Sentences, noise, of_words, sentences, told, units

IDS, DRAWN = sentences()
FOILS = torch.where(IDS >= 20, 29, IDS)
FOREIGN = differing(IDS, FOILS)


def judged(scores):
    measure = ForeignWordFirst(FOREIGN)
    return measure(units(Sentences()), IDS, Logit(0), told(of_words(scores, IDS)))


def test_the_planted_word_comes_first():
    found = judged((IDS >= 20).float())
    assert found.value == 1 and found.interval == wilson(3, 3) and found.n == 3
    assert found.control == pytest.approx((1 / 4 + 1 / 2 + 1 / 3) / 3)
    assert found.control_interval == (found.control, found.control)
    assert judged((IDS < 20).float()).value == 0


def test_it_agrees_with_its_literal_twin():
    scores = noise(3, 6, seed=3)
    want = []
    for row in range(3):
        at = [i for i in range(6) if IDS[row, i] > 3]
        best = max(at, key=lambda i, row=row: float(scores[row, i]))
        want.append(float(IDS[row, best] >= 20))
    measure = ForeignWordFirst(FOREIGN)
    got = measure.each(units(Sentences()), IDS, Logit(0), of_words(scores, IDS))
    assert got.tolist() == want


def test_a_constant_map_scores_chance():
    measure, flat = ForeignWordFirst(FOREIGN), of_words(torch.zeros(3, 6), IDS)
    got = measure.each(units(Sentences()), IDS, Logit(0), flat)
    torch.testing.assert_close(got, measure.chance(flat))


def test_special_tokens_never_win():
    scores = torch.where(DRAWN, torch.zeros(3, 6), torch.full((3, 6), 9.0)) + (IDS >= 20)
    assert judged(scores).value == 1


def test_foils_that_do_not_differ_are_refused():
    with pytest.raises(BadInput) as caught:
        differing(IDS, torch.cat([FOILS[:2], IDS[2:]]))
    assert str(caught.value) == "foils must differ from their sentences; those at [2] do not."
    raw = getattr(differing, "__wrapped__", differing)
    with pytest.raises(ShapeError) as caught:
        raw(IDS, FOILS[:, :5])
    assert str(caught.value) == (
        "foils must be as long as their sentences, (3, 6) tokens; they are (3, 5). "
        "Exchange one word for one of as many tokens."
    )


def test_a_word_outside_the_sentence_is_refused():
    measure = ForeignWordFirst(~DRAWN)
    with pytest.raises(BadInput) as caught:
        measure(units(Sentences()), IDS, Logit(0), told(of_words(noise(3, 6), IDS)))
    assert str(caught.value) == (
        "foreign-word-first needs one word that differs in every sentence, among its words. "
        "Take it from `differing`."
    )
    with pytest.raises(ShapeError) as caught:
        ForeignWordFirst(FOREIGN[:2])(
            units(Sentences()), IDS, Logit(0), told(of_words(noise(3, 6), IDS))
        )
    assert str(caught.value) == (
        "foreign-word-first needs the differing word of every sentence, (3, 6); it got (2, 6). "
        "Take it from `differing`."
    )
