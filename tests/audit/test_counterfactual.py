from dataclasses import replace

import pytest
import torch

from legenda.audit.counterfactual import Counterfactual, elsewhere
from legenda.audit.shortcut import ShortcutTokens
from legenda.errors import BadInput
from tests.audit.worlds import CLASSES, margin_of, world

HOW = Counterfactual(draws=100)


def found_in(push=1.5):
    tokens, labels, _ = world(push=push)
    noise = torch.randn(len(tokens), generator=torch.Generator().manual_seed(5))
    margins = margin_of(push)(tokens) + 0.3 * noise
    return ShortcutTokens(draws=20)(tokens, labels, margins, CLASSES), tokens


def test_it_is_the_loop_over_images():
    found, tokens = found_in()
    model = margin_of(1.5)
    assert {10, 11, 12} <= set(found.flagged_tokens)
    for score, token in zip(HOW(found, tokens, model, 30), found.flagged_tokens, strict=True):
        changes = []
        for grid in tokens.tolist():
            if token in grid:
                put = torch.tensor([[30 if t == token else t for t in grid]])
                changes.append(float(model(put) - model(torch.tensor([grid]))))
        assert score.n == len(changes)
        assert score.value == pytest.approx(sum(changes) / len(changes), abs=1e-6)


def test_it_tells_the_token_that_acts_from_those_beside_it():
    """All three go with the margin, since they stand together; the model reads one of them."""
    found, tokens = found_in()
    scores = dict(zip(found.flagged_tokens, HOW(found, tokens, margin_of(1.5), 30), strict=True))
    assert scores[11].name == "margin without token 11" and scores[11].unit == "of the margin"
    assert scores[11].value == pytest.approx(-1.5, abs=1e-6)
    assert scores[11].higher_is_better is False, "without cat's token the margin falls"
    assert scores[11].beats_control is True
    assert abs(scores[11].control) < 0.3
    for beside in (10, 12):
        assert scores[beside].value == 0 and not scores[beside].beats_control


def test_a_token_of_the_other_class_makes_the_margin_rise():
    found, tokens = found_in(-1.5)
    scores = dict(zip(found.flagged_tokens, HOW(found, tokens, margin_of(-1.5), 30), strict=True))
    assert scores[11].value == pytest.approx(1.5, abs=1e-6)
    assert scores[11].higher_is_better and scores[11].beats_control


def test_each_token_may_have_its_own_substitute():
    found, tokens = found_in()
    into = torch.arange(40).roll(-20)
    seen = []

    def model(x):
        seen.append(x)
        return margin_of(1.5)(x)

    HOW(found, tokens, model, into)
    for number, token in enumerate(found.flagged_tokens):
        before, without, other = seen[3 * number : 3 * number + 3]
        assert (without[before == token] == (token + 20) % 40).all()
        assert (without[before != token] == before[before != token]).all()
        assert (other[other != before] == (token + 20) % 40).all()
        assert (other[before == token] == token).all()


def test_as_many_other_cells_as_there_are():
    x = torch.tensor([[1, 1, 2, 3, 4, 5], [1, 3, 3, 3, 3, 9], [1, 1, 1, 1, 9, 3]])
    where = elsewhere(x, 1, 9, seed=0)
    assert where.sum(1).tolist() == [2, 1, 1], "the last image has one cell of another kind"
    assert not where[(x == 1) | (x == 9)].any()
    assert torch.equal(where, elsewhere(x, 1, 9, seed=0))
    assert any(not torch.equal(where, elsewhere(x, 1, 9, seed=s)) for s in range(1, 9))


def test_same_seed_same_numbers_and_nothing_flagged_nothing_proved():
    found, tokens = found_in()
    assert HOW(found, tokens, margin_of(1.5), 30) == HOW(found, tokens, margin_of(1.5), 30)
    none = replace(found, flagged=found.flagged[:0], intervals=found.intervals[:0])
    assert HOW(none, tokens, margin_of(1.5), 30) == ()
    assert eval(repr(HOW)) == HOW


def test_refusals():
    found, tokens = found_in()
    first = found.flagged_tokens[0]
    with pytest.raises(BadInput) as error:
        HOW(found, tokens, margin_of(1.5), first)
    assert str(error.value) == (
        f"token {first} cannot give way to itself. Choose another substitute."
    )
    with pytest.raises(BadInput) as error:
        HOW(found, tokens.clamp(min=20), margin_of(1.5), 30)
    assert str(error.value) == (
        f"token {first} is in none of these 240 images. Give the images in which it was found."
    )
    with pytest.raises(BadInput) as error:
        HOW(found, tokens, lambda x: torch.zeros(len(x), 2), 30)
    n = int((tokens == first).any(1).sum())
    assert str(error.value) == (
        f"Counterfactual needs one finite margin for each of {n} images; it got the shape "
        f"({n}, 2), 0 of them NaN or infinite. Check the concept model."
    )
