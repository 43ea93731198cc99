"""What went with a class in training only: the slow twin, the laws, and what is no tie."""

import math

import pytest
import torch

from legenda.audit.shortcut import ShortcutTokens
from legenda.audit.ties import loosened
from legenda.errors import BadInput
from tests.audit.worlds import CLASSES, OBJECTS, SHORTCUTS, world

FEW = ShortcutTokens(draws=60, owed=0.5)


def tied(seed=0, count=400, share=0.9):
    """A world with the shortcut tokens in that share of cat's images, and in few of dog's."""
    tokens, labels, _ = world(seed=seed, count=count)
    lot = torch.Generator().manual_seed(seed + 1)
    cats = torch.tensor([label == "cat" for label in labels])
    tokens[torch.isin(tokens, torch.tensor(list(SHORTCUTS)))] = 30
    worn = torch.rand(count, generator=lot) < torch.where(cats, share, 0.05)
    tokens[worn, 6:9] = torch.tensor(list(SHORTCUTS))
    return tokens, labels


def counted(tokens, labels, ids):
    """Images of each class with each token, one by one."""
    rows = [
        [t for t, own in zip(tokens.tolist(), labels, strict=True) if own == c] for c in CLASSES
    ]
    present = [[sum(i in t for t in own) for own in rows] for i in ids]
    return torch.tensor(present), torch.tensor([len(own) for own in rows])


def test_it_is_the_slow_twin():
    here, labels, _ = world(count=80)
    ids = torch.tensor([0, 2, 11, 20, 33, 39])
    present, images = counted(here, labels, ids.tolist())
    training = tied(count=120)
    before, many = counted(*training, ids.tolist())
    found = loosened(ids, present, images, training, CLASSES)
    for row in range(len(ids)):
        s = [(int(n) + 1) / (int(m) + 2) for n, m in zip(present[row], images, strict=True)]
        t = [(int(n) + 1) / (int(m) + 2) for n, m in zip(before[row], many, strict=True)]
        gap = (t[0] - t[1]) - (s[0] - s[1])
        spread = sum(x * (1 - x) / (int(m) + 2) for x, m in zip(s, images, strict=True))
        spread += sum(x * (1 - x) / (int(m) + 2) for x, m in zip(t, many, strict=True))
        assert float(found.gap[row]) == pytest.approx(gap, rel=1e-12)
        assert float(found.p[row]) == pytest.approx(math.erfc(abs(gap) / math.sqrt(2 * spread)))
        c = 0 if gap > 0 else 1
        assert float(found.owed[row]) == pytest.approx(1 - s[c] / t[c], rel=1e-12)


def test_the_planted_tie_is_found_and_tokens_of_the_object_are_not():
    tokens, labels, margins = world(push=2.0, count=400)
    found = FEW(tokens, labels, margins, CLASSES, tied())
    assert set(found.flagged_tokens) <= set(SHORTCUTS), "nothing but the shortcut"
    assert len(found.flagged) >= 1
    assert all(found.toward(row) == "cat" for row in found.flagged.tolist())
    rows = torch.isin(found.tokens, torch.tensor(list(OBJECTS)))
    assert (found.tie.owed[rows] < 0.5).all(), "objects owe little to the tie"


def test_training_and_reference_images_need_not_be_alike_in_number():
    tokens, labels, margins = world(push=2.0, count=400)
    found = FEW(tokens, labels, margins, CLASSES, tied(count=300))
    assert set(found.flagged_tokens) == set(SHORTCUTS)


def test_a_margin_that_follows_the_light_is_no_shortcut():
    tokens, labels, margins = world(push=2.0, count=400)
    training = world(seed=5, count=400)[:2]  # here the tokens are as free as there
    assert FEW(tokens, labels, margins, CLASSES).flagged.numel(), "without training, it is flagged"
    assert not FEW(tokens, labels, margins, CLASSES, training).flagged.numel()


def test_a_tie_that_the_margin_ignores_is_no_shortcut():
    tokens, labels, margins = world(push=0.0, count=400)
    assert not FEW(tokens, labels, margins, CLASSES, tied()).flagged.numel()


def test_a_tie_to_the_other_class_than_the_push_is_no_shortcut():
    tokens, labels, margins = world(push=-2.0, count=400)
    assert not FEW(tokens, labels, margins, CLASSES, tied()).flagged.numel()


def test_in_worlds_without_a_tie_next_to_nothing_is_flagged():
    flags = 0
    for seed in range(20):
        here, training = world(seed=seed, push=2.0), world(seed=1000 + seed)[:2]
        flags += bool(ShortcutTokens(draws=1)(*here, CLASSES, training).flagged.numel())
    assert flags <= 2


def test_a_token_owed_to_the_tie_in_part_is_flagged_where_that_is_enough():
    tokens, labels, margins = world(push=2.0, count=400)
    some = ShortcutTokens(draws=1, owed=0.3)(tokens, labels, margins, CLASSES, tied())
    all_ = ShortcutTokens(draws=1, owed=0.99)(tokens, labels, margins, CLASSES, tied())
    assert set(all_.flagged_tokens) < set(some.flagged_tokens)


def test_refusals():
    tokens, labels, margins = world(count=40)
    with pytest.raises(BadInput) as error:
        FEW(tokens, labels, margins, CLASSES, (tokens, labels[:-1]))
    assert str(error.value) == (
        "ShortcutTokens needs a class for each training image; it got 40 images and 39 classes."
    )
    with pytest.raises(BadInput) as error:
        FEW(tokens, labels, margins, CLASSES, (tokens, ["dog"] * 40))
    assert str(error.value) == (
        "ShortcutTokens compares 'cat' with 'dog'; no training image is of 'cat'. Give the images "
        "that the concept model was trained on."
    )
