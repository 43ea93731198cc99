import math

import pytest
import torch

from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.score.name_accuracy import NameAccuracy, plain
from tests.score.concept_toys import lot

WORDS = {"ball": ("sphere", "Round_thing"), "cube": ("box",)}
TRUTH = {0: {"ball"}, 1: {"cube"}, 2: {"ball", "red"}, 3: set(), 5: {"cube"}, 6: {"red"}}
NAMES = {0: "Sphere ", 1: "box", 2: "red", 3: "dog", 4: "cat", 5: "ball", 6: None, 7: None}


def literal(names, truth, accepted):
    """Equations (1) to (3), unit by unit."""
    said = {u: name for u, name in names.items() if name}
    right = {}
    for u, name in said.items():
        words = {w for f in truth.get(u, ()) for w in (f, *accepted.get(f, ()))}
        spelled = {w.lower().replace("_", " ").strip() for w in words}
        right[u] = name.lower().replace("_", " ").strip() in spelled
    marked = [u for u in said if truth.get(u)]
    return (
        (sum(right[u] for u in marked), len(marked)),
        (sum(not right[u] for u in said), len(said)),
        (len(said), len(names)),
    )


def test_names_agree_with_their_literal_twin():
    found = NameAccuracy()(NAMES, TRUTH, WORDS)
    counts = literal(NAMES, TRUTH, WORDS)
    assert counts == ((3, 4), (3, 6), (6, 8))
    for score, (good, of) in zip(
        (found.accuracy, found.false, found.coverage), counts, strict=True
    ):  # noqa: E501
        assert score.value == good / of and score.n == of and score.interval == wilson(good, of)
    assert found.wrong == ((3, "dog"), (4, "cat"), (5, "ball"))
    assert not found.false.higher_is_better and found.coverage.control is None


def test_a_larger_draw_agrees_too():
    g = lot(1)
    factors = ["ball", "cube", "red", "ring"]
    ways = ["ball", "sphere", "box", "ring", "dog", None]
    pick = torch.randint(6, (200,), generator=g).tolist()
    names = {u: ways[i] for u, i in enumerate(pick)}
    truth = {
        u: {factors[i] for i in range(4) if torch.rand((), generator=g) < 0.4} for u in range(180)
    }  # noqa: E501
    found, counts = NameAccuracy(draws=20)(names, truth, WORDS), literal(names, truth, WORDS)
    got = [found.accuracy.value, found.false.value, found.coverage.value]
    assert got == pytest.approx([good / of for good, of in counts])


def test_spelling_does_not_count():
    assert plain("  Round_Thing\t") == plain("round  thing") == "round thing"
    assert NameAccuracy()({0: "ROUND THING"}, {0: ["ball"]}, WORDS).accuracy.value == 1


def test_near_words_are_accepted_by_whoever_says_so():
    steps = {("poodle", "dog"), ("dog", "animal")}
    near = NameAccuracy(lambda name, word: (name, word) in steps)
    names, truth = {0: "poodle", 1: "dog", 2: "poodle"}, {0: ["dog"], 1: ["pet"], 2: ["pet"]}
    accepted = {"pet": ["animal"]}
    assert NameAccuracy()(names, truth, accepted).accuracy.value == 0
    found = near(names, truth, accepted)
    assert found.accuracy.value == pytest.approx(2 / 3) and found.wrong == ((2, "poodle"),)


def test_right_names_beat_the_deal_and_one_name_for_all_does_not():
    truth = {u: {f"thing {u % 10}"} for u in range(60)}
    right = NameAccuracy()({u: f"thing {u % 10}" for u in range(60)}, truth)
    assert right.accuracy.value == 1 and right.accuracy.beats_control and right.false.beats_control
    assert right.accuracy.control == pytest.approx(0.1, abs=0.02)
    same = {u: {"thing 0"} if u < 40 else {"thing 1"} for u in range(60)}
    lazy = NameAccuracy()(dict.fromkeys(range(60), "thing 0"), same)
    assert lazy.accuracy.value == 2 / 3 == pytest.approx(lazy.accuracy.control)
    assert not lazy.accuracy.beats_control


def test_the_control_is_the_mean_over_all_deals():
    """Each name is as likely at each unit: what is expected can be counted."""
    said = {u: name for u, name in NAMES.items() if name}
    fits = {(u, v): literal({u: said[v]}, TRUTH, WORDS)[0][0] for u in said for v in said}
    marked = [u for u in said if TRUTH.get(u)]
    want = sum(fits[u, v] for u in marked for v in said) / len(said) / len(marked)
    found = NameAccuracy(draws=4000)(NAMES, TRUTH, WORDS).accuracy
    assert found.control == pytest.approx(want, abs=0.02) and want > 0.1
    assert NameAccuracy(seed=1)(NAMES, TRUTH, WORDS) == NameAccuracy(seed=1)(NAMES, TRUTH, WORDS)


def test_abstaining_from_wrong_names_raises_accuracy_and_costs_coverage():
    shy = {u: None if u in (3, 4, 5) else name for u, name in NAMES.items()}
    bold, found = NameAccuracy()(NAMES, TRUTH, WORDS), NameAccuracy()(shy, TRUTH, WORDS)
    assert found.accuracy.value > bold.accuracy.value and found.false.value == 0
    assert found.coverage.value < bold.coverage.value


def test_all_silent_units_have_coverage_and_nothing_else():
    found = NameAccuracy()({0: None, 1: ""}, TRUTH, WORDS)
    assert found.coverage.value == 0 and found.coverage.n == 2 and found.wrong == ()
    assert math.isnan(found.accuracy.value) and found.accuracy.n == 0
    assert found.accuracy.interval == (0.0, 1.0)


def test_no_units_are_refused():
    with pytest.raises(BadInput) as caught:
        NameAccuracy()({}, TRUTH, WORDS)
    assert str(caught.value) == (
        "NameAccuracy needs units, named or not; it got none. Name some first."
    )
