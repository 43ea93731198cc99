import pytest
import torch

from legenda.core.target import Logit
from legenda.errors import BadInput
from legenda.explain.centre_gaussian import CentreGaussian
from legenda.explain.edge_map import EdgeMap
from legenda.explain.random import Random
from tests.explain.toys import IDS, mixed, pictures, sentence_units


def test_random_maps_differ_between_pictures_and_seeds_and_not_between_batches():
    units, x = mixed(), pictures()
    one = Random()(units, x, Logit(0)).scores
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, Random(seed=1)(units, x, Logit(0)).scores)
    assert torch.equal(one[1:2], Random()(units, x[1:2], Logit(0)).scores)
    assert torch.equal(one, Random()(units, x, Logit(1)).scores)


def test_random_words_do_not_depend_on_padding():
    units = sentence_units()
    together = Random()(units, IDS, Logit(0)).scores
    alone = Random()(units, IDS[1:, :4], Logit(0)).scores
    assert torch.equal(together[1, :4], alone[0])
    assert not together[:, 0].any()
    assert not together[1, 3:].any()


def test_random_is_uniform():
    scores = Random()(mixed(), pictures(200), Logit(0)).scores
    assert abs(scores.mean() - 0.5) < 0.02
    assert abs(scores.var() - 1 / 12) < 0.01


def test_the_centre_gaussian_is_equation_1():
    scores = CentreGaussian(sigma=0.3)(mixed(), pictures(1), Logit(0)).scores[0]
    for n in range(16):
        u = torch.tensor([(n // 4 + 0.5) / 4, (n % 4 + 0.5) / 4])
        expected = torch.exp(-((u - 0.5).norm() ** 2) / (2 * 0.3**2))
        torch.testing.assert_close(scores[n], expected)


def test_the_centre_gaussian_is_symmetric_and_flatter_when_wide():
    narrow = CentreGaussian()(mixed(), pictures(1), Logit(0)).map()[0]
    assert torch.equal(narrow, narrow.flip(0))
    assert torch.equal(narrow, narrow.T)
    wide = CentreGaussian(sigma=1.0)(mixed(), pictures(1), Logit(0)).map()[0]
    assert wide.min() > narrow.min()
    with pytest.raises(BadInput, match=r"CentreGaussian needs a sigma above 0; it got 0\."):
        CentreGaussian(sigma=0.0)


def test_the_middle_word_is_the_middle():
    scores = CentreGaussian()(sentence_units(), IDS, Logit(0)).scores
    torch.testing.assert_close(scores[0, 1:5], scores[0, 1:5].flip(0))
    assert scores[1, 1] == scores[1, 2] > 0
    assert not scores[:, 0].any()


def test_the_edge_map_is_equation_1():
    x = pictures(2)
    expected = torch.zeros(2, 4, 4)
    across, down = (1.0, 0.0, -1.0), (1.0, 2.0, 1.0)
    for i in range(2):
        grey = x[i].mean(0)
        for r in range(16):
            for c in range(16):
                sx = sy = 0.0
                for dr in (-1, 0, 1):
                    for dc in (-1, 0, 1):
                        g = grey[min(max(r + dr, 0), 15), min(max(c + dc, 0), 15)]
                        sx += down[dr + 1] * across[dc + 1] / 8 * g
                        sy += across[dr + 1] * down[dc + 1] / 8 * g
                expected[i, r // 4, c // 4] += (sx**2 + sy**2).sqrt() / 16
    torch.testing.assert_close(EdgeMap()(mixed(), x, Logit(0)).map(), expected)


def test_edges_are_where_the_edge_is():
    x = torch.zeros(1, 3, 16, 16)
    assert not EdgeMap()(mixed(), x + 2, Logit(0)).scores.any()
    x[..., 8:] = 1.0  # between the second and the third column of patches
    found = EdgeMap()(mixed(), x, Logit(0)).map()[0]
    assert found[:, 1:3].all()
    assert not found[:, [0, 3]].any()
    torch.testing.assert_close(EdgeMap()(mixed(), 3 * x, Logit(0)).map()[0], 3 * found)
