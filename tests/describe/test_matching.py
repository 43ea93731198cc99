import torch
from torch.nn.functional import normalize

from legenda.describe import matching
from legenda.describe.matching import best, greatest, lexicon, shuffled
from tests.describe.toys import random


def literal(units, words, hubs, near):
    """Equations (1) to (3), one pair at a time."""
    cos = [[float(u.double() @ w.double()) for w in words] for u in units]
    k, t = len(units), len(words)
    scores = torch.zeros(k, t, dtype=torch.float64)
    for i in range(k):
        for w in range(t):
            if hubs == "none":
                scores[i, w] = cos[i][w]
            if hubs == "csls":
                column = sorted((cos[j][w] for j in range(k)), reverse=True)[:near]
                row = sorted(cos[i], reverse=True)[:near]
                scores[i, w] = 2 * cos[i][w] - sum(column) / len(column) - sum(row) / len(row)
            if hubs == "zscore":
                column = torch.tensor([cos[j][w] for j in range(k)], dtype=torch.float64)
                scores[i, w] = (cos[i][w] - column.mean()) / column.std(unbiased=False)
    return scores


def test_each_score_is_its_equation():
    units, words = random(9, 0, 6), random(14, 1, 6)
    for hubs in ("none", "csls", "zscore"):
        slow = literal(units, words, hubs, 4)
        book = lexicon(words, units, hubs, 4)
        scores, places = best(units, book, 6)
        expected = slow.topk(6, dim=1)
        assert torch.equal(places, expected.indices), hubs
        torch.testing.assert_close(scores.double(), expected.values, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(greatest(units, book), scores[:, 0])


def test_blocks_change_nothing(monkeypatch):
    units, words = random(30, 0), random(40, 1)
    whole = best(units, lexicon(words, units, "csls", 5), 6)
    monkeypatch.setattr(matching, "BLOCK", 7)
    parts = best(units, lexicon(words, units, "csls", 5), 6)
    assert torch.equal(whole[1], parts[1])
    torch.testing.assert_close(whole[0], parts[0])


def test_more_neighbours_than_there_are_and_fewer_words_than_asked_for():
    units, words = random(3, 0), random(4, 1)
    scores, places = best(units, lexicon(words, units, "csls", 10), 6)
    assert scores.shape == places.shape == (3, 4)


def test_csls_and_z_scores_take_a_hub_its_crown():
    lot = torch.Generator().manual_seed(0)
    shared = torch.zeros(32)
    shared[0] = 1.0
    own = normalize(torch.randn(20, 32, generator=lot), dim=1)
    units = normalize(own + 1.5 * shared, dim=1)  # all units lean to one side
    words = normalize(torch.cat([own + 0.4 * torch.randn(20, 32, generator=lot) / 32**0.5,
                                 shared[None]]), dim=1)  # fmt: skip
    hub = len(words) - 1
    taken = {}
    for hubs in ("none", "csls", "zscore"):
        _, places = best(units, lexicon(words, units, hubs, 10), 1)
        taken[hubs] = int((places[:, 0] == hub).sum())
    assert taken["none"] == 20
    assert taken["csls"] <= 5
    assert taken["zscore"] == 0


def test_shuffled_units_keep_mean_and_covariance_and_lose_their_directions():
    lot = torch.Generator().manual_seed(0)
    units = normalize(torch.randn(400, 12, generator=lot) * torch.linspace(2, 0.1, 12) + 0.4, dim=1)
    null = shuffled(units, 20_000, seed=3)
    assert null.shape == (20_000, 12)
    torch.testing.assert_close(null.norm(dim=1), torch.ones(20_000))
    raw_mean, raw_cov = units.mean(0), units.T.cov()
    cosine = torch.cosine_similarity(null.mean(0), raw_mean, dim=0)
    assert cosine > 0.99
    assert float((null.T.cov() - raw_cov).norm() / raw_cov.norm()) < 0.15
    assert not torch.equal(null[:400], units)
    assert torch.equal(null, shuffled(units, 20_000, seed=3))
    assert not torch.equal(null, shuffled(units, 20_000, seed=4))


def test_a_random_rotation_would_let_units_without_meaning_stand_out():
    lot = torch.Generator().manual_seed(0)
    few = torch.linspace(2, 0.05, 40) ** 3  # activations and words fill few directions
    words = normalize(torch.randn(500, 40, generator=lot) * few, dim=1)
    units = normalize(torch.randn(300, 40, generator=lot) * few, dim=1)  # they mean nothing
    book = lexicon(words, units)
    score = greatest(units, book)
    turn = torch.linalg.qr(torch.randn(40, 40, generator=lot)).Q
    fair, rotated = greatest(shuffled(units, 4000, 0), book), greatest(units @ turn, book)
    assert float((score > fair.quantile(0.95)).float().mean()) < 0.1
    assert float((score > rotated.quantile(0.95)).float().mean()) > 0.5
