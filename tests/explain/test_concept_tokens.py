import math
from dataclasses import fields, replace

import pytest
import torch

from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.explain.concept_tokens import (
    BY,
    ConceptTokens,
    TokenCounts,
    count_tokens,
    shares,
    top_tokens,
)

NAMES, K = ("cat", "dog", "ship"), 23
BACKGROUND, OWN, PLANT_K = 0, 3, 60


def given(images=36, n=9, seed=0):
    """Random grids; scores have many ties, and concepts have different numbers of images."""
    lot = torch.Generator().manual_seed(seed)
    tokens = (torch.rand(images, n, generator=lot) ** 2 * K).long()
    scores = torch.randint(4, (images, n), generator=lot).float() / 4 - 0.5
    labels = torch.arange(images) * torch.arange(images) % 7 % 3
    return tokens, scores, labels


def planted(each=12, n=16, seed=0):
    """Each concept has three tokens of its own where importance is high; half is background."""
    lot = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat(each)
    tokens = torch.randint(20, PLANT_K, (3 * each, n), generator=lot)
    scores = 0.3 * torch.rand(tokens.shape, generator=lot)
    for row, label in enumerate(labels.tolist()):
        place = torch.randperm(n, generator=lot)
        tokens[row, place[:OWN]] = OWN * label + 1 + torch.arange(OWN)
        scores[row, place[:OWN]] += 0.7
        tokens[row, place[OWN : OWN + 8]] = BACKGROUND
        scores[row, place[OWN]] += 0.35  # behind its own, background comes next
    return tokens, scores, labels


def own(label):
    return {OWN * label + 1 + i for i in range(OWN)}


def same(one, other):
    return all(
        torch.equal(torch.as_tensor(getattr(one, f.name)), torch.as_tensor(getattr(other, f.name)))
        for f in fields(TokenCounts)
    )


def slow_counts(tokens, scores, labels, top):
    """Equation (1), image by image and position by position."""
    tables = {name: [[0] * K for _ in NAMES] for name in ("tops", "cells", "seen", "has")}
    images = [0] * len(NAMES)
    for row, value, y in zip(tokens.tolist(), scores.tolist(), labels.tolist(), strict=True):
        images[y] += 1
        order = sorted(range(len(row)), key=lambda p, value=value: (-value[p], p))
        for p in order[:top]:
            tables["tops"][y][row[p]] += 1
        for p in range(len(row)):
            tables["cells"][y][row[p]] += 1
        for t in range(K):
            tables["seen"][y][t] += any(row[p] == t for p in order[:top])
            tables["has"][y][t] += t in row
    return images, tables


def slow_ranking(images, tables, by, keep, smooth):
    """Equations (2) and (3), token by token: lists of (token, score)."""
    y_all, c = range(len(NAMES)), tables["tops"]
    total = sum(c[y][t] + smooth for y in y_all for t in range(K))
    first = [sorted(range(K), key=lambda t, y=y: (-c[y][t], t))[:keep] for y in y_all]

    def score(y, t):
        if by == "count":
            return c[y][t]
        if by == "frequency":
            return tables["cells"][y][t]
        if by == "tf_idf":
            d = sum(t in first[z] and c[z][t] > 0 for z in y_all)
            return c[y][t] * math.log((1 + len(NAMES)) / (1 + d))
        p_t = sum(c[z][t] + smooth for z in y_all) / total
        p_y = sum(c[y][u] + smooth for u in range(K)) / total
        return math.log((c[y][t] + smooth) / total / (p_t * p_y))

    there = tables["cells"] if by == "frequency" else c
    lists = []
    for y in y_all:
        all_of_it = [(t, score(y, t)) for t in range(K) if there[y][t]]
        lists.append(sorted(all_of_it, key=lambda pair: (-round(pair[1], 12), pair[0]))[:keep])
    return lists


@pytest.mark.parametrize("top", [1, 4, 9])
def test_counts_are_the_literal_double_loop(top):
    tokens, scores, labels = given()
    images, tables = slow_counts(tokens, scores, labels, top)
    counts = count_tokens(tokens, scores, labels, K, 3, top)
    assert counts.images.tolist() == images and counts.top == top
    for name, table in tables.items():
        assert getattr(counts, name).tolist() == table, name
        assert getattr(counts, name).dtype == torch.int64


