import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from legenda.core.answer import Answer
from legenda.errors import BadInput
from legenda.score.answer_agreement import (
    AttributeAgreement,
    FactAgreement,
    NgramAgreement,
    SentenceAgreement,
    spoken,
    way,
)
from legenda.score.certainty import certainty
from tests.describe.toys import embed_text
from tests.score.answer_toys import SILENT, fact, lot, says

MEASURES = (
    AttributeAgreement(),
    SentenceAgreement(embed_text),
    NgramAgreement(),
    NgramAgreement(2),
    FactAgreement(),
)
SENTENCES = [
    "The size grows from left to right.", "The size grows a lot.", "Hue turns red.",
    "The size does not grow from left to right.", "the SIZE grows, from left to right",
]  # fmt: skip


def of_text(text):
    return Answer(text, "size", direction=1)


def pair(one, other, **fields):
    return float(AttributeAgreement(**fields)([one, other])[0, 1])


def some(seed, n=7):
    """Answers of all kinds: three attributes, three directions, words or none, some silent."""
    draw = torch.randint(6, (n, 4), generator=lot(seed)).tolist()
    names, ends = ("size", "scale", "hair length"), (("", ""), ("short", "long"), ("long", "short"))
    return [
        SILENT if d == 5 else says(
            names[a % 3], b % 3 - 1, *ends[c % 3], f"the {names[a % 3]} goes {b % 3}",
            [fact(names[a % 3], b - 2, c), fact("hue", 0.5, d)],
        )
        for a, b, c, d in draw
    ]  # fmt: skip


def literal_attribute(one, other, unknown, silence):
    """Equation (1), case after case."""
    if not one.attribute and not other.attribute:
        return silence
    if not one.attribute or not other.attribute:
        return 0
    same = {"size": "size", "scale": "size", "hair length": "hair length"}
    if same[one.attribute] != same[other.attribute]:
        return 0
    if one.direction != 0 and other.direction != 0:
        return 1 if one.direction == other.direction else 0
    if one.start == "" or other.start == "":
        return unknown
    return 1 if one.start == other.start else 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("unknown", "silence"), [(0.5, 0.0), (0.25, 0.75)])
def test_attributes_agree_as_the_cases_say(seed, unknown, silence):
    answers = some(seed)
    found = AttributeAgreement(unknown, silence)(answers)
    for i, one in enumerate(answers):
        for j, other in enumerate(answers):
            want = 1 if i == j else literal_attribute(one, other, unknown, silence)
            assert float(found[i, j]) == want


def test_another_word_for_an_attribute_is_that_attribute():
    assert pair(says("scale", 1), says("The size", 1)) == 1
    assert pair(says("size", 1), says("hue", 1)) == 0
    assert pair(says("hair length", 1), says("Hair  Length", 1)) == 1


def test_opposite_directions_disagree():
    assert pair(says("size", 1), says("size", -1)) == 0
    assert pair(says("size", -1), says("size", -1)) == 1


def test_a_direction_that_is_not_given_earns_part_of_it():
    assert pair(says("size", 1), says("size")) == 0.5
    assert pair(says("size"), says("size"), unknown=0.2) == pytest.approx(0.2)


def test_words_give_the_direction_that_is_not_given():
    assert way(says("size", start="Small", end="large")) == 1
    assert way(says("size", start="large", end="small")) == -1
    assert way(says("size", start="large", end="huge")) == 0
    assert pair(says("size", 1), says("size", start="large", end="small")) == 0
    assert pair(says("size", 1), says("size", start="small", end="large")) == 1
    assert way(says("size", -1, "small", "large")) == -1, "what is given goes first"


def test_words_of_no_known_attribute_are_opposite_where_one_begins_as_the_other_ends():
    up, down = says("hair", start="short", end="long"), says("hair", start="Long", end="short")
    assert pair(up, down) == 0
    assert pair(up, says("hair", start="cropped", end="long")) == 1
    assert pair(says("hair", start="a", end="a"), says("hair", start="a", end="a")) == 1


def test_an_abstention_agrees_with_nothing_unless_told():
    assert pair(SILENT, SILENT) == 0
    assert pair(SILENT, SILENT, silence=0.3) == pytest.approx(0.3)
    assert pair(SILENT, says("size", 1), silence=1.0) == 0
    for measure in (AttributeAgreement(), SentenceAgreement(embed_text), FactAgreement()):
        assert certainty(measure([SILENT] * 4)).value == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_each_is_symmetric_from_0_to_1_and_does_not_know_the_order(measure):
    answers = some(3, 9)
    found = measure(answers)
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T) and 0 <= float(found.min()) and float(found.max()) <= 1
    order = torch.randperm(9, generator=lot())
    mixed = measure([answers[i] for i in order])
    torch.testing.assert_close(mixed, found[order][:, order], rtol=0, atol=1e-12)
    spoke = [i for i, one in enumerate(answers) if not one.none]
    assert found.diagonal()[spoke].min() > 1 - 1e-9


