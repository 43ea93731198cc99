import pytest
import torch
from torch.nn.functional import normalize

from legenda.concepts.description import averaged, classify, compared, dealing
from legenda.errors import BadInput

FEATURES = ["stripes", "spots", "wings", "wheels"]
TOLD = {"tiger": ["stripes", "wheels"], "moth": ["wings", "spots"], "cart": ["wheels"]}


def embed(texts):
    """A text points where its features are; names say nothing."""
    rows = [[float(f in text) for f in FEATURES] + [0.3] for text in texts]
    return normalize(torch.tensor(rows), dim=1)


def images(count=60, seed=0):
    lot = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=lot)
    names = list(TOLD)
    clean = torch.stack([embed([" ".join(TOLD[names[i]])])[0] for i in labels.tolist()])
    return clean + 0.05 * torch.randn(clean.shape, generator=lot), labels


def test_scores_are_the_literal_mean_of_cosines():
    x, _ = images(5)
    found = classify(x, TOLD, embed)
    for b in range(5):
        for c, (name, several) in enumerate(TOLD.items()):
            each = [
                float(torch.cosine_similarity(x[b], embed([f"{name}, which has {d}"])[0], dim=0))
                for d in several
            ]
            assert float(found.scores[b, c]) == pytest.approx(sum(each) / len(each), abs=1e-6)
            assert dict(found.reasons(b, name)) == pytest.approx(dict(zip(several, each, strict=True)), abs=1e-6)  # fmt: skip # noqa: E501


def test_true_descriptors_beat_dealt_ones_and_the_name_alone_says_nothing():
    x, labels = images()
    found = compared(x, labels, TOLD, embed)
    assert found.accuracy > 0.85 and found.gain > 0.2 and found.gain_interval[0] > 0
    assert found.names < 0.6 and len(found.dealt) == 10 and found.images == 60


def test_meaningless_descriptors_gain_nothing():
    lot = torch.Generator().manual_seed(1)
    x, labels = torch.randn(200, 5, generator=lot), torch.randint(3, (200,), generator=lot)
    low, high = compared(x, labels, TOLD, embed).gain_interval
    assert low < 0 < high


def test_dealing_keeps_every_descriptor_and_how_many_each_class_has():
    dealt = dealing(TOLD, 3)
    assert sorted(d for s in dealt.values() for d in s) == sorted(d for s in TOLD.values() for d in s)  # fmt: skip # noqa: E501
    assert [len(s) for s in dealt.values()] == [2, 2, 1]
    assert dealing(TOLD, 3) == dealt and dealing(TOLD, 4) != dealt


def test_averages_by_owner():
    each = torch.tensor([[1.0, 3.0, 5.0]])
    assert averaged(each, torch.tensor([0, 1, 0]), 2).tolist() == [[3.0, 3.0]]


def test_refusals():
    x, _ = images(3)
    with pytest.raises(BadInput, match="needs two classes or more, each with descriptors; it got 1."):  # fmt: skip # noqa: E501
        classify(x, {"a": ["b"]}, embed)
    with pytest.raises(BadInput, match="it got 2, and none for 'b'."):
        classify(x, {"a": ["b"], "b": []}, embed)