@pytest.mark.parametrize(("keep", "smooth"), [(5, 1.0), (8, 0.0), (100, 0.3)])
@pytest.mark.parametrize("by", ["count", "tf_idf", "pmi", "frequency"])
def test_rankings_are_the_literal_twin(by, keep, smooth):
    tokens, scores, labels = given()
    images, tables = slow_counts(tokens, scores, labels, 4)
    ranking = ConceptTokens(4, keep, by, smooth)(tokens, scores, labels, K, NAMES)
    slow = slow_ranking(images, tables, by, keep, smooth)
    for y, name in enumerate(NAMES):
        found = ranking[name]
        assert found.tokens.tolist() == [t for t, _ in slow[y]]
        assert found.score.tolist() == pytest.approx([s for _, s in slow[y]])
        for r, t in enumerate(found.tokens.tolist()):
            assert found.count[r] == tables["tops"][y][t]
            assert found.seen[r] == tables["seen"][y][t] and found.has[r] == tables["has"][y][t]
            seen, rest = tables["seen"][y][t], sum(tables["seen"][z][t] for z in range(3) if z != y)
            mine, others = images[y], sum(images) - images[y]
            assert found.images == mine
            share = (seen / mine, *wilson(seen, mine))
            control = (rest / others, *wilson(rest, others))
            assert found.share[r].tolist() == pytest.approx(share)
            assert found.control[r].tolist() == pytest.approx(control)


@pytest.mark.parametrize("by", ["count", "tf_idf", "pmi"])
def test_planted_tokens_are_found(by):
    ranking = ConceptTokens(OWN, 10, by)(*planted(), PLANT_K, NAMES)
    for y, name in enumerate(NAMES):
        found = ranking[name]
        assert set(found.tokens[:OWN].tolist()) == own(y), "recall at n is 1"
        assert found.share[:OWN, 0].tolist() == [1.0] * OWN and found.share[:OWN, 1].min() > 0.7
        assert found.control[:OWN, 0].tolist() == [0.0] * OWN
        assert found.control[:OWN, 2].max() < 0.2
    rival = ConceptTokens(OWN, 10, "frequency")(*planted(), PLANT_K, NAMES)
    assert all(rival[name].tokens[0] == BACKGROUND for name in NAMES)


@pytest.mark.parametrize("by", ["tf_idf", "pmi"])
def test_they_are_found_where_background_is_as_important_too(by):
    tokens, scores, labels = planted()
    counted = ConceptTokens(OWN + 1, 10)(tokens, scores, labels, PLANT_K, NAMES)
    ranking = ConceptTokens(OWN + 1, 10, by)(tokens, scores, labels, PLANT_K, NAMES)
    for y, name in enumerate(NAMES):
        assert counted[name].tokens[0] == BACKGROUND, "as often as they, and of a lower number"
        assert set(ranking[name].tokens[:OWN].tolist()) == own(y)


def test_frequency_takes_the_background_first_and_tf_idf_last():
    frequent = ConceptTokens(4, 10, "frequency")(*planted(), PLANT_K, NAMES)
    telling = ConceptTokens(4, 10, "tf_idf")(*planted(), PLANT_K, NAMES)
    for name in NAMES:
        assert frequent[name].tokens[0] == BACKGROUND
        place = telling[name].tokens.tolist().index(BACKGROUND)
        assert place >= OWN and telling[name].score[place] == 0


def test_a_rare_token_is_trusted_less_the_more_is_smoothed():
    counts = count_tokens(*planted(), PLANT_K, 3, 4)
    rare = counts.tops.clone()
    rare[0, 50], rare[1:, 50] = 1, 0
    counts = replace(counts, tops=rare)
    rough, smooth = (ConceptTokens(4, by="pmi", smooth=a).rank(counts, NAMES)["cat"] for a in (0.0, 1.0))  # fmt: skip # noqa: E501
    rough, smooth = (dict(zip(r.tokens.tolist(), r.score.tolist(), strict=True)) for r in (rough, smooth))  # fmt: skip # noqa: E501
    assert rough[50] == pytest.approx(rough[1]), "once and only here is as telling as always here"
    assert smooth[50] < smooth[1] - 0.3


