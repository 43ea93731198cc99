import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from legenda.audit.shortcut import ShortcutTokens
from legenda.errors import BadInput
from tests.audit.worlds import CLASSES, OBJECTS, SHORTCUTS, world

FEW = ShortcutTokens(draws=60)


def slow_token(tokens, labels, margins, token, classes=CLASSES):
    """Equations (2) to (4) of one token, pair by pair, with midranks and the tie correction."""
    won, pairs, variance, by_class = 0, 0, 0.0, []
    for name in classes:
        rows = [i for i, label in enumerate(labels) if label == name]
        with_ = [float(margins[i]) for i in rows if token in tokens[i].tolist()]
        without = [float(margins[i]) for i in rows if token not in tokens[i].tolist()]
        s = sum((x > y) - (x < y) for x in with_ for y in without)
        values, n, n1, n0 = with_ + without, len(rows), len(with_), len(without)
        ties = sum(values.count(v) ** 3 - values.count(v) for v in set(values))
        won, pairs = won + s, pairs + n1 * n0
        variance += 4 * n1 * n0 / 12 * (n + 1 - ties / (n * (n - 1)))  # of 2U
        by_class.append(s / (n1 * n0))
    return won / pairs, by_class, math.erfc(abs(won) / math.sqrt(variance) / math.sqrt(2))


@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_slow_twin(ties):
    tokens, labels, margins = world(push=1.0, count=80)
    margins = margins.round() if ties else margins
    found = FEW(tokens, labels, margins, CLASSES)
    assert len(found.tokens) > 20
    for row, token in enumerate(found.tokens.tolist()):
        delta, by_class, p = slow_token(tokens, labels, margins, token)
        assert float(found.delta[row]) == delta
        assert found.by_class[row].tolist() == by_class
        assert float(found.p[row]) == pytest.approx(p, rel=1e-10)
        table = [[sum(token in t.tolist() for t, own in zip(tokens, labels, strict=True) if own == c)] for c in CLASSES]  # fmt: skip # noqa: E501
        table = [[n, 40 - n] for (n,) in table]
        assert found.present[row].tolist() == [n for n, _ in table]
        theirs = stats.chi2_contingency(table, correction=False).pvalue
        assert float(found.class_p[row]) == pytest.approx(theirs, rel=1e-10)
    assert torch.equal(found.shares * 40, found.present.double())


@pytest.mark.parametrize("ties", [False, True])
def test_with_one_class_that_counts_it_is_scipys_rank_sum_test(ties):
    tokens, labels, margins = world(push=0.5, count=80)
    margins = margins.round() if ties else margins
    dogs = torch.tensor([label == "dog" for label in labels])
    tokens[dogs] = torch.arange(1000, 1000 + dogs.sum() * 24).view(-1, 24)  # each once: not enough
    found = replace(FEW, same_way=False)(tokens, labels, margins, CLASSES)
    assert len(found.tokens) > 20
    for row, token in enumerate(found.tokens.tolist()):
        has = (tokens == token).any(1)[~dogs]
        x, y = margins[~dogs][has].double().numpy(), margins[~dogs][~has].double().numpy()
        theirs = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False)
        assert float(found.p[row]) == pytest.approx(theirs.pvalue, rel=1e-10)
        assert found.delta[row] == pytest.approx(2 * theirs.statistic / len(x) / len(y) - 1)
        assert found.by_class[row, 1].isnan()
    assert len(FEW(tokens, labels, margins, CLASSES).tokens) == 0, "one class is not enough"


def test_corrected_are_the_quiet_tokens_only():
    found = FEW(*world(push=1.0), CLASSES)
    quiet = found.class_p > 0.05
    theirs = stats.false_discovery_control(found.p[quiet].numpy())
    assert found.adjusted[quiet].tolist() == pytest.approx(theirs, rel=1e-12)
    assert found.adjusted[~quiet].isnan().all() and (~quiet).any()


def test_the_interval_is_the_loop_over_resamples():
    tokens, labels, margins = world(push=2.0, count=60)
    margins = (2 * margins).round()
    found = ShortcutTokens(draws=40, seed=7)(tokens, labels, margins, CLASSES)
    assert len(found.flagged)
    lot, picks = torch.Generator().manual_seed(7), []
    for name in CLASSES:
        rows = torch.tensor([i for i, label in enumerate(labels) if label == name])
        picks.append(rows[torch.randint(30, (40, 30), generator=lot)])
    for token, interval in zip(found.flagged_tokens, found.intervals, strict=True):
        deltas = []
        for pick in torch.cat(picks, 1):
            own = [labels[i] for i in pick]
            deltas.append(slow_token(tokens[pick], own, margins[pick], token)[0])
        edges = torch.tensor([(1 - 0.95) / 2, 1 - (1 - 0.95) / 2], dtype=torch.float64)
        slow = torch.tensor(deltas, dtype=torch.float64).quantile(edges)
        assert interval.tolist() == pytest.approx(slow.tolist(), abs=1e-12)


