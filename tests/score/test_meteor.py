from importlib.util import find_spec
from itertools import combinations

import pytest

from legenda.score.meteor import Meteor
from legenda.score.synonyms import Synonyms, Synset
from legenda.score.text_metrics import aligned, words

if find_spec("nltk") is None:
    pytest.skip("nltk is not installed (legenda[text])", allow_module_level=True)


class Few(Synonyms):
    """Two sets, of no folder."""

    def __init__(self):
        self.sets = [Synset(("big", "large")), Synset(("change", "vary", "go_over"))]

    def synsets(self, word):
        word = {"changes": "change", "varied": "vary"}.get(word, word)
        return [one for one in self.sets if word in one.words]


def one(said, *references, synonyms=None):
    texts = aligned({"a": said, "b": "x"}, {"a": list(references), "b": "y"})
    return float(Meteor(synonyms)(texts)[0])


def value(matched, runs, said, reference):
    """Equations (1) and (2) from counts."""
    p, r = matched / said, matched / reference
    return 100 * 10 * p * r / (r + 9 * p) * (1 - 0.5 * (runs / matched) ** 3)


def literal(said, reference):
    """Texts whose words are each there once: matches are plain, runs are counted by hand."""
    a, b = words(said), words(reference)
    pairs = [(i, b.index(word)) for i, word in enumerate(a) if word in b]
    joined = [q == (p[0] + 1, p[1] + 1) for p, q in zip(pairs, pairs[1:], strict=False)]
    return value(len(pairs), len(pairs) - sum(joined), len(a), len(b)) if pairs else 0


TEXTS = [
    "the square moves from left to right", "from left the disc grows", "hue is red",
    "right to left from above", "grows the disc",
]  # fmt: skip


@pytest.mark.parametrize(("said", "reference"), [*combinations(TEXTS, 2), (TEXTS[0], TEXTS[0])])
def test_it_is_its_equations(said, reference):
    assert one(said, reference) == pytest.approx(literal(said, reference), abs=1e-9)


def test_the_nearest_reference_counts():
    found = one(TEXTS[0], TEXTS[2], TEXTS[3])
    assert found == pytest.approx(max(literal(TEXTS[0], other) for other in TEXTS[2:4]))


def test_stems_are_matched():
    assert one("it moves", "it moved") == pytest.approx(value(2, 1, 2, 2))


def test_synonyms_are_found_though_stems_are_cut():
    """Porter leaves "larg" and "chang", of which no WordNet knows."""
    said, reference = "the big shape changes", "the large shape varied"
    assert one(said, reference) == pytest.approx(value(2, 2, 4, 4))
    assert one(said, reference, synonyms=Few()) == pytest.approx(value(4, 1, 4, 4))
    assert one("a blue shape", "a red shape", synonyms=Few()) == pytest.approx(value(2, 2, 3, 3))


def test_it_does_not_depend_on_the_other_texts():
    said = {"a": "the big shape", "b": "it changes", "c": "larger"}
    wanted = {"a": "the large shape", "b": "it varied", "c": "big"}
    texts = aligned(said, wanted)
    alone = [one(said[key], wanted[key], synonyms=Few()) for key in "abc"]
    assert Meteor(Few())(texts).tolist() == pytest.approx(alone, abs=1e-12)
