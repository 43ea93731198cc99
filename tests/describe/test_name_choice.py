import pytest

from legenda.describe.name_choice import simplest, sure
from legenda.describe.naming import Name, NameCheck
from legenda.describe.vocabulary import Vocabulary


def test_of_words_that_score_alike_the_more_everyday_one_is_taken():
    words = Vocabulary.of(["star", "ring", "movie star"], "test", "noun")

    def name(unit, *candidates, null=0.2):
        return Name(unit, candidates[0][0], candidates[0][1], 0.1, candidates, null=null)

    near = name(0, ("movie star", 0.33), ("ring", 0.31), ("star", 0.30))
    far = name(1, ("movie star", 0.33), ("star", 0.25))
    under = name(2, ("movie star", 0.21), ("star", 0.19))
    other = Name(3, "mine", 0.4, 0.1, (("movie star", 0.4),), by="a person")
    found = simplest((near, far, under, other), words, 0.05)
    assert [n.word for n in found] == ["star", "movie star", "movie star", "mine"]
    assert found[0].score == 0.30 and found[0].margin == pytest.approx(-0.03)
    assert found[0].reason == "'movie star' is nearer by 0.03, and less everyday"
    assert simplest((near, far), words, 0.0) == (near, far)
    assert [n.word for n in simplest((far,), words, 0.1)] == ["star"]


def test_names_that_do_not_surely_tell_their_patches_are_withheld():
    def name(unit, area, low, high):
        return Name(unit, "wheel", 0.4, 0.1, (("wheel", 0.4),), check=NameCheck(area, (low, high), 9, 3, 0.5, 0.5))  # fmt: skip # noqa: E501

    nan = float("nan")
    unchecked = Name(3, "sail", 0.4, 0.1, (("sail", 0.4),))
    given = [name(0, 0.9, 0.8, 0.95), name(1, 0.7, 0.4, 0.9), name(2, nan, 0.0, 1.0), unchecked]
    found = sure(given, 0.6)
    assert [n.word for n in found] == ["wheel", None, None, "sail"]
    assert found[1].reason == (
        "'wheel' does not surely tell its patches on held-out pictures: AUROC 0.70 [0.40, 0.90]"
    )
    assert found[2].reason.endswith("it was on at none")
    assert len([n for n in sure(given, 0.3) if n.word]) == 3
