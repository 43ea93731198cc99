from math import log

import pytest
import torch

from legenda.score.bert_score import BertScore
from legenda.score.text_metrics import aligned, scores
from tests.describe.toys import direction

SAID = {"a": "the square grows", "b": "hue turns red", "c": "it grows"}
WANTED = {
    "a": ["the square gets larger", "the disc grows"],
    "b": ["the hue turns blue"],
    "c": ["the square grows"],
}


def embed_tokens(text):
    tokens = text.split()
    return tokens, torch.stack([direction(token) for token in tokens])


def cosine(one, other):
    return float(torch.cosine_similarity(direction(one).double(), direction(other).double(), dim=0))


def literal(said, of, weight):
    """Equations (1) to (3), token after token, the best reference."""
    best = 0.0
    for reference in of:
        x, y = reference.split(), said.split()
        recall = sum(weight(t) * max(cosine(t, u) for u in y) for t in x) / sum(map(weight, x))
        precision = sum(weight(u) * max(cosine(t, u) for t in x) for u in y) / sum(map(weight, y))
        best = max(best, 2 * precision * recall / (precision + recall))
    return 100 * best


@pytest.mark.parametrize("idf", [False, True])
def test_it_is_its_equations(idf):
    def weight(token):
        texts = sum(any(token in r.split() for r in of) for of in WANTED.values())
        return log(4 / (texts + 1)) if idf else 1

    found = BertScore(embed_tokens, idf)(aligned(SAID, WANTED))
    want = [literal(SAID[key], WANTED[key], weight) for key in "abc"]
    assert found.tolist() == pytest.approx(want, abs=1e-5)


def test_equal_texts_score_100_and_others_less():
    found = BertScore(embed_tokens)(aligned(SAID, SAID))
    assert found.tolist() == pytest.approx([100] * 3, abs=1e-5)
    assert BertScore(embed_tokens)(aligned(SAID, WANTED)).max() < 99


def test_the_order_of_tokens_is_not_heard():
    turned = {key: " ".join(reversed(text.split())) for key, text in SAID.items()}
    one, other = (BertScore(embed_tokens)(aligned(said, WANTED)) for said in (SAID, turned))
    torch.testing.assert_close(one, other)


def test_rare_tokens_count_more_with_idf():
    common = {key: ["the shape grows"] for key in "abc"} | {"d": ["the shape slowly"]}
    said = dict.fromkeys("abcd", "the shape grows")
    even, rare = (BertScore(embed_tokens, idf)(aligned(said, common)) for idf in (False, True))
    assert float(rare[3]) < float(even[3])
    assert float(rare[0]) == pytest.approx(100, abs=1e-5)


def test_tokens_that_all_texts_share_count_alike():
    same = {key: ["the shape"] for key in "ab"}
    found = BertScore(embed_tokens, idf=True)(aligned({"a": "the shape", "b": "the disc"}, same))
    assert float(found[0]) == pytest.approx(100, abs=1e-5) and bool(found.isfinite().all())


def test_a_text_without_tokens_matches_nothing():
    def none(text):
        return ([], torch.zeros(0, 4)) if text == "silence" else (["x"], torch.ones(1, 4))

    found = BertScore(none)(aligned({"a": "silence", "b": "x"}, {"a": "x", "b": "x"}))
    assert found.tolist() == pytest.approx([0, 100])


def test_it_goes_into_the_table_with_its_control():
    found = scores(aligned(SAID, SAID), {"BERTScore": BertScore(embed_tokens)})["BERTScore"]
    assert found.value == pytest.approx(100, abs=1e-5) and found.beats_control