@pytest.mark.parametrize("by", BY)
def test_the_order_of_images_changes_nothing(by):
    tokens, scores, labels = given()
    mixed = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(1))
    how = ConceptTokens(4, 8, by, seed=3)
    one = how(tokens, scores, labels, K, NAMES)
    other = how(tokens[mixed], scores[mixed], labels[mixed], K, NAMES)
    assert same(one.counts, other.counts)
    for name in NAMES:
        assert torch.equal(one[name].tokens, other[name].tokens)
        assert torch.equal(one[name].score, other[name].score)


def test_counts_of_parts_add_up_to_those_of_the_whole():
    tokens, scores, labels = given()
    whole = count_tokens(tokens, scores, labels, K, 3, 4)
    a, b = (count_tokens(tokens[s], scores[s], labels[s], K, 3, 4) for s in (slice(11), slice(11, None)))  # fmt: skip # noqa: E501
    assert same(a + b, whole) and same(b + a, whole)
    assert not same(a, whole)


def test_one_more_image_never_lowers_a_count():
    tokens, scores, labels = given()
    for stop in range(1, 36):
        less, more = (count_tokens(tokens[:s], scores[:s], labels[:s], K, 3, 4) for s in (stop, stop + 1))  # fmt: skip # noqa: E501
        for name, added in (("images", 1), ("tops", 4), ("cells", 9)):
            gained = getattr(more, name) - getattr(less, name)
            assert gained.min() >= 0 and gained.sum() == added
        assert (more.seen >= less.seen).all() and (more.has >= less.has).all()


def test_what_is_counted_nests():
    counts = count_tokens(*given(), K, 3, 4)
    assert (counts.seen <= counts.tops).all() and (counts.tops <= counts.cells).all()
    assert (counts.seen <= counts.has).all() and (counts.has <= counts.cells).all()
    assert (counts.has <= counts.images[:, None]).all()
    assert (counts.tops.sum(1) == 4 * counts.images).all()


def test_random_tokens_are_those_of_the_concept_and_of_the_seed():
    tokens, scores, labels = planted()
    first, again, other = (
        ConceptTokens(4, 5, "random", seed=s)(tokens, scores, labels, PLANT_K, NAMES)
        for s in (1, 1, 2)
    )
    for y, name in enumerate(NAMES):
        assert torch.equal(first[name].tokens, again[name].tokens)
        assert not torch.equal(first[name].tokens, other[name].tokens)
        assert torch.isin(first[name].tokens, tokens[labels == y]).all()
        assert len(first[name].tokens.unique()) == 5
    assert ConceptTokens(4, 100, "random")(tokens, scores, labels, PLANT_K, NAMES)["cat"].has.min() > 0  # fmt: skip # noqa: E501


def test_random_takes_every_token_of_a_concept_equally_often():
    counts = count_tokens(*planted(), PLANT_K, 3, 4)
    there = int((counts.cells[0] > 0).sum())
    hits = sum(
        int((ConceptTokens(4, 5, "random", seed=s).rank(counts, NAMES)["cat"].tokens == 0).sum())
        for s in range(400)
    )
    assert hits / 400 == pytest.approx(5 / there, abs=0.06), "background is no likelier than others"


def test_top_tokens_of_one_image():
    tokens, scores = torch.tensor([7, 3, 9, 3]), torch.tensor([0.5, 0.9, 0.5, -2.0])
    positions, ids = top_tokens(tokens, scores, 3)
    assert positions.tolist() == [1, 0, 2], "the lower position wins a tie"
    assert ids.tolist() == [3, 7, 9]


def test_few_bits_per_token_are_enough():
    tokens, scores, labels = given()
    small = count_tokens(tokens.to(torch.int8), scores, labels.to(torch.int8), 120, 3, 4)
    assert same(small, count_tokens(tokens, scores, labels, 120, 3, 4))


def test_shares_of_nothing_have_the_shape_of_shares():
    assert shares(torch.zeros(0, dtype=torch.int64), 5).shape == (0, 3)


def test_its_repr_is_its_identity():
    how = ConceptTokens(5, 7, "pmi", 0.5, 3)
    assert eval(repr(how)) == how


