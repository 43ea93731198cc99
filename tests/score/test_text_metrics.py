from importlib.util import find_spec
from math import exp, log, sqrt

import pytest
import torch

from legenda.errors import BadInput, Missing
from legenda.score import meteor, text_metrics
from legenda.score.meteor import Meteor
from legenda.score.text_metrics import (
    Texts,
    aligned,
    bleu,
    cider,
    needs,
    rouge_l,
    scores,
    words,
)

SAID = {
    "a": "The square moves from left to right.",
    "b": "A disc grows\nand then it turns red.",
    "c": "Nothing changes here.",
    "d": "The big shape turns slowly.",
}
WANTED = {
    "d": ["The large shape rotates slowly.", "A shape turns."],
    "c": ["There is no clear change."],
    "b": ["A disc grows and then turns red.", "The disc grows."],
    "a": ["The square moves from left to right."],
}


def library(name):
    return pytest.mark.skipif(
        find_spec(name) is None, reason=f"{name} is not installed (legenda[text])"
    )


@pytest.fixture
def texts():
    return aligned(SAID, WANTED)


def ngrams(text, n):
    said = words(text)
    found = {}
    for i in range(len(said) - n + 1):
        gram = tuple(said[i : i + n])
        found[gram] = found.get(gram, 0) + 1
    return found


def literal_cider(texts):
    """CIDEr-D: counts clipped by the reference's, a penalty on length, four lengths of n-gram."""
    total, n_texts = [], len(texts)
    for said, of in zip(texts.predictions, texts.references, strict=True):
        value = 0.0
        for n in range(1, 5):
            held = [set().union(*(ngrams(r, n) for r in each)) for each in texts.references]

            def weighed(counts, held=held):
                idf = {g: log(n_texts / max(1, sum(g in each for each in held))) for g in counts}
                return {gram: times * idf[gram] for gram, times in counts.items()}

            ours = weighed(ngrams(said, n))
            for reference in of:
                theirs = weighed(ngrams(reference, n))
                dot = sum(min(ours[g], theirs[g]) * theirs[g] for g in ours if g in theirs)
                norm = sqrt(sum(v * v for v in ours.values()) * sum(v * v for v in theirs.values()))
                # as in the published code, a text's length is counted in pairs of words
                gap = max(0, len(words(said)) - 1) - max(0, len(words(reference)) - 1)
                value += (dot / norm if norm else 0) * exp(-(gap**2) / (2 * 6**2)) / len(of)
        total.append(10 * value / 4)
    return total


def literal_rouge(said, wanted):
    """F1 of the longest common subsequence, by the table."""
    a, b = words(said), words(wanted)
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
            )  # noqa: E501
    common = table[-1][-1]
    return 2 * common / (len(a) + len(b)) if common else 0


def test_pairs_meet_by_key_and_keep_every_line(texts):
    assert texts.keys == ("a", "b", "c", "d")
    assert texts.predictions[1] == "A disc grows and then it turns red."
    assert texts.references[3] == tuple(WANTED["d"])
    assert aligned(SAID, WANTED | {"c": WANTED["c"][0]}) == texts, "one reference may be a string"
    assert texts.mismatched().references == (*texts.references[1:], texts.references[0])


def test_a_key_without_a_partner_is_refused_by_name():
    with pytest.raises(BadInput) as caught:
        aligned(SAID | {"unit 10": "x"}, WANTED | {"unit 1": "x", "unit 10 ": "y"})
    assert str(caught.value) == (
        "'unit 1' has a reference and no prediction. Did you mean 'unit 10'? "
        "Give both, or leave it out."
    )
    with pytest.raises(BadInput) as caught:
        aligned(SAID, {key: of for key, of in WANTED.items() if key != "b"})
    assert str(caught.value) == (
        "'b' has a prediction and no reference. Give both, or leave it out."
    )
    with pytest.raises(BadInput) as caught:
        aligned(SAID, WANTED | {"c": [" "]})
    assert str(caught.value) == (
        "text metrics compare two texts or more with references that hold words; of 4 texts 1 "
        "have none (first 'c'). Give them."
    )
    with pytest.raises(BadInput, match="of 1 texts 0 have none. Give them."):
        aligned({"a": "x"}, {"a": "x"})


def test_words_are_lower_case_without_punctuation():
    assert words("The Square-like shape, it's 3x LARGER.") == [
        "the", "square-like", "shape", "it's", "3x", "larger",
    ]  # fmt: skip


def test_a_library_that_is_absent_says_how_to_have_it(texts, monkeypatch):
    with pytest.raises(Missing) as caught:
        needs("no_such_library_at_all", "no-such")
    assert str(caught.value) == (
        'this text metric needs no-such, which is not installed. Run pip install "legenda[text]".'
    )
    asked = []

    def absent(module, package=""):
        asked.append(package or module)
        raise Missing(module)

    monkeypatch.setattr(text_metrics, "needs", absent)
    monkeypatch.setattr(meteor, "needs", absent)
    for metric in (bleu, rouge_l, Meteor(), cider):
        with pytest.raises(Missing):
            metric(texts)
    assert asked == ["sacrebleu", "rouge-score", "nltk", "pycocoevalcap"]


def test_a_table_has_means_intervals_and_the_mismatched_control(texts):
    def same(texts: Texts):
        hit = [said in of for said, of in zip(texts.predictions, texts.references, strict=True)]
        return torch.tensor(hit).double() * 100

    found = scores(texts, {"exact": same})["exact"]
    assert (found.name, found.value, found.n, found.control) == ("exact", 25, 4, 0)
    assert found.interval[0] <= 25 <= found.interval[1] and found.control_interval == (0, 0)


@library("sacrebleu")
def test_bleu_is_sacrebleus_of_the_corpus(texts):
    from sacrebleu import corpus_bleu

    found = bleu(texts, draws=100)
    width = max(map(len, texts.references))
    streams = [[of[i] if i < len(of) else None for of in texts.references] for i in range(width)]
    want = corpus_bleu(list(texts.predictions), streams).score
    assert found.value == pytest.approx(want, abs=1e-9) and found.value > 1
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.control < found.value / 2
    same = aligned(SAID, SAID)
    assert bleu(same, draws=20).value == pytest.approx(100)


@library("rouge_score")
def test_rouge_is_the_longest_common_subsequence(texts):
    want = [
        100 * max(literal_rouge(said, reference) for reference in of)
        for said, of in zip(texts.predictions, texts.references, strict=True)
    ]
    assert rouge_l(texts).tolist() == pytest.approx(want, abs=1e-9)


@library("pycocoevalcap")
def test_cider_is_its_equation(texts):
    want = [100 * value for value in literal_cider(texts)]
    assert cider(texts).tolist() == pytest.approx(want, abs=1e-6)
    assert float(cider(texts)[0]) == pytest.approx(1000), "a text that is its reference"


@library("rouge_score")
@library("nltk")
@library("pycocoevalcap")
def test_whole_predictions_count_not_their_first_line():
    wanted = {key: ["It grows. Then it turns red."] for key in "ab"}
    whole, cut = (
        dict.fromkeys("ab", said) for said in ("It grows.\nThen it turns red.", "It grows.")
    )
    for metric in (rouge_l, Meteor()):
        ours, first = metric(aligned(whole, wanted)), metric(aligned(cut, wanted))
        assert float(ours.min()) > float(first.max())