@pytest.mark.parametrize("n", [1, 2])
def test_ngrams_are_those_of_scikit_learn(n):
    counts = CountVectorizer(ngram_range=(1, n)).fit_transform(SENTENCES)
    found = NgramAgreement(n)(list(map(of_text, SENTENCES)))
    want = torch.from_numpy(cosine_similarity(counts))
    torch.testing.assert_close(found, want, rtol=0, atol=1e-12)


def test_the_published_measure_hears_neither_order_nor_case():
    turned = [of_text("from small to large"), of_text("From LARGE to small.")]
    assert float(NgramAgreement()(turned)[0, 1]) == pytest.approx(1)
    assert float(NgramAgreement(2)(turned)[0, 1]) < 0.8


def test_texts_without_words_agree_with_nothing():
    assert not NgramAgreement()([SILENT, of_text("?!")]).any()
    found = NgramAgreement()([SILENT, of_text("size grows")])
    assert found.tolist() == [[0, 0], [0, pytest.approx(1)]]


def test_sentences_agree_by_the_cosine_of_those_that_speak():
    answers = [of_text(SENTENCES[0]), SILENT, of_text(SENTENCES[2]), SILENT]
    asked = []

    def embed(texts):
        asked.append(texts)
        return torch.tensor([[3.0, 4.0], [-4.0, 3.0]]) + torch.tensor([[0.0, 0.0], [4.0, 0.0]])

    found = SentenceAgreement(embed, silence=0.5)(answers)
    assert asked == [[SENTENCES[0], SENTENCES[2]]], "nothing is asked for silence"
    assert float(found[0, 2]) == pytest.approx(0.8)
    assert float(found[1, 3]) == 0.5 and float(found[0, 1]) == 0


def test_a_negative_cosine_is_no_agreement():
    found = SentenceAgreement(lambda texts: torch.tensor([[1.0, 0.0], [-1.0, 0.1]]))
    assert found([of_text("a"), of_text("b")]).tolist() == [[1, 0], [0, 1]]


def test_fields_without_a_sentence_are_read_as_one():
    assert spoken(says("hair", start="short", end="long")) == "hair from short to long"
    assert spoken(says("hair", end="long")) == "hair"
    assert spoken(says("hair", text="It grows.")) == "It grows."


def test_facts_agree_as_their_signed_strengths_do():
    one = says("size", 1, facts=[fact("size", 1.0, 3.0), fact("hue", -0.5, 2.0)])
    other = says("size", 1, facts=[fact("scale", 0.5, 4.0), fact("y", 1.0, 1.0)])
    a, b = torch.tensor([3.0, -1.0, 0.0]), torch.tensor([2.0, 0.0, 1.0])
    want = float(a @ b / a.norm() / b.norm())
    assert float(FactAgreement()([one, other])[0, 1]) == pytest.approx(want, abs=1e-7)
    turned = says("size", -1, facts=[fact("size", -1.0, 3.0), fact("hue", 0.5, 2.0)])
    assert float(FactAgreement()([one, turned])[0, 1]) == 0


def test_what_an_abstention_measured_counts_if_asked():
    silent = Answer(facts=(fact("size", 0.4, 1.0),), abstained="not steady")
    pair = [silent, says("size", 1, facts=[fact("size", 1.0, 2.0)])]
    assert float(FactAgreement()(pair)[0, 1]) == 0
    assert float(FactAgreement(of_silent=True)(pair)[0, 1]) == pytest.approx(1)


def test_a_fact_that_is_no_number_counts_for_nothing():
    broken = says("size", 1, facts=[fact("size", float("nan"), 1.0), fact("hue", 1.0, 1.0)])
    whole = says("hue", 1, facts=[fact("hue", 1.0, 5.0)])
    assert float(FactAgreement()([broken, whole])[0, 1]) == pytest.approx(1)


def test_what_is_no_share_is_refused():
    with pytest.raises(BadInput) as caught:
        AttributeAgreement(unknown=1.5)
    assert str(caught.value) == (
        "AttributeAgreement gives agreements from 0 to 1; it got unknown=1.5, silence=0.0. "
        "Stay between them."
    )
    with pytest.raises(BadInput) as caught:
        NgramAgreement(0)
    assert str(caught.value) == "NgramAgreement counts runs of 1 word or more; it got n=0."