def without_checks(**fields_):
    """Past the checks of types that only tests have."""
    how = ConceptTokens()
    for name, value in fields_.items():
        object.__setattr__(how, name, value)
    how.__post_init__()


def few_cats(count):
    tokens, scores, labels = planted()
    keep = (labels != 0) | ((labels == 0).cumsum(0) <= count)
    return ConceptTokens(4)(tokens[keep], scores[keep], labels[keep], PLANT_K, NAMES)


TOKENS, SCORES, LABELS = given()
BAD = SCORES.clone()
BAD[2, :2] = torch.tensor([torch.nan, torch.inf])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS[:-1], K, NAMES),
            "ConceptTokens got tokens (36, 9), scores (36, 9) and 35 labels. Give one score per "
            "token and one label per image.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES[:, :-1], LABELS, K, NAMES),
            "ConceptTokens got tokens (36, 9), scores (36, 8) and 36 labels. Give one score per "
            "token and one label per image.",
        ),
        (
            lambda: ConceptTokens(10)(TOKENS, SCORES, LABELS, K, NAMES),
            "a grid of 9 positions has no top 10. Take 1 to 9 of them.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, BAD, LABELS, K, NAMES),
            "top positions need finite scores; 2 of 324 are NaN or infinite. Look at the "
            "attribution that they come from.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS, 20, NAMES),
            f"ConceptTokens got the token {int(TOKENS[TOKENS >= 20][0])}; there are 20, numbered "
            "from 0. Use the codebook and the concepts that they come from.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS - 1, K, NAMES),
            "ConceptTokens got the label -1; there are 3, numbered from 0. Use the codebook and "
            "the concepts that they come from.",
        ),
        (
            lambda: few_cats(0),
            "ConceptTokens needs 5 images or more of every concept; 'cat' has 0. Add images, or "
            "leave the concept out.",
        ),
        (
            lambda: few_cats(4),
            "ConceptTokens needs 5 images or more of every concept; 'cat' has 4. Add images, or "
            "leave the concept out.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS * 0, K, ("cat",)),
            "ConceptTokens compares two concepts or more, each by its own name; it counted 1 and "
            "got the names cat. Name each once.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS, K, ("cat", "dog", "cat")),
            "ConceptTokens compares two concepts or more, each by its own name; it counted 3 and "
            "got the names cat, dog, cat. Name each once.",
        ),
        (
            lambda: without_checks(by="counts"),
            "ConceptTokens ranks by count, tf_idf, pmi, frequency, random, with top and keep of 1 "
            "or more and a finite smooth of 0 or more; it got ConceptTokens(top=20, keep=100, "
            "by='counts', smooth=1.0, seed=0). Choose among these.",
        ),
        (
            lambda: ConceptTokens(keep=0),
            "ConceptTokens ranks by count, tf_idf, pmi, frequency, random, with top and keep of 1 "
            "or more and a finite smooth of 0 or more; it got ConceptTokens(top=20, keep=0, "
            "by='count', smooth=1.0, seed=0). Choose among these.",
        ),
        (
            lambda: count_tokens(TOKENS, SCORES, LABELS, K, 3, 4) + count_tokens(TOKENS, SCORES, LABELS, K + 1, 3, 5),  # fmt: skip # noqa: E501
            "TokenCounts need the same top, concepts and tokens to add up; 4 and 5, [3, 23] and "
            "[3, 24] are not. Count alike.",
        ),
        (
            lambda: count_tokens(TOKENS, SCORES, LABELS, K, 3, 4) + count_tokens(TOKENS, SCORES, LABELS, K, 3, 5),  # fmt: skip # noqa: E501
            "TokenCounts need the same top, concepts and tokens to add up; 4 and 5, [3, 23] and "
            "[3, 23] are not. Count alike.",
        ),
        (
            lambda: ConceptTokens(4)(TOKENS, SCORES, LABELS, K, NAMES)["cot"],
            "no concept 'cot' was ranked. Did you mean 'cat'? Ranked: cat, dog, ship.",
        ),
    ],
    ids=["labels", "scores", "top", "nan", "token", "label", "none", "few", "one", "twice", "by",
         "keep", "add", "add-top", "concept"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == said
