import math

import pytest
import torch
from scipy.stats import spearmanr

from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.score.likeness import likeness, mean_ranks, spearman, ssim
from tests.score.toys import maps, noise, of_words, pictures, sentences

ALL = torch.ones(4, 16, dtype=torch.bool)


def test_spearman_agrees_with_scipy_ties_included():
    one, other = (noise(4, seed=s).mul(5).round() for s in (1, 2))
    want = torch.tensor([spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)])
    torch.testing.assert_close(spearman(one, other, ALL), want.float())


def test_spearman_counts_drawn_positions_only():
    ids, drawn = sentences()
    one, other = noise(3, 6, 1), noise(3, 6, 2)
    got = spearman(one, other, drawn)
    for row in range(3):
        a, b = one[row][drawn[row]], other[row][drawn[row]]
        assert float(got[row]) == pytest.approx(spearmanr(a, b).statistic, abs=1e-6)


def test_spearman_sees_order_only():
    one = noise(4)
    torch.testing.assert_close(spearman(one, one.exp() * 3, ALL), torch.ones(4))
    torch.testing.assert_close(spearman(one, -one, ALL), -torch.ones(4))
    assert (spearman(one, torch.ones_like(one), ALL) == 0).all()


def test_tied_scores_share_their_mean_rank():
    ranks = mean_ranks(torch.tensor([[5.0, 1.0, 5.0, 3.0]]), ALL[:1, :4])
    assert ranks.tolist() == [[3.5, 1.0, 3.5, 2.0]]


def literal_ssim(a, b):
    """Equation (2), one window at a time."""
    h, w = a.shape
    total = 0.0
    for i in range(h):
        for j in range(w):
            weight = torch.tensor(
                [
                    [math.exp(-((i - r) ** 2 + (j - c) ** 2) / 4.5) for c in range(w)]
                    for r in range(h)
                ]
            ).double()
            weight = weight / weight.sum()
            ma, mb = (weight * a).sum(), (weight * b).sum()
            va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
            ab = (weight * (a - ma) * (b - mb)).sum()
            over = (2 * ma * mb + 1e-4) * (2 * ab + 9e-4)
            total += float(over / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return total / (h * w)


def test_ssim_agrees_with_its_literal_twin():
    one, other = (noise(3, 20, s).double().reshape(3, 4, 5) for s in (1, 2))

    def unit(m):
        return (m - m.min()) / (m.max() - m.min())

    want = [literal_ssim(unit(a), unit(b)) for a, b in zip(one, other, strict=True)]
    torch.testing.assert_close(ssim(one, other), torch.tensor(want).double())


def test_ssim_is_one_for_the_same_map_and_falls_with_noise():
    one = noise(4).reshape(4, 4, 4)
    torch.testing.assert_close(ssim(one, 3 * one + 2), torch.ones(4))
    lots = [
        float(ssim(one, one + s * noise(4, seed=5).reshape(4, 4, 4)).mean()) for s in (0.1, 1, 9)
    ]
    assert lots == sorted(lots, reverse=True) and lots[2] < 0.5


def test_maps_of_other_positions_are_refused():
    ids, _ = sentences()
    other = ids.clone()
    other[0, 1] = 2
    with pytest.raises(ShapeError) as caught:
        likeness(ids, of_words(noise(3, 6), ids), of_words(noise(3, 6), other), "spearman", "x")
    assert str(caught.value) == (
        "x compares maps of the same positions; these two draw different ones. "
        "Explain the same inputs at the same site."
    )


def test_words_have_no_structural_similarity():
    ids, _ = sentences()
    words = of_words(noise(3, 6), ids)
    with pytest.raises(Unsupported) as caught:
        likeness(ids, words, words, "ssim", "seed-stability")
    assert str(caught.value) == (
        "seed-stability by ssim needs a grid of patches; an attribution of words has none. "
        "Give pictures."
    )


def test_both_give_one_number_per_input():
    x = pictures(4)
    one, other = maps(noise(4), x), maps(noise(4, seed=2), x)
    assert likeness(x, one, other, "spearman", "x").shape == (4,)
    assert likeness(x, one, other, "ssim", "x").dtype == torch.float32


def test_an_unknown_likeness_is_refused():
    x = pictures(4)
    raw = getattr(likeness, "__wrapped__", likeness)
    with pytest.raises(BadInput) as caught:
        raw(x, maps(noise(4), x), maps(noise(4), x), "cosine", "cascade")
    assert (
        str(caught.value)
        == "cascade compares by 'spearman' or 'ssim'; it got 'cosine'. Choose one."
    )
