import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.describe.family_naming import FamilyNaming, ancestors, mean_codes
from legenda.describe.naming import Abstention, named
from legenda.describe.unit_vectors import UnitEvidence
from legenda.errors import BadInput
from tests.describe.toys import numbered, random, survey_of


def literal(codes, atoms, bias, above, gain, child, top=5):
    """Equations (1) to (4), one unit at a time."""
    k = codes.shape[1]
    on = codes > 1e-3
    means = np.zeros((k, k))
    for i in range(k):
        rows = [r for r in np.argsort(-codes[:, i], kind="stable")[:top] if on[r, i]]
        if rows:
            means[i] = codes[rows].mean(0)
    lengths = np.linalg.norm(means, axis=1)
    found = []
    for i in range(k):
        weights = np.zeros(k)
        total = (codes[:, i] * on[:, i]).sum()
        for j in range(k):
            share = (codes[:, i] * on[:, j]).sum() / total if total else 0.0
            if j == i:
                weights[j] = 1.0 if child == "one" or not total else means[i, i]
            elif share > above:
                weights[j] = share * means[i, j]
        weights *= gain * lengths[lengths > 0].mean() / np.linalg.norm(weights)
        found.append(weights @ atoms + bias)
    return np.stack(found)


@pytest.mark.parametrize("child", ["mean", "one"])
@pytest.mark.parametrize("above", [0.0, 0.5, 0.75])
def test_directions_are_those_of_the_literal_loop(child, above):
    lot = np.random.default_rng(0)
    codes = lot.exponential(size=(60, 9)) * (lot.random((60, 9)) < 0.4)
    codes[:, 3] *= codes[:, 1] > 0  # a child that is on only where its parent is
    codes[:, 8] = 0  # one that never is
    atoms, bias = random(9, 0, 6), torch.randn(6, generator=torch.Generator().manual_seed(1))
    method = FamilyNaming(above, 1.33, child)
    found = method.directions(UnitEvidence(atoms, bias, survey_of(codes)))
    slow = literal(codes, atoms.double().numpy(), bias.double().numpy(), above, 1.33, child)
    np.testing.assert_allclose(found.numpy(), slow, rtol=1e-5, atol=1e-6)


def test_a_child_is_named_with_its_parent():
    words = random(60, 1)
    atoms = normalize(torch.stack([words[0], words[1]]), dim=1)  # "ship", and what makes it a sail
    both = normalize(words[0] + words[1], dim=0)
    told = torch.cat([words, both[None]])  # "sailboat" is both
    codes = np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 0.0], [1.5, 0.0], [0.5, 0.0], [3.0, 0.0]])
    evidence = UnitEvidence(atoms, None, survey_of(codes, top=2))
    free = Abstention(0.0)
    plain = named(evidence, numbered(61), told, abstain=free)
    family = named(evidence, numbered(61), told, FamilyNaming(), free)
    assert [n.word for n in plain] == ["w0", "w1"]
    assert [n.word for n in family] == ["w0", "w60"]


def test_a_larger_gain_says_less_of_the_bias():
    codes = np.random.default_rng(0).exponential(size=(30, 4))
    bias = random(1, 5, 6)[0]
    evidence = UnitEvidence(random(4, 0, 6), bias, survey_of(codes))
    near = [
        float((normalize(FamilyNaming(gain=g).directions(evidence), dim=1) @ bias).mean())
        for g in (0.5, 1.33, 5.0)
    ]
    assert near[0] > near[1] > near[2]


def test_exemplars_that_are_not_there_are_not_counted():
    codes = np.zeros((6, 2))
    codes[0], codes[1] = (2.0, 1.0), (4.0, 0.0)
    mean = mean_codes(survey_of(codes)).toarray()
    np.testing.assert_allclose(mean, [[3.0, 0.5], [2.0, 1.0]])


def test_ancestors_are_more_frequent_and_no_two_are_each_others():
    codes = np.zeros((10, 4))
    codes[:, 0] = 1.0
    codes[:4, 1] = 1.0
    codes[:4, 2] = 1.0  # always with unit 1
    codes[8:, 3] = 1.0
    assert ancestors(survey_of(codes)) == {1: (0,), 2: (0, 1), 3: (0,)}
    assert ancestors(survey_of(codes), above=1.0) == {}


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(BadInput) as found:
        FamilyNaming(above=2.0)
    assert str(found.value) == (
        "FamilyNaming needs above from 0 to 1 and a gain above 0; it got above=2.0, gain=1.33."
    )
