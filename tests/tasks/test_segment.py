import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from legenda.models.dense import Dense
from legenda.tasks.segment import Window, label_pixels, mean_iou, segment
from tests import toys

K, D, N = 9, 6, 12


class Planted:
    """Atoms by lot and a bias; a position's code is its two best atoms."""

    name = "planted"

    def __init__(self, seed=0):
        lot = torch.Generator().manual_seed(seed)
        self.atoms = normalize(torch.randn(K, D, generator=lot), dim=1)
        self.bias = 0.1 * torch.randn(D, generator=lot)

    def encode(self, acts):
        weight, index = ((acts - self.bias) @ self.atoms.T).relu().topk(2)
        return Codes(index, weight, K)

    def decode(self, codes):
        return codes.dense() @ self.atoms + self.bias


def world(seed=1):
    lot = torch.Generator().manual_seed(seed)
    return torch.randn(2, N, D, generator=lot), torch.randn(3, D, generator=lot)


def test_logits_and_contributions_are_the_literal_sums():
    book, (acts, texts) = Planted(), world()
    found = segment(book, acts, ["a", "b", "c"], texts)
    z, unit = book.encode(acts).dense(), normalize(texts, dim=1)
    for b in range(2):
        for c in range(3):
            inside = []
            for u in range(N):
                x = sum(z[b, u, n] * book.atoms[n] for n in range(K)) + book.bias
                logits = [float(x @ t / x.norm()) for t in unit]
                assert found.logits[b, u].tolist() == pytest.approx(logits, abs=1e-5)
                assert int(found.labels[b, u]) == int(np.argmax(logits))
                if np.argmax(logits) == c:
                    inside.append([float(z[b, u, n] * (book.atoms[n] @ unit[c]) / x.norm()) for n in range(K)])  # fmt: skip # noqa: E501
            wanted = np.mean(inside, 0) if inside else np.zeros(K)
            np.testing.assert_allclose(found.added[b, :, c], wanted, atol=1e-5)
            assert int(found.size[b, c]) == len(inside)


def test_contributions_and_the_bias_add_up_to_the_mean_logit_of_the_segment():
    book, (acts, texts) = Planted(), world()
    found = segment(book, acts, ["a", "b", "c"], texts)
    for b, c in ((b, c) for b in range(2) for c in range(3)):
        here = found.labels[b] == c
        if here.any():
            mean = found.logits[b, here, c].mean()
            total = found.added[b, :, c].sum() + found.rest[b, c]
            torch.testing.assert_close(total, mean, atol=1e-5, rtol=0)


def test_a_planted_concept_is_named_first():
    book = Planted()
    texts = book.atoms[[2, 5]]
    acts = (3 * book.atoms[[2, 2, 5, 5]] + book.bias)[None]
    found = segment(book, acts, ["two", "five"], texts)
    assert found.labels.tolist() == [[0, 0, 1, 1]]
    assert found.strongest(0, "two")[0][0] == 2 and found.strongest(0, "five")[0][0] == 5


def test_a_threshold_leaves_patches_without_a_label_and_a_higher_one_more():
    book, (acts, texts) = Planted(), world()
    bare = [
        int((segment(book, acts, ["a", "b", "c"], texts, least=least).labels == -1).sum())
        for least in (-1.0, 0.5, 0.9)
    ]
    assert bare[0] == 0 and bare == sorted(bare) and bare[2] > 0


def test_without_concepts_the_activations_are_compared_themselves():
    book, (acts, texts) = Planted(), world()
    found = segment(book, acts, ["a", "b", "c"], texts, through=False)
    wanted = normalize(acts, dim=-1) @ normalize(texts, dim=1).T
    torch.testing.assert_close(found.logits, wanted)


def test_windows_cover_every_pixel_and_end_at_the_edge():
    window = Window(16, 16, 8)
    assert window.corners(40) == [0, 8, 16, 24] and window.corners(16) == [0]
    assert window.corners(35) == [0, 8, 16, 19]


def test_pixels_of_a_large_picture_are_labelled_by_windows():
    dense = Dense(toys.tiny_dual("clip"), 1.0)
    lot = np.random.default_rng(0)
    picture = Image.fromarray(lot.integers(0, 255, (30, 20, 3), np.uint8))

    class Kept(Planted):
        def __init__(self):
            super().__init__()
            self.atoms = torch.eye(dense.width)
            self.bias = torch.zeros(dense.width)

        def encode(self, acts):
            return Codes(torch.arange(acts.shape[-1]).expand(acts.shape), acts, acts.shape[-1])

    texts = torch.randn(4, dense.width, generator=torch.Generator().manual_seed(0))
    units = Units(dense, Kept())
    labels = label_pixels(units, picture, texts, Window(24, 16, 8))
    assert labels.shape == (30, 20) and labels.min() >= 0 and labels.max() < 4
    assert (labels == label_pixels(units, picture, texts, Window(24, 16, 8), through=False)).all()
    assert (label_pixels(units, picture, texts, least=2.0) == -1).all()


def test_mean_iou_of_a_hand_made_case():
    truth = [np.array([[0, 0], [1, -1]])]
    mean, each = mean_iou([np.array([[0, 1], [1, 0]])], truth, ["a", "b", "c"])
    assert [(e.name, e.iou, e.pictures) for e in each] == [("a", 0.5, 1), ("b", 0.5, 1)]
    assert mean == 0.5
    assert mean_iou([np.array([[-1, 0], [1, 0]])], truth, ["a", "b", "c"])[0] == 0.75


def test_refusals():
    book, (acts, texts) = Planted(), world()
    with pytest.raises(ShapeError, match="segment needs a text embedding of width 6 for each of 2 classes; it got the shape"):  # fmt: skip # noqa: E501
        segment(book, acts, ["a", "b"], texts)
    with pytest.raises(BadInput, match="Window needs 1 ≤ stride ≤ crop ≤ short"):
        Window(10, 20, 5)
    found = segment(book, acts, ["a", "b", "c"], texts)
    with pytest.raises(BadInput, match="'d' is no class here. There are a, b, c."):
        found.strongest(0, "d")