@pytest.mark.parametrize(("push", "toward"), [(1.5, "cat"), (-1.5, "dog")])
def test_it_finds_the_planted_shortcut_and_its_direction(push, toward):
    found = FEW(*world(push=push), CLASSES)
    assert set(found.flagged_tokens) == set(SHORTCUTS)
    assert [found.toward(row) for row in found.flagged.tolist()] == [toward] * 3
    inside = found.intervals * math.copysign(1, push)
    assert (inside > 0.147).all()
    assert found.control <= 0.2, "shuffled margins follow nothing"


def test_tokens_of_the_object_are_no_shortcut():
    found = FEW(*world(push=1.5), CLASSES)
    tokens, labels, margins = world(push=1.5)
    swapped = replace(FEW, silent=0.0)  # nothing is set aside but what p calls impossible
    assert not set(found.flagged_tokens) & set(OBJECTS)
    # held evenly by both classes they would be: the margin follows them
    for row in range(len(tokens)):
        for cell in range(6):
            if tokens[row, cell] < 4:
                tokens[row, cell] = (tokens[row, cell] + 2 * (row // 2 % 2)) % 4
    margins = 2.0 * ((tokens < 2).sum(1) - ((tokens == 2) | (tokens == 3)).sum(1)) + 0.1 * margins
    assert set(swapped(tokens, labels, margins, CLASSES).flagged_tokens) & set(OBJECTS)


def test_a_clear_picture_is_no_shortcut():
    tokens, labels, margins = world(quality=2.0)
    cats = torch.tensor([label == "cat" for label in labels])
    margins[~cats & (tokens == 20).any(1)] += 1.6  # dogs gain less by it, so that (3) is not 0
    assert 20 not in FEW(tokens, labels, margins, CLASSES).flagged_tokens
    loose = replace(FEW, same_way=False)(tokens, labels, margins, CLASSES)
    assert 20 in loose.flagged_tokens
    row = loose.tokens.tolist().index(20)
    assert loose.by_class[row, 0] > 0.5 and loose.by_class[row, 1] < 0


def test_without_a_shortcut_it_flags_nothing_in_most_worlds():
    worlds = [FEW(*world(seed=seed), CLASSES) for seed in range(20)]
    assert sum(len(found.flagged) > 0 for found in worlds) <= 2
    assert sum(found.control for found in worlds) / 20 <= 0.2


def test_margins_of_chance_are_flagged_at_most_as_often_as_the_rate_allows():
    bold, hits = ShortcutTokens(draws=1, least=0.0, fdr=0.2, same_way=False), 0
    for seed in range(60):
        tokens, labels, margins = world(seed=seed, count=120)
        noise = torch.randn(120, generator=torch.Generator().manual_seed(1000 + seed))
        hits += len(bold(tokens, labels, noise, CLASSES).flagged) > 0
    assert 1 <= hits <= 22, "of 60 worlds, 12 are expected at a rate of 20 %"


def test_real_rejections_make_no_room_for_false_ones():
    """Corrected over all tokens, those of the object would let chance findings in."""
    among_all, among_quiet = 0, 0
    for seed in range(20):
        tokens, labels, _ = world(seed=seed, count=160, kinds=120, cells=40)
        lot = torch.Generator().manual_seed(seed)
        side = torch.arange(160) % 2
        objects = 200 + 40 * side[:, None] + torch.randint(40, (160, 40), generator=lot)
        rich = torch.rand(160, generator=lot)  # how much of the object is seen
        show = torch.rand(160, 40, generator=lot) < rich[:, None]
        plain = torch.randint(280, (160, 40), generator=lot).clamp(min=200)
        both = torch.cat([tokens, objects.where(show, plain)], 1)
        margins = torch.randn(160, generator=lot) + 8 * rich * (side * -2 + 1)
        how = ShortcutTokens(draws=1, least=0.0, same_way=False)
        found = how(both, labels, margins, CLASSES)
        chance = (found.tokens < 200) & (found.class_p > 0.05)
        every = torch.from_numpy(stats.false_discovery_control(found.p.numpy()))
        among_all += int((chance & (every <= 0.05)).sum())
        among_quiet += int((chance[found.flagged]).sum())
    assert among_all > 2 * among_quiet


def test_what_the_settings_do():
    plenty = FEW(*world(push=0.9), CLASSES)
    count = len(plenty.flagged)
    assert count and len(replace(FEW, least=0.9)(*world(push=0.9), CLASSES).flagged) == 0
    assert len(replace(FEW, fdr=1e-9)(*world(push=0.9), CLASSES).flagged) < count
    fewer = replace(FEW, min_count=45)(*world(push=0.9), CLASSES)
    assert 0 < len(fewer.tokens) < len(plenty.tokens)
    assert (fewer.present >= 45).all() and (120 - fewer.present >= 45).all()
    assert eval(repr(FEW)) == FEW


def test_only_the_order_of_margins_counts_and_not_the_order_of_images():
    tokens, labels, margins = world(push=1.5)
    one = FEW(tokens, labels, margins, CLASSES)
    two = FEW(tokens, labels, margins.double().exp(), CLASSES)
    assert torch.equal(one.p, two.p) and torch.equal(one.intervals, two.intervals)
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
    mixed = FEW(tokens[order], [labels[i] for i in order], margins[order], CLASSES)
    assert torch.equal(one.p, mixed.p) and one.flagged_tokens == mixed.flagged_tokens
    turned = FEW(tokens, labels, -margins, CLASSES[::-1])
    assert torch.equal(turned.delta, -one.delta)
    assert [turned.toward(r) for r in turned.flagged.tolist()] == ["cat"] * 3


def test_an_interval_does_not_depend_on_the_other_tokens():
    tokens, labels, margins = world(push=1.5)
    one = FEW(tokens, labels, margins, CLASSES)
    without = torch.where(tokens == 10, 500 + torch.arange(24), tokens)
    less = FEW(without, labels, margins, CLASSES)
    assert 11 in less.flagged_tokens and 10 not in less.flagged_tokens
    a, b = (f.intervals[f.flagged_tokens.index(11)] for f in (one, less))
    assert torch.equal(a, b)


def test_margins_that_are_all_equal_depend_on_nothing():
    tokens, labels, margins = world()
    found = FEW(tokens, labels, torch.zeros_like(margins), CLASSES)
    assert (found.p == 1).all() and (found.delta == 0).all() and not len(found.flagged)
    assert found.intervals.shape == (0, 2)


def refused(*inputs, how=FEW):
    with pytest.raises(BadInput) as error:
        how(*inputs)
    return str(error.value)


def test_refusals():
    tokens, labels, margins = world(count=40)
    assert refused(tokens, labels[1:], margins, CLASSES) == (
        "ShortcutTokens needs a class and a margin for each image; it got 40 images, 39 classes "
        "and 40 margins."
    )
    assert refused(tokens, labels, margins, ("cat", "cow")) == (
        "ShortcutTokens compares 'cat' with 'cow'; it also got images of 'dog'. Leave them out."
    )
    assert refused(tokens, labels, margins, ("cat", "cat")) == (
        "ShortcutTokens compares two classes; it got 'cat' twice."
    )
    few = ["cat"] * 31 + ["dog"] * 9
    assert refused(tokens, few, margins, CLASSES) == (
        "ShortcutTokens needs 10 images or more of each class, 5 with a token and 5 without; "
        "it got 9 of 'dog'. Give more, or lower min_count."
    )
    assert refused(tokens, ["cat"] * 40, margins, CLASSES).endswith(
        "it got 0 of 'dog'. Give more, or lower min_count."
    )
    margins[3:5] = torch.nan
    assert refused(tokens, labels, margins, CLASSES) == (
        "ShortcutTokens needs one finite margin for each of 40 images; it got the shape (40,), "
        "2 of them NaN or infinite. Check the concept model."
    )
    with pytest.raises(BadInput) as error:
        ShortcutTokens(fdr=0.0)
    assert str(error.value) == (
        "ShortcutTokens needs a rate between 0 and 1, and a least |δ|, a p and a share owed from 0 "
        "to 1; it got fdr=0.0, least=0.147, silent=0.05, owed=0.7."
    )
    with pytest.raises(BadInput) as error:
        ShortcutTokens(min_count=0)
    assert str(error.value) == (
        "ShortcutTokens needs counts and draws of 1 or more; it got min_count=0, draws=2000."
    )
